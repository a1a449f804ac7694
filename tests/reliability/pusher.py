"""Run as a process of its own: argv is the writer's name, how many pushes, a folder, and for a bucket the server's address and
the bucket. Pushes to one package, every second time with ``merge``, else on the latest it saw; after a StaleParent it waits and
tries again. Prints a line of JSON for each acknowledged push: what ``racing.Push`` names."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))

from s3_registry import NAME, open_ops

from parts.s3_access import S3Access
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Commit, InlineFile, PatchRequest
from quilt_mcp.errors import RetryableError, StaleParent
from quilt_mcp.ops import QuiltOps
from quilt_mcp.registry.writing.backoff import Backoff


async def push(ops: QuiltOps, writer: str, number: int) -> Commit:
    package = PackageUri(ops.default_registry, NAME)
    file = InlineFile(f"{writer}/{number}", f"{writer} {number}".encode())
    backoff = Backoff()
    while True:
        begun = anyio.current_time()
        first_seen = (await ops.resolve(package)).top_hash
        request = PatchRequest(package, first_seen, files=(file,), merge=number % 2 == 0)
        try:
            return await ops.patch(request)
        except (StaleParent, RetryableError):
            await anyio.sleep(backoff.wait(anyio.current_time() - begun))


def opened(root: Path, writer: str, server: list[str]) -> QuiltOps:
    if server:
        url, bucket = server
        return open_ops(S3Access(url, access_key=writer), bucket, root / writer)
    cache = root / f"cache-{writer}"
    options = Options(roots=(root,), writable=True, cache=cache, cache_bytes=1 << 24)
    return LocalOps(str(root / "registry"), options)


async def main(writer: str, count: int, root: Path, server: list[str]) -> None:
    ops = opened(root, writer, server)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        commit = await push(ops, writer, number)
        seen = (await ops.resolve(PackageUri(ops.default_registry, NAME))).top_hash
        parent = commit.merged_onto or commit.plan.parent
        print(json.dumps([commit.top_hash, parent, seen, commit.warnings]), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    # Without the interpreter's own end, at which a thread of obstore's that still holds our last answer may abort the process
    # (PyO3/pyo3-async-runtimes#40): what is tested here is over.
    os._exit(0)
