"""Run as a process of its own: pushes argv[3] revisions to one package of the registry below argv[1] as writer argv[2], every
second one with ``merge``, the others on the latest it saw, again after each StaleParent. Prints a line of JSON for each
acknowledged push: its top hash, its parent, and latest as read just afterwards."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from quilt_mcp.backends.local import open_local
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Commit, InlineFile, PatchRequest
from quilt_mcp.errors import RetryableError, StaleParent
from quilt_mcp.ops import QuiltOps

NAME = "a/b"


async def push(ops: QuiltOps, writer: str, number: int) -> Commit:
    package = PackageUri(ops.default_registry, NAME)
    file = InlineFile(f"{writer}/{number}", f"{writer} {number}".encode())
    first_seen = (await ops.resolve(package)).top_hash
    while True:
        request = PatchRequest(package, first_seen, files=(file,), merge=number % 2 == 0)
        try:
            return await ops.patch(request)
        except (StaleParent, RetryableError):
            first_seen = (await ops.resolve(package)).top_hash


async def main(root: Path, writer: str, count: int) -> None:
    registry = root / "registry"
    cache = root / f"cache-{writer}"
    ops = open_local(str(registry), roots=(root,), writable=True, cache=cache, cache_bytes=1 << 24)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        commit = await push(ops, writer, number)
        seen = (await ops.resolve(PackageUri(ops.default_registry, NAME))).top_hash
        print(json.dumps([commit.top_hash, commit.merged_onto or commit.plan.parent, seen]), flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
