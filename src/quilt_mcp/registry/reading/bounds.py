"""Bounds: what one call may spend on bringing a catalog up to date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may spend on it; the package that is at work when a bound is met is the last."""

    packages: int = 5_000
    bytes: int = 512 << 20
    seconds: float = 20.0


UNBOUNDED: Final = Bounds(1 << 62, 1 << 62, 1e9)
