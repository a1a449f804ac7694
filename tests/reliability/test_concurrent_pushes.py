"""C1: many processes push to one package; every acknowledged revision is in the log, in one line of parents, and none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
import registry_checks
from pusher import NAME

from quilt_mcp.backends.local import open_local
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile


async def create(root: Path) -> str:
    ops = open_local(
        str(root / "registry"), roots=(root,), writable=True, cache=root / "cache", cache_bytes=1 << 20
    )
    request = CreateRequest(PackageUri(ops.default_registry, NAME), files=(InlineFile("first", b"1"),))
    return (await ops.create(request)).top_hash


def race(root: Path, writers: int, pushes: int, seconds: int) -> list[list[tuple[str, str, str]]]:
    """What each of ``writers`` processes was told of its pushes, all started at one signal."""
    script = Path(__file__).with_name("pusher.py")
    running = [
        subprocess.Popen(
            [sys.executable, script, root, f"writer-{number}", str(pushes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=seconds)[0] for process in running]
        assert [process.returncode for process in running] == [0] * writers
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [[tuple(json.loads(line)) for line in output.splitlines()] for output in outputs]


@pytest.mark.parametrize(
    ("writers", "pushes"),
    [
        pytest.param(6, 8, id="6 processes, 8 pushes each"),
        pytest.param(
            32, 50, id="32 processes, 50 pushes each", marks=[pytest.mark.nightly, pytest.mark.timeout(1800)]
        ),
    ],
)
def test_no_acknowledged_push_is_lost_and_the_log_is_one_line_of_parents(
    writers: int, pushes: int, tmp_path: Path
) -> None:
    registry = tmp_path / "registry"
    registry.mkdir()
    first = anyio.run(create, tmp_path)
    told = race(tmp_path, writers, pushes, 100 if writers < 10 else 1700)
    acknowledged = {top_hash: parent for pushed in told for top_hash, parent, _ in pushed}
    assert len(acknowledged) == writers * pushes
    log = registry_checks.log(registry, NAME)
    assert sorted(log) == sorted([first, *acknowledged]), "each is one line, and nothing else is"
    for before, after in pairwise(log):
        assert acknowledged[after] == before, "each was built on the line below it"
    assert registry_checks.pointers(registry, NAME)["latest"] == log[-1]
    place = {top_hash: number for number, top_hash in enumerate(log)}
    for pushed in told:
        own = [place[top_hash] for top_hash, _, _ in pushed]
        assert own == sorted(own), "a process's pushes stand in the order it made them"
        for top_hash, _, seen in pushed:
            assert place[seen] >= place[top_hash], (
                "latest was never seen to go back behind an acknowledged push"
            )
    expected = {
        f"writer-{writer}/{number}": f"writer-{writer} {number}".encode()
        for writer in range(writers)
        for number in range(pushes)
    }
    assert registry_checks.files(registry, log[-1]) == {"first": b"1", **expected}
    registry_checks.check(registry)
    assert not registry_checks.unfinished(tmp_path)
