"""C5: quilt3, which writes without conditions, among our processes that push to the same package at the same time.

It replaces what it likes, and nobody can keep it from that. What must be so all the same: everyone's acknowledged revisions are
there, whole; ours take nothing from anyone; a line of ours that is gone from the log was overwritten by quilt3, as the bucket's
versions show; and what we found replaced when we read it back, we warned of.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from racing import Push, Told, race
from s3_registry import NAME, S3Registry, open_ops

from parts.proxy import Exchange, Proxy, Recording
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from s3_push import make

QUILT3_PUSHES = """
import pathlib, time
from quilt3.util import QuiltException
place = {"name": "a/b", "registry": arguments["registry"]}
who, go, stop = arguments["who"], pathlib.Path(arguments["go"]), pathlib.Path(arguments["stop"])
result, number = [], 0
while not stop.exists():
    if result:  # its first push takes it as long as ours take for ten
        pathlib.Path("ready").touch()
        while not go.exists():
            time.sleep(0.01)
    number += 1
    path = f"{who}-{number}"
    pathlib.Path(path).write_text(path)
    package = quilt3.Package.browse(**place)
    parent = package.top_hash
    package.set(path, path)
    try:
        # Without force it looks at latest before it writes, which is no condition: others still come in between.
        pushed = package.push(**place, message=path, force=number % 2 == 0)
    except QuiltException as error:
        if type(error).__name__ != "QuiltConflictException":
            raise
    else:
        result.append([pushed.top_hash, parent])
