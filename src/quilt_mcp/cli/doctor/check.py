"""Check: one line of what ``doctor`` says."""

from __future__ import annotations

from dataclasses import dataclass

from quilt_mcp.errors import QuiltError


@dataclass(frozen=True, slots=True)
class Check:
    """``ok`` None: neither good nor bad, only good to know. ``fix`` is empty unless something can be done."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""


def failed(name: str, error: QuiltError, *, ok: bool | None = False) -> Check:
    return Check(name, ok, error.message, error.next_step)
