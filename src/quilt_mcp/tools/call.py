"""Call: one call of a tool."""

from __future__ import annotations

from dataclasses import dataclass

from quilt_mcp.auth.identity import Identity
from quilt_mcp.config import Settings
from quilt_mcp.domain.plan import Progress
from quilt_mcp.ops import QuiltOps


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool: who serves it, and whom to tell how far it got."""

    ops: QuiltOps
    settings: Settings
    identity: Identity
    progress: Progress
