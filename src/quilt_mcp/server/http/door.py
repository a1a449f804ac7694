"""Door: who may come in over HTTP. Of a server for one person: whoever has its token."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

from quilt_mcp.auth.identity import Asker
from quilt_mcp.server.http.refusal import Refusal

NOBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who came in. ``name`` is of a user, to show and to count by."""

    asker: Asker
    name: str = NOBODY


class Door(Protocol):
    async def admit(self, given: Sequence[bytes]) -> Guest | Refusal:
        """Of the values of the header Authorization."""
        ...

    def turn(self, guest: Guest) -> AbstractContextManager[Refusal | None]:
        """Around all that a guest's request takes, its body's arrival included; a Refusal where that is too much by now."""
        ...

    def allow(self, guest: Guest, body: bytes) -> Refusal | None:
        """Whether the guest may ask that."""
        ...


class OneToken:
    """``token`` None: whoever reaches this is served."""

    def __init__(self, token: str | None) -> None:
        self._credential = f"Bearer {token}".encode() if token is not None else None

    async def admit(self, given: Sequence[bytes]) -> Guest | Refusal:
        if self._credential is None or (len(given) == 1 and hmac.compare_digest(given[0], self._credential)):
            return Guest(Asker("http"))
        why = "The header Authorization: Bearer TOKEN is missing or wrong; the server printed the token as it started."
        return Refusal(401, why, ((b"www-authenticate", b"Bearer"),))

    def turn(self, guest: Guest) -> AbstractContextManager[Refusal | None]:
        return nullcontext()

    def allow(self, guest: Guest, body: bytes) -> Refusal | None:
        return None
