"""Backends: from an identity to the QuiltOps that serves it. The only place that knows them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quilt_mcp.auth.identity import Identity
from quilt_mcp.config import Settings
from quilt_mcp.errors import NotSupported

if TYPE_CHECKING:
    from quilt_mcp.backends.direct import DirectOps


def open(identity: Identity, settings: Settings) -> DirectOps:
    """Opens the backend that the decision chose. Imports it first now: what is not used costs nothing at start."""
    from quilt_mcp.backends.options import Options

    registry, credentials, options = identity.registry, identity.credentials, Options.of(settings)
    match identity.kind:
        case "local":
            from quilt_mcp.backends.local import LocalOps

            return LocalOps(registry, options)
        case "iam":
            from quilt_mcp.backends.iam import IamOps

            return IamOps(credentials, registry, options)
        case "quilt3":
            from quilt_mcp.backends.quilt3 import Quilt3Ops

            return Quilt3Ops(credentials, registry, options)
        case "platform":
            raise NotSupported(
                "The platform backend is not part of this version.",
                next_step="Use the local backend: QUILT_BACKEND=local.",
            )
