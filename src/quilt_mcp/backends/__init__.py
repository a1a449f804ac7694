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
    if identity.kind == "local":
        from quilt_mcp.backends.local import open_local

        return open_local(
            identity.registry,
            roots=settings.local_roots(),
            writable=settings.allow_write,
            cache=settings.cache_folder(),
            cache_bytes=settings.cache_bytes,
        )
    if identity.kind == "iam":
        from quilt_mcp.backends.iam import open_iam

        return open_iam(
            identity.credentials,
            identity.registry,
            roots=settings.local_roots(),
            writable=settings.allow_write,
            cache=settings.cache_folder(),
            cache_bytes=settings.cache_bytes,
            allowed=settings.allowed_buckets or None,
            requester_pays=settings.requester_pays,
        )
    if identity.kind == "quilt3":
        from quilt_mcp.backends.quilt3 import open_quilt3

        return open_quilt3(
            identity.credentials,
            identity.registry,
            roots=settings.local_roots(),
            writable=settings.allow_write,
            cache=settings.cache_folder(),
            cache_bytes=settings.cache_bytes,
            allowed=settings.allowed_buckets or None,
            requester_pays=settings.requester_pays,
        )
    raise NotSupported(
        f"The {identity.kind} backend is not part of this version.",
        next_step="Use the local backend: QUILT_BACKEND=local.",
    )
