"""A stack's user with AWS keys beside plain AWS credentials, on one S3: a page of the list, a log, a cached browse, a push, an
installation; and how often the stack is asked.

python bench/stack.py [--rounds 15] [--packages 200] [--files 50]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from harness import report

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from parts.moto_server import moto_server
from parts.stack import quilt_stack
from parts.stack.faults import no_credentials

LIMIT = 1.1
Act = Callable[[Any, int], Awaitable[object]]


def opened(registry: str, root: Path, cache: str, **settings: Any) -> Any:
    from quilt_mcp import backends
    from quilt_mcp.auth.decision import Decider
    from quilt_mcp.auth.identity import Asker
    from quilt_mcp.auth.sources import Sources
    from quilt_mcp.config import Settings

    given = Settings(
        default_registry=registry, roots=(root,), allow_write=True, cache_dir=root / cache, **settings
    )
    identity = Decider(given, os.environ, sources=Sources(os.environ, folder=root / "nobody")).decide(Asker())
    return backends.open(identity, given)


def acts(registry: str, root: Path) -> dict[str, Act]:
    from quilt_mcp.domain.address import PackageUri
    from quilt_mcp.domain.plan import CreateRequest, Source

    def uri(name: str) -> PackageUri:
        return PackageUri(registry, name)

    async def push(ops: Any, turn: int) -> None:
        name = f"pushed/by{id(ops)}x{turn}"
        await ops.create(CreateRequest(uri(name), sources=(Source(f"{root}/files/"),), message="x"))

    return {
        "list": lambda ops, _: ops.list_packages(registry, limit=100),
        "log": lambda ops, _: ops.log(uri("team/p0"), limit=100),
        "cached_browse": lambda ops, _: ops.browse(uri("team/p0")),
        "push": push,
        "install": lambda ops, turn: ops.install(uri("team/p0"), str(root / f"in{id(ops)}x{turn}")),
    }


async def race(
    sides: dict[str, Any], chosen: dict[str, Act], rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Seconds by act and side; a round that is not counted comes first."""
    found: dict[str, dict[str, list[float]]] = {name: {side: [] for side in sides} for name in chosen}
    for turn in range(rounds + 1):
        for name, act in chosen.items():
            for side in sides if turn % 2 else reversed(sides):
                begun = time.perf_counter()
                await act(sides[side], turn)
                if turn:
                    found[name][side].append(time.perf_counter() - begun)
    return found


async def main(rounds: int, packages: int, files: int) -> None:
    with moto_server() as s3, tempfile.TemporaryDirectory() as home, quilt_stack(s3) as stack:
        root = Path(home)
        os.environ.update(s3.environment())
        bucket = s3.make_bucket()
        registry = f"s3://{bucket}"
        stack.add_bucket(bucket)
        stack.add_user("ada")
        (root / "files").mkdir()
        for number in range(files):
            (root / "files" / f"{number}.csv").write_text(f"a,b\n1,{number}\n" * 100)
        sides = {
            "iam": opened(registry, root, "iam"),
            "platform": opened(
                registry, root, "platform", catalog_url=stack.url, api_key=stack.api_key("ada")
            ),
        }
        chosen = acts(registry, root)
        from quilt_mcp.domain.address import PackageUri
        from quilt_mcp.domain.plan import CreateRequest, Source

        for number in range(packages):
            source = Source(f"{root}/files/{'' if number == 0 else '0.csv'}")
            made = CreateRequest(PackageUri(registry, f"team/p{number}"), sources=(source,))
            await sides["iam"].create(made)
        found = await race(sides, chosen, rounds)
        asked = [one["operation"] or one["path"] for one in stack.requests()]
        stack.fault(no_credentials())
        through = opened(registry, root, "through", catalog_url=stack.url, api_key=stack.api_key("ada"))
        requests: dict[str, int] = {}
        for name in ("list", "log", "cached_browse"):
            await chosen[name](through, 0)
            stack.forget()
            await chosen[name](through, 0)
            requests[name] = len(stack.requests())
    ratios = {
        name: round(statistics.median(b / a for a, b in zip(one["iam"], one["platform"], strict=True)), 3)
        for name, one in found.items()
    }
    figures = {
        "rounds": rounds,
        "packages": packages,
        "files": files,
        "platform_by_iam": ratios,
        "limit": LIMIT,
        "asked_of_the_stack": {name: asked.count(name) for name in sorted(set(asked))},
        "requests_through_the_stack": requests,
    }
    report("stack", figures)
    if over := {name: one for name, one in ratios.items() if one > LIMIT}:
        raise SystemExit(f"over {LIMIT}: {over}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--packages", type=int, default=200)
    parser.add_argument("--files", type=int, default=50)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.packages, given.files))
