"""Who has a child when: turns of queries, the child that waits for the next one, and what goes with whom."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from boxed import PACKAGE, ask, boxed, leftovers, write_package

from quilt_mcp.backends.querying import opening
from quilt_mcp.config import Settings
from quilt_mcp.domain.sql import SqlRequest
from quilt_mcp.errors import HashMismatch, StorageUnavailable, TooCostly
from quilt_mcp.lockdown import folder
from quilt_mcp.session import Session
from quilt_mcp.sql import spare
from quilt_mcp.sql.child import Child
from quilt_mcp.sql.query_file import QueryFile
from quilt_mcp.sql.spare import MOST_BETWEEN, Spare
from quilt_mcp.storage import seen_files
from quilt_mcp.storage.limits import CHILDREN

pytestmark = pytest.mark.anyio
ENDLESS = "SELECT count(*) FROM range(100000000000)"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_package(tmp_path_factory.mktemp("turns"))


async def run(child: Child, text: str) -> object:
    found = await child.run("rows", [], [], 60, text, parameters={}, most=9, limit=9, room=9_999, longest=999)
    return found["rows"]


async def test_a_child_that_answered_too_late_is_not_asked_again() -> None:
    waiting = Spare()
    async with waiting.turns() as turns:
        async with turns.turn() as first:
            assert await run(first, "SELECT 1") == [[1]]
        async with turns.turn() as again:
            assert again is first
            with anyio.move_on_after(0.2):
                await run(again, ENDLESS)
        async with turns.turn() as other:
            assert other is not first and not first.is_alive
            assert await run(other, "SELECT 2") == [[2]]
    await waiting.close()


async def test_others_have_their_turns_while_files_are_brought(url: str, tmp_path: Path) -> None:
    """Of more queries than may run at once, and than may keep a child meanwhile."""
    sql = boxed(url, tmp_path / "cache")
    go_on, waiting = anyio.Event(), 0
    counts: list[object] = []

    async def slowly(done: float, total: float | None, message: str) -> None:
        nonlocal waiting
        if not go_on.is_set():
            waiting += 1
            await go_on.wait()

    async def query() -> None:
        request = SqlRequest("SELECT count(*) FROM 'data/runs.parquet'", (PACKAGE,))
        counts.append((await sql.query(request, progress=slowly)).rows)

    async with anyio.create_task_group() as group:
        with anyio.fail_after(50):
            for _ in range(CHILDREN + MOST_BETWEEN):
                group.start_soon(query)
            while waiting < CHILDREN + MOST_BETWEEN:
                await anyio.sleep(0.02)
            assert (await ask(sql, "SELECT 1")).rows == ((1,),)
        go_on.set()
    assert counts == [((2_000,),)] * (CHILDREN + MOST_BETWEEN)
    await sql.close()
    assert leftovers() == set()


async def test_a_file_that_changes_after_it_was_checked_is_told(url: str, tmp_path: Path) -> None:
    """Of two files the first is written to while the second is looked at: not a row of either is answered."""
    file = Path(url.removeprefix("file://")).parent / "files" / "growth.csv"
    sql, body = boxed(url, tmp_path / "cache"), file.read_bytes()
    text = "SELECT count(*) FROM 'data/growth.csv' g, 'data/plates.csv' p"
    calls = 0

    async def write(done: float, total: float | None, message: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            about = file.stat()
            file.write_bytes(body[:-3] + b"no\n")
            os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))

    try:
        with pytest.raises(HashMismatch):
            await sql.query(SqlRequest(text, (PACKAGE,)), progress=write)
        assert calls == 2
    finally:
        file.write_bytes(body)
    assert (await ask(sql, text)).rows == ((240 * 48,),)
    await sql.close()


async def test_more_files_than_may_be_open_are_told_as_that(tmp_path: Path) -> None:
    import quilt3

    (files := tmp_path / "files").mkdir()
    (tmp_path / "registry").mkdir()
    package = quilt3.Package()
    for number in range(90):
        (files / f"p{number}.csv").write_text(f"id,v\n{number},1\n")
        package.set(f"p{number}.csv", str(files / f"p{number}.csv"))
    url = (tmp_path / "registry").as_uri()
    package.build(PACKAGE, registry=url)
    sql = boxed(url, tmp_path / "cache")
    text = "SELECT count(*) FROM files('*.csv')"
    assert (await ask(sql, text)).rows == ((90,),)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 90, hard))
    try:
        with pytest.raises((StorageUnavailable, TooCostly)) as caught:
            await ask(sql, text)
        assert "ulimit" in caught.value.next_step
        assert (await ask(sql, "SELECT count(*) FROM files('p1*.csv')")).rows == ((11,),)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await sql.close()


@pytest.mark.parametrize(("bound", "error"), [("MOST_OPEN", TooCostly), (None, StorageUnavailable)])
def test_a_query_holds_no_more_files_than_it_may(
    monkeypatch: pytest.MonkeyPatch, bound: str | None, error: type[Exception]
) -> None:
    """Nor the last descriptors of this process, which others need."""
    before = len(os.listdir("/dev/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = opening.HeldFiles()
    if bound is not None:
        monkeypatch.setattr(opening, bound, 5)
    others = [os.dup(0) for _ in range(0 if bound else 70)]
    try:
        if bound is None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(others) + 38, hard))
        for _ in range(5):
            held.add(QueryFile("file.csv", 0, os.dup(0)))
        with pytest.raises(error):
            held.add(QueryFile("file.csv", 0, os.dup(0)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in others:
            os.close(one)
    held.close()
    assert len(os.listdir("/dev/fd")) == before, "the one that was too many is closed, too"


async def test_a_file_that_changed_just_now_is_read_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its times may stay as they are while its bytes change; later they tell, and it is believed by them."""
    sql = boxed(url, tmp_path / "cache")
    file = Path(url.removeprefix("file://")).parent / "files" / "growth.csv"
    hashed = 0

    async def note(done: float, total: float | None, message: str) -> None:
        nonlocal hashed
        hashed += 1

    async def times(count: int) -> int:
        nonlocal hashed
        hashed = 0
        for _ in range(count):
            await sql.query(SqlRequest("SELECT 1 FROM 'data/growth.csv'", (PACKAGE,)), progress=note)
        return hashed

    file.write_bytes(file.read_bytes())
    assert await times(2) == 2
    monkeypatch.setattr(seen_files, "UNSURE_SECONDS", 0.0)
    assert await times(2) == 1
    await sql.close()


