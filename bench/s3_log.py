"""The revisions of a package, beside quilt3.list_package_versions; and browsing a revision that is cached.

python bench/s3_log.py [--revisions 100] [--server moto|ceph] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio

from s3_sides import Figures, Server, bench, our_ops, timed

PACKAGE = "team/package"
_filled: list[str] = []


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    from quilt_mcp.domain.entry import Header
    from quilt_mcp.domain.manifest.codec import encode_header
    from quilt_mcp.domain.manifest.top_hash import TopHash

    if not _filled:
        bucket = server.direct.make_bucket()
        objects: list[tuple[str, bytes]] = []
        pointers = f".quilt/named_packages/{PACKAGE}"
        for number in range(arguments.revisions):
            header = Header({"version": "v0", "message": f"revision {number}"})
            top_hash = TopHash(header).hexdigest()
            objects += [
                (f".quilt/packages/{top_hash}", encode_header(header)),
                (f"{pointers}/{1_700_000_000 + number}", top_hash.encode()),
                (f"{pointers}/latest", top_hash.encode()),
            ]
        latest = objects.pop()
        server.put_all(bucket, [*(item for item in objects if item[0] != latest[0]), latest])
        _filled.append(f"s3://{bucket}")
    return _filled[0]


def quilt3_side(arguments: argparse.Namespace) -> Figures:
    import quilt3

    figures: Figures = {}
    with timed(figures):
        found = list(quilt3.list_package_versions(PACKAGE, arguments.registry))
    assert len(found) == arguments.revisions + 1
    return figures


def our_side(arguments: argparse.Namespace) -> Figures:
    from quilt_mcp.domain.address import parse_package

    async def log() -> Figures:
        ops = our_ops(arguments.registry)
        figures: Figures = {}
        with timed(figures):
            page = await ops.log(parse_package(PACKAGE, arguments.registry), limit=arguments.revisions)
        assert len(page.items) == arguments.revisions
        return figures

    return asyncio.run(log())


def browse_side(arguments: argparse.Namespace, calls: int) -> Figures:
    from quilt_mcp.domain.address import parse_package

    async def browse() -> Figures:
        ops = our_ops(arguments.registry)
        package = parse_package(PACKAGE, arguments.registry)
        figures: Figures = {}
        for call in range(calls):
            with timed(figures, f"call_{call + 1}_seconds"):
                await ops.browse(package)
        return figures

    return asyncio.run(browse())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--revisions", type=int, default=100)
    bench(
        "s3_log",
        __file__,
        parser,
        {
            "quilt3": quilt3_side,
            "ours": our_side,
            "ours_browse_once": lambda arguments: browse_side(arguments, 1),
            "ours_browse_twice": lambda arguments: browse_side(arguments, 2),
        },
        prepare,
        {"quilt3_by_ours_seconds": 25, "requests of browse_twice above browse_once": 2},
    )
