"""Cost: what a query is billed, in about, from what it scanned."""

from __future__ import annotations

from typing import Final

USD_PER_TB: Final = 5.0
LEAST_BYTES: Final = 10 << 20
_TB: Final = 1 << 40


def about_usd(scanned: int, *, is_free: bool = False) -> float:
    """5 USD for each TB, of 10 MB at least; some regions and workgroups with reserved capacity are billed otherwise."""
    return 0.0 if is_free else round(max(scanned, LEAST_BYTES) / _TB * USD_PER_TB, 8)


def told(scanned: int, *, is_free: bool = False) -> str:
    usd = about_usd(scanned, is_free=is_free)
    if is_free:
        return "free of charge"
    return f"about {usd:.2f} USD" if usd >= 0.01 else "about a hundredth of a USD or less"
