"""One child by itself: what it is asked and answers, the files that it is handed, and the file that it leaves."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pytest
from anyio import to_thread
from boxed import leftovers

from quilt_mcp.errors import HashMismatch, QuiltError, StorageFull, StorageUnavailable, TooCostly, Undecodable
from quilt_mcp.sql import ranges
from quilt_mcp.sql.child import CHANNELS, Child, Layers, QueryFile, View, place
from quilt_mcp.sql.result_file import NAME, open_result
from quilt_mcp.storage.limits import MEMORY, limits

pytestmark = pytest.mark.anyio
ENDLESS = "SELECT count(*) FROM range(100000000000)"
ROWS = 60_000


@asynccontextmanager
async def started(layers: Layers = Layers()) -> AsyncGenerator[Child]:  # noqa: B008 - it is frozen
    child = await to_thread.run_sync(Child.start, layers)
    try:
        await child.ready()
        yield child
    finally:
        await child.end()


async def rows(
    child: Child,
    text: str,
    files: list[QueryFile] | None = None,
    seconds: float = 60,
    most: int | None = 9,
) -> Any:
    views = [View("t", f"SELECT * FROM read_parquet([{place(0)}])")] if files else []
    with anyio.fail_after(30):
        found = await child.run(
            "rows",
            files or [],
            views,
            seconds,
            text,
            parameters={},
            most=most,
            limit=9,
            room=9_999,
            longest=999,
        )
    return found["rows"]


@contextmanager
def played(answers: list[dict[str, Any]]) -> Iterator[Child]:
    """A child whose answers are given."""
    with ExitStack() as opened:
        pairs = [socket.socketpair() for _ in range(CHANNELS + 2)]
        for own, other in pairs:
            own.setblocking(False)
            opened.enter_context(other)
        process = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
        )
        child = Child(process, tempfile.mkdtemp(prefix="quilt-mcp-"), [own for own, _ in pairs])
        opened.callback(child.stop)
        if process.stdin is not None:
            opened.callback(process.stdin.close)
        pairs[0][1].sendall(b"".join(json.dumps(one).encode() + b"\n" for one in answers))
        yield child


# -- questions and answers --


async def test_an_answer_to_another_question_is_none() -> None:
    of_another = {"answer": {"rows": [["of another"]]}}
    for late in (of_another, {"id": 0, **of_another}, {"id": 7, **of_another}):
        with played([late]) as child:
            with pytest.raises(Undecodable):
                await rows(child, "SELECT 1")
            assert not child.is_usable


async def test_a_child_that_was_left_is_asked_nothing_more() -> None:
    async with started() as child:
        assert await rows(child, "SELECT 1") == [[1]]
        with anyio.move_on_after(0.2):
            await rows(child, ENDLESS)
        assert child.is_alive and not child.is_usable
        with pytest.raises(Undecodable):
            await rows(child, "SELECT 2")


async def test_a_fault_that_is_told_leaves_the_child_of_use() -> None:
    async with started() as child:
        for text in ("SELECT no_column", "SELECT 1 AS"):
            with pytest.raises(QuiltError):
                await rows(child, text)
        assert child.is_usable
        assert await rows(child, "SELECT 3") == [[3]]


# -- ranges --


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """By what is added to each of its numbers. All of one size."""
    found: dict[int, bytes] = {}
    for number in (0, 1):
        path = tmp_path_factory.mktemp("ranged") / "numbers.parquet"
        with duckdb.connect() as engine:
            numbers = f"SELECT (hash(range) % 1000000)::BIGINT AS h, {number}::BIGINT AS n FROM range({ROWS})"
            engine.execute(f"COPY ({numbers}) TO '{path}' (FORMAT parquet, COMPRESSION uncompressed)")
        found[number] = path.read_bytes()
    assert len(found[0]) == len(found[1])
    return found


def ranged(content: bytes, asked: list[int] | None = None) -> QueryFile:
    async def fetch(offset: int, length: int) -> bytes:
        if asked is not None:
            asked.append(length)
        return content[offset : offset + length]

    return QueryFile("file.parquet", len(content), fetch=fetch)


async def test_ranges_are_of_the_files_of_their_own_run(parquet: dict[int, bytes]) -> None:
    """What a child remembers of one run's file is not taken for the next one's, which has the same number, size and end."""
    async with started() as child:
        for number in (0, 1, 0):
            found = await rows(
                child, "SELECT min(n), max(n), count(DISTINCT h) > 1000 FROM t", [ranged(parquet[number])]
            )
            assert found == [[number, number, True]]


async def test_a_large_range_comes_in_pieces(
    parquet: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "PIECE", 10_000)
    asked: list[int] = []
    async with started() as child:
        found = await rows(
            child, "SELECT count(DISTINCT h) > 1000, sum(n)::INT FROM t", [ranged(parquet[1], asked)]
        )
    assert found == [[True, ROWS]]
    assert max(asked) == 10_000 and sum(asked) > len(parquet[1]) / 2


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (HashMismatch("written to"), HashMismatch),
        (OSError(errno.EIO, "broken"), StorageUnavailable),
        (ConnectionResetError(errno.ECONNRESET, "gone"), StorageUnavailable),
        (None, StorageUnavailable),
    ],
    ids=["typed", "disk", "network", "short"],
)
async def test_a_range_that_cannot_be_had_is_the_error_of_the_query(
    parquet: dict[int, bytes], error: Exception | None, wanted: type[QuiltError]
) -> None:
    """At once, not when the query's time is over; in the middle of an answer too."""
    content = parquet[0]

    async def fetch(offset: int, length: int) -> bytes:
        if offset > len(content) - 2_000:
            return content[offset : offset + length]
        if error is None:
            return content[offset : offset + length - 1]
        raise error

    async with started() as child:
        with pytest.raises(wanted) as caught:
            await rows(child, "SELECT sum(h) FROM t", [QueryFile("file.parquet", len(content), fetch=fetch)])
        assert caught.value.next_step or error is not None
        assert not child.is_usable


