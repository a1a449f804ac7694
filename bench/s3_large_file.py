"""One large file up and down, beside obstore alone with the same number of requests under way (and quilt3, if asked).

Seconds and the most memory this process held. obstore alone neither verifies nor hashes what comes down, and leaves it in the
system's memory; ``durable`` is until it is on the disk too, where an installed file always is. It comes down twice: ``again``
writes to memory that the machine has used before, where a virtual one does not first ask its host for each page.

In a bucket without versions (``--unversioned``) ours stores the file by its hash, which it must know before it sends a byte.

python bench/s3_large_file.py [--megabytes 2048] [--at-once 8] [--quilt3] [--unversioned] [--server ceph|moto] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from s3_sides import Figures, S3Access, Server, bench, fast_store, our_ops, timed

PACKAGE = "team/package"
KEY = "large"
PART = 8 << 20
DOWN = ("down_seconds", "down_durable_seconds", "again_seconds", "again_durable_seconds")


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    return f"s3://{server.direct.make_bucket(versioned=not arguments.unversioned)}"


def write_file(arguments: argparse.Namespace) -> Path:
    path = Path.cwd() / "file"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(arguments.megabytes):
            file.write(number.to_bytes(8, "big") + block[8:])
    return path


def obstore_side(arguments: argparse.Namespace) -> Figures:
    import obstore

    access = S3Access(
        os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    )
    store = fast_store(access, urlsplit(arguments.registry).netloc)
    path = write_file(arguments)
    size = path.stat().st_size

    async def bring(step: str, figures: Figures) -> None:
        copy = Path("copy")
        with copy.open("wb") as file, timed(figures, f"{step}_durable_seconds"):
            os.ftruncate(file.fileno(), size)
            begin = time.perf_counter()
            starts = iter(range(0, size, PART))

            async def worker() -> None:
                for start in starts:
                    got = await obstore.get_range_async(store, KEY, start=start, end=min(start + PART, size))
                    await asyncio.to_thread(os.pwrite, file.fileno(), got, start)

            await asyncio.gather(*(worker() for _ in range(arguments.at_once)))
            figures[f"{step}_seconds"] = round(time.perf_counter() - begin, 4)
            await asyncio.to_thread(os.fsync, file.fileno())
        copy.unlink()

    async def work() -> Figures:
        figures: Figures = {}
        with timed(figures, "up_seconds"):
            await obstore.put_async(store, KEY, path, chunk_size=PART, max_concurrency=arguments.at_once)
        for step in ("down", "again"):
            await bring(step, figures)
        return figures

    return asyncio.run(work())


def our_side(arguments: argparse.Namespace) -> Figures:
    from quilt_mcp.domain.address import parse_package
    from quilt_mcp.domain.plan import CreateRequest, Source

    path = write_file(arguments)

    async def work() -> Figures:
        ops = our_ops(arguments.registry)
        package = parse_package(PACKAGE, arguments.registry)
        figures: Figures = {}
        with timed(figures, "up_seconds"):
            await ops.create(CreateRequest(package, sources=(Source(str(path), KEY),)))
        for step in ("down", "again"):
            with timed(figures, f"{step}_seconds"):
                await ops.install(package, str(Path("installed").absolute()))
            figures[f"{step}_durable_seconds"] = figures[f"{step}_seconds"]
            figures[f"cpu_{step}_durable_seconds"] = figures[f"cpu_{step}_seconds"]
            assert (Path("installed") / KEY).stat().st_size == path.stat().st_size
            shutil.rmtree("installed")
        return figures

    return asyncio.run(work())


def quilt3_side(arguments: argparse.Namespace) -> Figures:
    import quilt3

    path = write_file(arguments)
    figures: Figures = {}
    with timed(figures, "up_seconds"):
        quilt3.Package().set(KEY, str(path)).push(PACKAGE, registry=arguments.registry, force=True)
    with timed(figures, "down_seconds"):
        quilt3.Package.install(PACKAGE, registry=arguments.registry, dest="installed")
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--quilt3", action="store_true")
    parser.add_argument("--unversioned", action="store_true", help="where ours reads the file twice")
    sides = {"obstore": obstore_side, "ours": our_side}
    if "--quilt3" in sys.argv:
        sides["quilt3"] = quilt3_side
    bench(
        "s3_large_file",
        __file__,
        parser,
        sides,
        prepare,
        {"ours_by_obstore_up_seconds": 1.1, "ours_by_obstore_down_seconds": 1.1, "ours peak_mb": 200},
        ratios=("up_seconds", *DOWN, "cpu_up_seconds", "cpu_down_durable_seconds"),
        against=("ours", "obstore"),
        fresh_server=True,
        servers=("ceph", "moto"),  # moto keeps several copies of an upload in memory as it completes it
    )
