"""``pusher`` on S3: argv is the server's address, the bucket, a folder, the writer's name and how many pushes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))

from pusher import push
from s3_registry import NAME, open_ops

from parts.s3_access import S3Access
from quilt_mcp.domain.address import PackageUri


async def main(url: str, bucket: str, root: Path, writer: str, count: int) -> None:
    ops = open_ops(S3Access(url), bucket, root / writer)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        commit = await push(ops, writer, number)
        seen = (await ops.resolve(PackageUri(ops.default_registry, NAME))).top_hash
        print(json.dumps([commit.top_hash, commit.merged_onto or commit.plan.parent, seen]), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