async def test_a_query_that_is_late_by_its_storage_is_told_as_that(
    parquet: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "SILENT_SECONDS", 0.3)

    async def fetch(offset: int, length: int) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    silent = QueryFile("file.parquet", len(parquet[0]), fetch=fetch, shown="data/numbers.parquet")
    async with started() as child:
        with pytest.raises(StorageUnavailable) as caught:
            await rows(child, "SELECT sum(h) FROM t", [silent], seconds=0.5)
    assert "data/numbers.parquet" in caught.value.message
    async with started() as child:
        with pytest.raises(TooCostly):
            await rows(child, f"SELECT count(*) FROM ({ENDLESS}), t", [ranged(parquet[0])], seconds=0.5)


async def test_pieces_of_all_queries_together_have_the_memory_that_is_left(
    parquet: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ask for a piece each, and there is room for one and a half."""
    monkeypatch.setattr(ranges, "PIECE", 10_000)
    held: list[int] = []
    go_on = anyio.Event()

    async def fetch(offset: int, length: int) -> bytes:
        held.append(length)
        await go_on.wait()
        return parquet[0][offset : offset + length]

    async def query(child: Child) -> None:
        file = QueryFile("file.parquet", len(parquet[0]), fetch=fetch)
        assert await rows(child, "SELECT count(DISTINCT h) > 1000 FROM t", [file]) == [[True]]

    async with (
        started() as one,
        started() as other,
        limits().memory(MEMORY - 15_000),
        anyio.create_task_group() as group,
    ):
        group.start_soon(query, one)
        group.start_soon(query, other)
        while not held:
            await anyio.sleep(0.01)
        await anyio.sleep(0.3)
        assert sum(held) <= 15_000
        go_on.set()
    assert sum(held) > len(parquet[0]) / 2, "and so it went on"


@pytest.mark.parametrize("where", ["pages", "footer"])
async def test_parquet_that_is_damaged_is_no_fault_of_the_query(tmp_path: Path, where: str) -> None:
    path = tmp_path / "numbers.parquet"
    with duckdb.connect() as engine:
        texts = f"SELECT 'text ' || range % 99 AS h FROM range({ROWS})"
        engine.execute(f"COPY ({texts}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    content = bytearray(path.read_bytes())
    at = 24 if where == "pages" else len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[at : at + 20] = b"\xff" * 20
    async with started() as child:
        with pytest.raises(Undecodable) as caught:
            await rows(child, "SELECT count(DISTINCT h) FROM t", [ranged(bytes(content))])
    assert "package_verify" in caught.value.next_step


# -- descriptors --


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """``more`` than are open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.mark.parametrize("more", [0, 3, 9, 13])
def test_a_child_that_cannot_be_started_leaves_nothing(more: int) -> None:
    before, folders = open_files(), leftovers()
    with few_descriptors(more), pytest.raises(StorageUnavailable):
        Child.start(Layers())
    assert (open_files(), leftovers()) == (before, folders)


def test_a_child_that_has_nowhere_to_be_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, Python finds no folder at all."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(StorageUnavailable) as caught:
            Child.start(Layers())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "TMPDIR" in caught.value.next_step


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process, and /dev/full, are Linux's")
async def test_a_result_that_the_disk_does_not_take_is_told_in_our_words() -> None:
    many = "SELECT hash(range) FROM range(30000)"
    async with started(Layers(settings=False, kernel=False)) as child:
        os.symlink("/dev/full", os.path.join(child._folder, NAME))
        with pytest.raises(StorageFull) as full:
            await rows(child, many, most=None)
    async with started() as child:
        resource.prlimit(child._process.pid, resource.RLIMIT_FSIZE, (9_000, 9_000))
        with pytest.raises(TooCostly) as long:
            await rows(child, many, most=None)
    for one in (full.value, long.value):
        assert NAME not in one.message and tempfile.gettempdir() not in one.message


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
async def test_a_child_that_cannot_hold_its_files_says_that(
    parquet: dict[int, bytes], tmp_path: Path
) -> None:
    (path := tmp_path / "one.parquet").write_bytes(parquet[0])
    descriptor = os.open(path, os.O_RDONLY)
    try:
        async with started() as child:
            resource.prlimit(child._process.pid, resource.RLIMIT_NOFILE, (40, 40))
            files = [QueryFile("file.parquet", path.stat().st_size, descriptor)] * 60
            with pytest.raises(StorageUnavailable):
                await rows(child, "SELECT count(*) FROM t", files)
            assert not child.is_usable
    finally:
        os.close(descriptor)


async def test_files_of_a_run_are_closed_after_it(parquet: dict[int, bytes], tmp_path: Path) -> None:
    """More of them, run after run, than a child may hold at once."""
    (path := tmp_path / "one.parquet").write_bytes(parquet[0])
    descriptor = os.open(path, os.O_RDONLY)
    try:
        async with started() as child:
            for _ in range(4):
                files = [QueryFile("file.parquet", path.stat().st_size, descriptor)] * 400
                assert await rows(child, "SELECT count(*) FROM t", files) == [[ROWS]]
    finally:
        os.close(descriptor)


# -- the file of the result --


def test_only_a_plain_file_of_its_own_is_a_result(tmp_path: Path) -> None:
    """Nothing is followed, waited for or read that another name leads to."""
    other = tmp_path / "other"
    other.write_text("secret")
    for make in (
        lambda path: os.symlink(other, path),
        lambda path: os.link(other, path),
        lambda path: os.mkfifo(path),
        lambda path: os.mkdir(path),
        lambda path: None,
    ):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        make(folder / NAME)
        with pytest.raises(Undecodable):
            open_result(str(folder))
    (folder / NAME).write_text("rows")
    with os.fdopen(open_result(str(folder))) as file:
        assert file.read() == "rows"
