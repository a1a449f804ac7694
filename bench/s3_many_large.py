"""One large file up, and many at once: the most memory that each takes, which is to be the same.

python bench/s3_many_large.py [--megabytes 128] [--files 16] [--server moto|ceph] [--rounds 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from s3_sides import Figures, Server, bench, our_ops, timed

PACKAGE = "team/package"


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    return f"s3://{server.direct.make_bucket()}"


def push(arguments: argparse.Namespace, count: int) -> Figures:
    from quilt_mcp.domain.address import parse_package
    from quilt_mcp.domain.plan import CreateRequest, Source

    folder = Path.cwd() / "files"
    folder.mkdir()
    block = os.urandom(1 << 20)
    for number in range(count):
        with (folder / f"file{number}").open("wb") as file:
            for part in range(arguments.megabytes):
                file.write((number << 32 | part).to_bytes(8, "big") + block[8:])

    async def work() -> Figures:
        ops = our_ops(arguments.registry)
        package = parse_package(PACKAGE, arguments.registry)
        figures: Figures = {}
        with timed(figures, "up_seconds"):
            done = await ops.create(CreateRequest(package, sources=(Source(f"{folder}/"),)))
        assert done.bytes_copied == count * arguments.megabytes << 20
        return figures

    return asyncio.run(work())


def one(arguments: argparse.Namespace) -> Figures:
    return push(arguments, 1)


def many(arguments: argparse.Namespace) -> Figures:
    return push(arguments, arguments.files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=128)
    parser.add_argument("--files", type=int, default=16)
    bench(
        "s3_many_large",
        __file__,
        parser,
        {"one": one, "many": many},
        prepare,
        {"many_by_one_peak_mb": 1.3},
        ratios=("peak_mb",),
        against=("many", "one"),
        fresh_server=True,
    )