# -- what goes with whom --


async def test_a_child_that_nobody_takes_ends_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "IDLE_SECONDS", 0.1)
    waiting = Spare()
    waiting.prepare()
    assert waiting._starting is not None
    await to_thread.run_sync(waiting._starting.join)
    with anyio.fail_after(20):
        while leftovers():
            await anyio.sleep(0.02)
    assert not [one for one in own_processes() if state_of(one) == "Z"]
    async with waiting.turns() as turns, turns.turn(is_last=True) as child:
        assert await run(child, "SELECT 1") == [[1]]


async def test_nothing_waits_when_a_session_is_closed(url: str, tmp_path: Path) -> None:
    folder_of = Path(url.removeprefix("file://"))
    session = Session(
        Settings.load(
            {},
            {"default_registry": url, "roots": [str(folder_of.parent)], "cache_dir": str(tmp_path / "cache")},
        )
    )
    others = own_processes()
    assert not (await session.call("sql_query", {"sql": "SELECT 1"})).is_error
    await session.close()
    assert own_processes() <= others
    assert leftovers() == set()


START = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from quilt_mcp.sql.child import Child, Layers
child = Child.start(Layers())
print(child._folder, flush=True)
time.sleep(600)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """Not what a living one has, what a link leads to, and what another space of numbers counts."""
    (away := tmp_path / "away").mkdir()
    (away / "file").write_text("x")
    (place := tmp_path / "place").mkdir()
    processes = [
        subprocess.Popen([sys.executable, "-c", START, str(place)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        killed, living = (Path(one.stdout.readline().strip()) for one in processes if one.stdout)
        assert killed.is_dir() and living.is_dir()
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        number = processes[0].pid
        (place / f"{folder.PREFIX}{number}.1.{folder._space()}-linked").symlink_to(away)
        (place / f"{folder.PREFIX}{number}.1.77-elsewhere").mkdir()
        (place / "quilt-mcp-of-old").mkdir()
        folder.sweep(str(place))
        left = {one.name for one in place.iterdir()}
        wanted = {living.name, f"{folder.PREFIX}{number}.1.{folder._space()}-linked", "quilt-mcp-of-old"}
        assert left == wanted | {f"{folder.PREFIX}{number}.1.77-elsewhere"}
        assert (away / "file").read_text() == "x"
    finally:
        for one in processes:
            one.kill()
            one.wait()
            if one.stdout is not None:
                one.stdout.close()


def own_processes() -> set[int]:
    """That this process started, ended ones too where nobody asked for their end."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(number) for one in found for number in one.read_text().split()}


def state_of(number: int) -> str:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
