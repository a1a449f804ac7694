"""Refusal: a construct that has no equal in Athena's SQL, why, and what to write instead."""

from __future__ import annotations

from quilt_mcp.errors import NotSupported

ELSEWHERE = "or ask with engine='duckdb', or write the whole query in Athena's own SQL"


def refusal(construct: str, why: str, instead: str = "") -> NotSupported:
    """``instead``: what to write, as an imperative without a full stop."""
    return NotSupported(
        f"{construct} cannot be said in Athena's SQL with the same meaning: {why}.",
        next_step=f"{instead}, {ELSEWHERE}." if instead else f"Leave it out, {ELSEWHERE}.",
        details={"construct": construct, "engine": "athena"},
    )
