"""Registries of packages that quilt3 wrote, and what searches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import quilt3
from scan import Package

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options


def write_packages(registry: Path, wanted: Sequence[Package]) -> list[Package]:
    """By quilt3, with files of the sizes that are wanted; as they stand in the registry then."""
    written: list[Package] = []
    sources = registry.parent / f"{registry.name}-files"
    for number, one in enumerate(wanted):
        package = quilt3.Package()
        for place, file in enumerate(one.files):
            source = sources / str(number) / str(place)
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(one.readme.encode() if file.path == "README.md" else b"x" * file.size)
            package.set(file.path, str(source), meta=file.meta)
        if one.meta is not None:
            package.set_meta(dict(one.meta))
        top_hash = package.build(one.name, registry=registry.as_uri(), message=one.message)
        latest = registry / ".quilt/named_packages" / one.name / "latest"
        modified = datetime.fromtimestamp(latest.stat().st_mtime, UTC)
        written.append(replace(one, top_hash=top_hash, modified=modified))
    return written


def local_ops(registry: Path, cache: Path, *, writable: bool = False, cache_bytes: int = 1 << 30) -> LocalOps:
    options = Options(roots=(registry.parent,), writable=writable, cache=cache, cache_bytes=cache_bytes)
    return LocalOps(registry.as_uri(), options)
