"""The local backend: registries that are folders of this machine, no account at all."""

from __future__ import annotations

from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.backends.options import Options


class LocalOps(DirectOps):
    """``registry``: URL or folder of the default registry, which need not exist yet."""

    def __init__(self, registry: str, options: Options) -> None:
        registries = options.registries(registry)
        local = options.local_stores(registries)
        super().__init__("local", registries, local, local, options)
