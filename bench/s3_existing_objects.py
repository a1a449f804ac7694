"""A package of objects that are in the bucket already and carry S3 checksums: nothing is downloaded.

python bench/s3_existing_objects.py [--objects 100000] [--quilt3] [--rounds 1]
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from s3_sides import Figures, Server, bench, our_ops, timed

PACKAGE = "team/package"
_filled: list[str] = []


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    """Every side packages the same objects under a name of its own (and in place, so none writes objects)."""
    if not _filled:
        bucket = server.direct.make_bucket()
        server.put_all(
            bucket,
            (
                (f"data/folder{number % 100}/object{number:07d}", b"%d" % number)
                for number in range(arguments.objects)
            ),
        )
        _filled.append(f"s3://{bucket}")
    return _filled[0]


def our_side(arguments: argparse.Namespace) -> Figures:
    from quilt_mcp.domain.address import parse_package
    from quilt_mcp.domain.plan import CreateRequest, Source

    async def work() -> Figures:
        ops = our_ops(arguments.registry)
        package = parse_package(PACKAGE, arguments.registry)
        figures: Figures = {}
        request = CreateRequest(
            package, sources=(Source(f"{arguments.registry}/data/"),), copy=False, overwrite=True
        )
        with timed(figures):
            done = await ops.create(request)
        assert done.plan.added + done.plan.kept + done.plan.replaced == arguments.objects
        return figures

    return asyncio.run(work())


def quilt3_side(arguments: argparse.Namespace) -> Figures:
    import quilt3

    figures: Figures = {}
    with timed(figures):
        package = quilt3.Package().set_dir("", f"{arguments.registry}/data/")
        package.push("team/quilt3", registry=arguments.registry, force=True, selector_fn=lambda *_: False)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--quilt3", action="store_true")
    sides = {"ours": our_side}
    if "--quilt3" in sys.argv:
        sides["quilt3"] = quilt3_side
    bench(
        "s3_existing_objects",
        __file__,
        parser,
        sides,
        prepare,
        {"ours requests_GetObject of objects": 0, "ours peak_mb": 300},
        per_item=("objects", "requests"),
        servers=("moto",),  # the one that keeps checksums
    )
