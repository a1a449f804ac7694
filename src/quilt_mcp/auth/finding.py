"""Finding: what looking for one kind of credentials brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from quilt_mcp.errors import QuiltError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding(Generic[T]):
    """``found`` None: nothing usable; ``reason`` says why and ``fix`` is the command that mends it. ``error`` is set when
    something is there and fails, as against nothing at all."""

    reason: str
    fix: str = ""
    found: T | None = None
    error: QuiltError | None = None
