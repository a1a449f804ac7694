"""Listing a folder of 100 objects with a link for each, by the tool as an agent calls it.

python bench/s3_links.py [--objects 100] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio

from s3_sides import Figures, Server, bench, our_ops, timed

_filled: list[str] = []


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    if not _filled:
        bucket = server.direct.make_bucket()
        server.put_all(bucket, ((f"data/object{number:04d}", b"x") for number in range(arguments.objects)))
        _filled.append(f"s3://{bucket}")
    return _filled[0]


def our_side(arguments: argparse.Namespace) -> Figures:
    async def work() -> Figures:
        ops = our_ops(arguments.registry)
        figures: Figures = {}
        with timed(figures):
            page = await ops.list_objects(f"{arguments.registry}/data/", links=True, limit=arguments.objects)
        assert len({item.link.url for item in page.items}) == arguments.objects
        return figures

    return asyncio.run(work())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=100)
    bench(
        "s3_links",
        __file__,
        parser,
        {"ours": our_side},
        prepare,
        {"ours requests": 2, "the incumbent's requests": 304},
    )
