"""Who is signed in to a stack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``roles``: those that the user may take, ``role`` the one taken now, for all of the user's sessions."""

    name: str
    email: str
    role: str | None
    roles: tuple[str, ...]
    is_admin: bool
