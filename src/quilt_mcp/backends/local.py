"""The local backend: registries that are folders of this machine, no account at all."""

from __future__ import annotations

from pathlib import Path

from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PhysicalKey, parse_registry
from quilt_mcp.storage.local.stores import LocalStores


class LocalOps(DirectOps):
    """``registry``: URL or folder of the default registry, which need not exist yet."""

    def __init__(self, registry: str, options: Options) -> None:
        url = parse_registry(registry)
        folder = Path(PhysicalKey.parse(url).path)
        local = LocalStores([folder], options.roots, create=options.writable, closed=options.closed)
        super().__init__("local", url, local, local, options)
