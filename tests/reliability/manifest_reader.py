"""A process that opens one manifest through a shared cache and prints what it saw. Waits for a line on stdin to begin."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from quilt_mcp.registry.manifests import ManifestCache
from quilt_mcp.storage.local import LocalStore


def main() -> None:
    registry, cache, top_hash = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    manifest = asyncio.run(ManifestCache(Path(cache), small=0).open(LocalStore(Path(registry)), top_hash))
    print(manifest.totals, manifest.below("", 0, 1)[0][0].logical_key, flush=True)


if __name__ == "__main__":
    main()
