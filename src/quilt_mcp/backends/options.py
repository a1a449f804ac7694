"""Options: what any backend may reach, write and keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quilt_mcp.config import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """``roots``: the local folders in reach, beside a registry that is one. ``cache``: a folder for manifests, which are kept
    up to ``cache_bytes``, and for files in the making. ``allowed``: the only buckets that may be used, None for whatever the
    credentials open."""

    roots: tuple[Path, ...]
    writable: bool
    cache: Path
    cache_bytes: int
    allowed: frozenset[str] | None = None
    requester_pays: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Options:
        return cls(
            roots=settings.local_roots(),
            writable=settings.allow_write,
            cache=settings.cache_folder(),
            cache_bytes=settings.cache_bytes,
            allowed=frozenset(settings.allowed_buckets) or None,
            requester_pays=settings.requester_pays,
        )
