"""Listing the packages of a bucket, beside quilt3.list_packages, and beside a client that only fetches the pages of the listing
and looks at nothing but where to go on (``floor``); and our first page of 50.

python bench/s3_list_packages.py [--packages 5000] [--server moto|ceph] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib

from s3_sides import Figures, Server, bench, our_ops, timed

_filled: list[str] = []


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    """Each package has a revision and a latest: two pointers."""
    if not _filled:
        bucket = server.direct.make_bucket()
        server.put_all(
            bucket,
            (
                (f".quilt/named_packages/team{number % 20}/package{number:06d}/{pointer}", top_hash)
                for number in range(arguments.packages)
                for top_hash in [hashlib.sha256(b"%d" % number).hexdigest().encode()]
                for pointer in ("1700000000", "latest")
            ),
        )
        _filled.append(f"s3://{bucket}")
    return _filled[0]


def quilt3_side(arguments: argparse.Namespace) -> Figures:
    import quilt3

    figures: Figures = {}
    with timed(figures):
        assert len(list(quilt3.list_packages(arguments.registry))) == arguments.packages
    return figures


def our_side(arguments: argparse.Namespace) -> Figures:
    async def listing() -> Figures:
        ops = our_ops(arguments.registry)
        figures: Figures = {}
        names: list[str] = []
        cursor = None
        with timed(figures):
            while True:
                page = await ops.list_packages(arguments.registry, limit=1000, cursor=cursor)
                names += [item.name for item in page.items]
                cursor = page.next_cursor
                if cursor is None:
                    break
        assert len(set(names)) == arguments.packages
        return figures

    return asyncio.run(listing())


def floor(arguments: argparse.Namespace) -> Figures:
    """One request for a thousand pointers and nothing else: what no client of this server can be faster than."""
    import boto3
    import httpx2

    client = boto3.client("s3")
    figures: Figures = {}
    with timed(figures), httpx2.Client() as http:
        given = {"Bucket": arguments.registry.removeprefix("s3://"), "Prefix": ".quilt/named_packages/"}
        while True:
            text = http.get(client.generate_presigned_url("list_objects_v2", given)).raise_for_status().text
            _, more, rest = text.partition("<NextContinuationToken>")
            if not more:
                return figures
            given["ContinuationToken"] = rest.partition("<")[0]


def our_first_page(arguments: argparse.Namespace) -> Figures:
    async def listing() -> Figures:
        ops = our_ops(arguments.registry)
        figures: Figures = {}
        with timed(figures):
            page = await ops.list_packages(arguments.registry, limit=50)
        assert len(page.items) == min(50, arguments.packages)
        return figures

    return asyncio.run(listing())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", type=int, default=5000)
    bench(
        "s3_list_packages",
        __file__,
        parser,
        {"quilt3": quilt3_side, "ours": our_side, "floor": floor, "ours_first_page": our_first_page},
        prepare,
        {"quilt3_by_ours_seconds": 1.4, "ours requests": 10, "ours_first_page requests": 3},
    )