"""


@dataclass(frozen=True)
class Write:
    """Of a pointer, ``by`` an access key. ``top_hash`` None: it was deleted."""

    by: str
    top_hash: str | None


@dataclass(frozen=True)
class Tally:
    """What quilt3 did to us: nothing here is promised, and all of it is told."""

    our_pushes: int
    quilt3_pushes: int
    ours_out_of_the_parent_line: int
    our_pointers_overwritten: int
    ours_warned: int


def race_with_quilt3(
    writers: int, pushes: int, quilt3s: int, moto: S3Access, proxy: Proxy, root: Path
) -> Tally:
    """Fails where one of the promises is broken."""
    server, bucket = moto.via(proxy.url), moto.make_bucket()
    with proxy.recording() as seen, moto.boto() as raw:
        first = anyio.run(make, open_ops(server, bucket, root / "first")).top_hash
        told, theirs = _run(writers, pushes, quilt3s, server, bucket, root)
        ours = {push.top_hash: push for pushed in told for push in pushed}
        registry = S3Registry(raw, bucket)
        written = history(seen, registry)
        tally = Tally(
            our_pushes=len(ours),
            quilt3_pushes=len(theirs),
            ours_out_of_the_parent_line=len(ours.keys() - set(_line(registry.latest(), ours, theirs))),
            our_pointers_overwritten=len(ours.keys() - set(registry.log())),
            ours_warned=sum(bool(push.warnings) for push in ours.values()),
        )
        assert len(ours) == writers * pushes
        for top_hash in (first, *ours, *theirs):
            registry.files(top_hash)
        registry.check()
        swaps = [write for write in written["latest"] if write.by.startswith("writer-")]
        assert sorted(str(swap.top_hash) for swap in swaps) == sorted(ours), (
            "one swap of latest for each push"
        )
        check_nothing_of_anyone_was_replaced_by_us(written, ours)
        check_lines_gone_were_overwritten_by_quilt3(written, ours, registry.log(), tally)
        for number, pushed in enumerate(told):
            check_warned_of_what_was_read_back(seen, f"writer-{number}", pushed, tally)
        turns = "".join("q" if write.by.startswith("quilt3-") else "o" for write in written["latest"][1:])
        assert "q" in turns.strip("q"), f"quilt3 never came between ours: {turns}"
    return tally


def _run(
    writers: int, pushes: int, quilt3s: int, server: S3Access, bucket: str, root: Path
) -> tuple[Told, dict[str, str]]:
    """What our processes were told, and quilt3's revisions with the ones that they were made from."""
    go, stop = root / "go", root / "stop"
    clients = [
        Quilt3(root / f"quilt3-{number}", replace(server, access_key=f"quilt3-{number}"))
        for number in range(quilt3s)
    ]
    running = [
        client.start(
            QUILT3_PUSHES, registry=f"s3://{bucket}", who=client.home.name, go=str(go), stop=str(stop)
        )
        for client in clients
    ]

    def signal() -> None:
        for client, process in zip(clients, running, strict=True):
            while not (client.home / "ready").exists():
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.01)
        go.touch()

    try:
        told = race([str(root), server.url, bucket], writers, pushes, 3600, signal)
        stop.touch()
        results = [Quilt3.finish(process) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    return told, {top_hash: parent for result in results for top_hash, parent in result}


def _line(latest: str | None, ours: dict[str, Push], theirs: dict[str, str]) -> Iterator[str]:
    """Latest, the revision that it was made from, and so on."""
    while latest is not None:
        yield latest
        latest = ours[latest].parent if latest in ours else theirs.get(latest)


def history(seen: Recording, registry: S3Registry) -> dict[str, list[Write]]:
    """By tag, all that was done to a pointer, in the order in which the server did it. Who did it tells the proxy, what was
    written the bucket, which keeps every version."""
    prefix = f".quilt/named_packages/{NAME}/"
    found: dict[str, list[Write]] = {}
    for exchange in sorted(seen.mutating, key=lambda exchange: exchange.acted):
        call = exchange.call
        if call.bucket != registry.bucket or not call.key.startswith(prefix) or exchange.status >= 300:
            continue
        version = exchange.answered["x-amz-version-id"]
        wrote = call.operation == "PutObject"
        top_hash = registry.read(call.key, version).decode() if wrote else None
        found.setdefault(call.key.removeprefix(prefix), []).append(Write(exchange.access_key, top_hash))
    return found


def check_nothing_of_anyone_was_replaced_by_us(
    written: dict[str, list[Write]], ours: dict[str, Push]
) -> None:
    """Our timestamp pointers are made where there is none, taken back only while they are ours, and our swap of latest replaces
    just the parent that the push names."""
    for tag, writes in written.items():
        for before, after in pairwise([Write("", None), *writes]):
            if not after.by.startswith("writer-"):
                continue
            what = f"{tag}: {after} came upon {before}"
            if tag == "latest":
                assert after.top_hash is not None and before.top_hash == ours[after.top_hash].parent, what
            elif after.top_hash is not None:
                assert before.top_hash is None, what
            else:
                assert before.by == after.by, what


def check_lines_gone_were_overwritten_by_quilt3(
    written: dict[str, list[Write]], ours: dict[str, Push], log: list[str], tally: Tally
) -> None:
    for top_hash in ours.keys() - set(log):
        after = [
            next_write
            for tag, writes in written.items()
            for write, next_write in pairwise(writes)
            if tag != "latest" and write.top_hash == top_hash and next_write.top_hash is not None
        ]
        assert after, f"the line of {top_hash} is gone, and nobody overwrote its pointer: {asdict(tally)}"
        assert all(write.by.startswith("quilt3-") for write in after), (top_hash, after)


def check_warned_of_what_was_read_back(
    seen: Recording, writer: str, pushed: list[Push], tally: Tally
) -> None:
    """After each swap of latest the writer reads latest and its timestamp pointer; where one was not its own any more, the
    outcome says so."""
    exchanges = [exchange for exchange in seen.exchanges if exchange.access_key == writer]
    swaps = [
        place
        for place, exchange in enumerate(exchanges)
        if exchange.call.operation == "PutObject" and _is_latest(exchange) and exchange.status == 200
    ]
    for push, place in zip(pushed, swaps, strict=True):
        etag = exchanges[place].answered["etag"]
        reads = [
            exchange
            for exchange in exchanges[place:]
            if exchange.call.operation == "GetObject" and "/named_packages/" in exchange.call.key
        ]
        latest, logged = reads[:2]
        assert _is_latest(latest) and not _is_latest(logged), f"{latest}, {logged}"
        told = f"{push}, {asdict(tally)}"
        if latest.answered.get("etag") != etag:
            assert any(warning.startswith("latest_moved") for warning in push.warnings), told
        if logged.answered.get("etag") != etag:
            assert any(warning.startswith("timestamp_replaced") for warning in push.warnings), told


def _is_latest(exchange: Exchange) -> bool:
    return exchange.call.key.endswith("/latest")


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("writers", "pushes", "quilt3s"),
    [
        pytest.param(3, 6, 1, id="3 processes, 6 pushes each, beside 1 of quilt3"),
        pytest.param(
            8,
            10,
            2,
            id="8 processes, 10 pushes each, beside 2 of quilt3",
            marks=[pytest.mark.nightly, pytest.mark.timeout(3600)],
        ),
    ],
)
def test_beside_quilt3_nothing_of_ours_is_lost_but_what_it_overwrote_and_what_we_saw_of_that_is_told(
    writers: int, pushes: int, quilt3s: int, moto: S3Access, moto_proxy: Proxy, tmp_path: Path
) -> None:
    print(race_with_quilt3(writers, pushes, quilt3s, moto, moto_proxy, tmp_path))
