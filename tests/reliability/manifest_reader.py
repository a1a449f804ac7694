"""A process that opens one manifest through a shared cache and prints what it saw. Waits for a line on stdin to begin.

With a fourth argument no file may grow beyond that many bytes, which is how a disk without room looks to who writes on it;
what is printed then is the error."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

from quilt_mcp.errors import QuiltError
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.storage.local.store import LocalStore


def main() -> None:
    registry, cache, top_hash, *room = sys.argv[1:]
    ample = resource.getrlimit(resource.RLIMIT_FSIZE)
    if room:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(room[0]), ample[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        show(Path(registry), Path(cache), top_hash)
    except QuiltError as error:
        print(error.code, "|", error.message, "|", error.next_step, flush=True)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, ample
    )  # a measurement of coverage writes its file when the process ends


def show(registry: Path, cache: Path, top_hash: str) -> None:
    manifest = asyncio.run(ManifestCache(cache, small=0).open(LocalStore(registry), top_hash))
    print(manifest.totals, next(manifest.entries()).logical_key, flush=True)


if __name__ == "__main__":
    main()
