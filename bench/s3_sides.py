"""The two sides of an S3 comparison: each a process of its own, in turn, on one server.

A bench names its sides (functions that do the work and answer figures), and ``prepare``, which fills a bucket and says where
the work is to be done. Seconds are taken inside the side, so imports count for nobody. Requests are counted by the proxy in
a run of its own; the runs that are timed have nothing between them and the server.

python bench/s3_<what>.py [--server moto|ceph] [--rounds 3] [sizes...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from harness import report
from sides import Figures, answer, medians, peak_mb, ratio

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from parts.ceph import ceph_cluster
from parts.moto_server import moto_server
from parts.proxy import Proxy
from parts.s3_access import S3Access

Side = Callable[[argparse.Namespace], Figures]


@dataclass(frozen=True)
class Server:
    kind: str
    access: S3Access
    """Through the proxy."""
    direct: S3Access
    proxy: Proxy

    def put_all(self, bucket: str, objects: Iterable[tuple[str, bytes]], at_once: int = 24) -> None:
        """Fills a bucket by the quickest way, past the proxy."""
        import obstore

        store = fast_store(self.direct, bucket)

        async def put() -> None:
            waiting = iter(objects)

            async def worker() -> None:
                for key, content in waiting:
                    await obstore.put_async(store, key, content, use_multipart=False)

            await asyncio.gather(*(worker() for _ in range(at_once)))

        asyncio.run(put())


@contextmanager
def s3_server(kind: str) -> Iterator[Server]:
    if kind == "ceph":
        with ceph_cluster(capacity=12 << 30) as cluster, Proxy(cluster.access.url) as proxy:
            yield Server(kind, cluster.access.via(proxy.url), cluster.access, proxy)
    else:
        with moto_server() as direct, Proxy(direct.url) as proxy:
            yield Server(kind, direct.via(proxy.url), direct, proxy)


def fast_store(access: S3Access, bucket: str) -> Any:
    from obstore.store import S3Store

    return S3Store(
        bucket,
        endpoint=access.url,
        access_key_id=access.access_key,
        secret_access_key=access.secret_key,
        region=access.region,
        virtual_hosted_style_request=False,
        checksum_algorithm="SHA256",
        client_options={"allow_http": True, "timeout": timedelta(minutes=30)},
    )


def our_ops(registry: str) -> Any:
    """The IAM backend on this process's server, with a cache that is empty as it begins. Local files: its working folder."""
    from quilt_mcp.auth.identity import S3Access as Reached
    from quilt_mcp.backends.iam import IamOps
    from quilt_mcp.backends.options import Options
    from quilt_mcp.storage.s3.clients import AwsKeys

    keys = AwsKeys(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    options = Options(
        roots=(Path.cwd(), Path(tempfile.gettempdir())),
        writable=True,
        cache=Path.cwd() / "our-cache",
        cache_bytes=1 << 30,
    )
    access = Reached(lambda: keys, os.environ["AWS_REGION"], os.environ["AWS_ENDPOINT_URL"])
    return IamOps(access, registry, options)


@contextmanager
def timed(figures: Figures, name: str = "seconds") -> Iterator[None]:
    """What others wrote before is on the disk by then, so that nobody waits for it but them. ``cpu_seconds`` of a side, and of
    the processes that it waited for, tell what it costs on a machine that others keep busy too."""
    os.sync()
    begin, worked = time.perf_counter(), _cpu_seconds()
    yield
    figures[name] = round(time.perf_counter() - begin, 4)
    figures[f"cpu_{name}"] = round(_cpu_seconds() - worked, 2)


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def _count(script: str, side: str, server: Server, given: list[str]) -> Figures:
    with server.proxy.recording() as seen:
        figures = _run(script, side, server.access, given)
    counted = {f"requests_{operation}": count for operation, count in sorted(seen.counts.items())}
    return {**figures, "requests": seen.total, **counted}


def _run(script: str, side: str, access: S3Access, given: list[str]) -> Figures:
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as home:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "TMPDIR": tempfile.gettempdir(),
            "HOME": home,
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_CONFIG_HOME": f"{home}/config",
            "QUILT_DISABLE_USAGE_METRICS": "true",
            "QUILT_MINIMIZE_STDOUT": "true",
            **access.environment(),
        }
        command = [sys.executable, str(Path(script).resolve()), *given, "--side", side]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, check=False)
        if done.returncode:
            raise RuntimeError(f"{side} failed with {done.returncode}:\n{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def bench(
    name: str,
    script: str,
    parser: argparse.ArgumentParser,
    sides: dict[str, Side],
    prepare: Callable[[Server, argparse.Namespace, str], str],
    targets: dict[str, float],
    *,
    per_item: tuple[str, str] | None = None,
    ratios: tuple[str, ...] = ("seconds",),
    against: tuple[str, str] = ("quilt3", "ours"),
    servers: tuple[str, ...] = ("moto", "ceph"),
    fresh_server: bool = False,
) -> None:
    """Runs ``script`` as each side in turn. ``prepare`` answers the registry (or bucket) URL for one run of a side.

    ``ratios``: figures told as one side's by the other's (``against``; quilt3's by ours is how many times faster we are).
    ``per_item``: an option with a count, and the figure to divide by it. ``fresh_server``: each round has a server of its own,
    where what the rounds leave behind would fill one.
    """
    parser.add_argument("--server", choices=servers, default=servers[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="timed runs; 0: only the one that counts requests"
    )
    parser.add_argument("--only", choices=list(sides), help="one side alone")
    parser.add_argument("--side", choices=list(sides), help=argparse.SUPPRESS)
    parser.add_argument("--registry", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        figures = sides[arguments.side](arguments)
        return answer({**figures, "peak_mb": peak_mb()})

    given = [text for text in sys.argv[1:] if text]
    chosen = [arguments.only] if arguments.only else list(sides)
    found: dict[str, list[Figures]] = {side: [] for side in chosen}
    counted: dict[str, Figures] = {}
    with s3_server(arguments.server) as server:
        for side in chosen:
            url = prepare(server, arguments, side)
            counted[side] = _count(script, side, server, [*given, "--registry", url])
            print(f"{name} {side}: {counted[side]}", file=sys.stderr)
        for turn in range(arguments.rounds):
            with s3_server(arguments.server) if fresh_server else nullcontext(server) as used:
                for side in chosen if turn % 2 == 0 else reversed(chosen):
                    url = prepare(used, arguments, side)
                    figures = _run(script, side, used.direct, [*given, "--registry", url])
                    print(f"{name} {turn + 1}/{arguments.rounds} {side}: {figures}", file=sys.stderr)
                    found[side].append(figures)
    middles = {side: counted[side] | (medians(rounds) if rounds else {}) for side, rounds in found.items()}
    summary: dict[str, Any] = {}
    over, under = against
    if {over, under} <= found.keys() and arguments.rounds:
        summary = {
            f"{over}_by_{under}_{figure}": ratio(found[over], figure, found[under], figure)
            for figure in ratios
        }
    if per_item and "ours" in middles:
        option, figure = per_item
        summary[f"{figure}_per_{option.rstrip('s')}"] = round(
            middles["ours"][figure] / getattr(arguments, option), 3
        )
    sizes = {
        option: value
        for option, value in vars(arguments).items()
        if option not in ("side", "registry", "only") and value is not None
    }
    report(name, {**sizes, **summary, "targets": targets, "medians": middles})
