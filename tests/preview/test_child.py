"""The child: what it has and has not, how it ends, and that nothing it says is taken on trust."""

from __future__ import annotations

import gzip
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from held import Held, rows_asked

from quilt_mcp.errors import (
    ColumnNotFound,
    InvalidArgument,
    NotATable,
    PermissionDenied,
    QuiltError,
    TooCostly,
    Undecodable,
)
from quilt_mcp.preview import child, looks
from quilt_mcp.preview.source import Source
from quilt_mcp.storage.limits import CHILDREN

pytestmark = pytest.mark.anyio
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of processes")
CSV = b"a,b\n1,x\n2,y\n"


def children() -> list[int]:
    """The living children of this process."""
    found: list[int] = []
    for one in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = one.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if (
            int(after_name[1]) == os.getpid()
            and after_name[0] != "Z"
            and b"quilt_mcp.preview.decode" in (one.parent / "cmdline").read_bytes()
        ):
            found.append(int(one.parent.name))
    return found


def served_by(act: Callable[[int], Awaitable[None]], name: str = "t.csv", content: bytes = CSV) -> Source:
    """A file at whose first reading ``act`` is called with the child's process id."""

    async def fetch(offset: int, length: int) -> bytes:
        (pid,) = children()
        await act(pid)
        return content[offset : offset + length]

    return Source(name, len(content), fetch)


async def test_every_question_is_answered_by_a_child() -> None:
    found = await looks.inside(Held("t.csv", CSV).source())
    assert found is not None and found.facts["columns"] == {"a": "BIGINT", "b": "VARCHAR"}
    rows = await looks.rows(Held("t.csv", CSV).source(), ["b"], "1:", "a > 1", 1_000)
    assert (rows.rows, rows.total) == ([], 1)
    part = await looks.text(Held("t.txt", gzip.compress(CSV)).source(), 2, 5)
    assert (part.text, part.next_offset) == ("b\n1,x", 7)
    matches = await looks.find(Held("t.csv", CSV).source(), "y", 0, 10, 1_000)
    assert (matches.lines, matches.header) == ([{"line": 3, "offset": 8, "text": "2,y"}], "a,b")
    notebook = await looks.text(Held("n.ipynb", b'{"cells": []}').source(), 0, 100)
    assert notebook.text == "[no cells]\n"
    assert await looks.inside(Held("t.unknown", CSV).source()) is None


@on_linux
async def test_it_has_no_environment_no_home_no_files_and_no_new_rights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    seen: dict[str, str] = {}

    async def look(pid: int) -> None:
        place = Path(f"/proc/{pid}")
        seen["environ"] = (place / "environ").read_text()
        seen["cwd"] = os.readlink(place / "cwd")
        seen["status"] = (place / "status").read_text()
        seen["limits"] = (place / "limits").read_text()
        seen["in folder"] = str(os.listdir(seen["cwd"]))
        seen["files"] = str([os.readlink(place / "fd" / one) for one in os.listdir(place / "fd")])

    await looks.inside(served_by(look))
    variables = dict(one.split("=", 1) for one in seen["environ"].split("\0") if one)
    assert variables == {"HOME": seen["cwd"], "TMPDIR": seen["cwd"], "LANG": "C.UTF-8"}
    assert seen["in folder"] == "[]" and not os.path.exists(seen["cwd"])
    assert "NoNewPrivs:\t1" in seen["status"]
    assert "socket" not in seen["files"]
    limits = {line[:26].strip(): line[26:].split()[0] for line in seen["limits"].splitlines()[1:]}
    assert limits["Max address space"] == str(2 << 30)
    assert (limits["Max cpu time"], limits["Max core file size"], limits["Max open files"]) == (
        "60",
        "0",
        "64",
    )


@on_linux
async def test_it_is_killed_when_the_caller_is_cancelled() -> None:
    async def hang(pid: int) -> None:
        pids.append(pid)
        await anyio.sleep_forever()

    pids: list[int] = []
    with anyio.move_on_after(2) as scope:
        await looks.inside(served_by(hang))
    assert scope.cancelled_caught and len(pids) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_an_error_of_the_store_goes_through_and_ends_it() -> None:
    async def refuse(offset: int, length: int) -> bytes:
        raise PermissionDenied("no", next_step="ask")

    with pytest.raises(PermissionDenied):
        await looks.inside(Source("t.csv", 100, refuse))
    assert sys.platform != "linux" or children() == []


@pytest.mark.sampled(3)
@on_linux
@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGSEGV, Undecodable),
        (signal.SIGABRT, Undecodable),
        (signal.SIGKILL, TooCostly),
        (signal.SIGXCPU, TooCostly),
    ],
)
async def test_a_child_that_dies_is_an_error_of_the_file(number: int, error: type[QuiltError]) -> None:
    async def kill(pid: int) -> None:
        os.kill(pid, number)
        await anyio.sleep(0.2)

    with pytest.raises(error) as caught:
        await looks.inside(served_by(kill))
    assert caught.value.message.startswith("t.csv cannot be ")
    assert caught.value.next_step


async def test_it_ends_at_its_time() -> None:
    async def slow(offset: int, length: int) -> bytes:
        await anyio.sleep(60)
        return b""

    began = time.monotonic()
    with pytest.raises(TooCostly, match="longer than 1 seconds"):
        await child.ask(Source("t.csv", 100, slow), "inside", 1, kind="csv", first=5)
    assert time.monotonic() - began < 30


async def test_a_line_too_large_for_its_memory_is_an_error_of_the_call() -> None:
    """Half a gigabyte of one line, and what Python makes of it."""
    packed = gzip.compress(b"x" * (450 << 20), 1)
    with pytest.raises(TooCostly):
        await looks.find(Held("t.txt.gz", packed * 2).source(), "y", 0, 5, 1_000)
    with pytest.raises(TooCostly, match="first line"):
        await looks.inside(Held("t.jsonl.gz", packed).source())


FAULTS: dict[str, tuple[type[QuiltError], Callable[[], Awaitable[object]]]] = {
    "no column": (ColumnNotFound, lambda: looks.rows(Held("t.csv", CSV).source(), ["c"], None, None, 99)),
    "bad value": (InvalidArgument, lambda: looks.rows(Held("t.csv", CSV).source(), None, None, "a = x", 99)),
    "bad pattern": (InvalidArgument, lambda: looks.find(Held("t.csv", CSV).source(), "/(/", 0, 5, 99)),
    "past the end": (InvalidArgument, lambda: looks.text(Held("t.txt", CSV).source(), 999, 5)),
    "no table": (NotATable, lambda: looks.rows(Held("t.csv", b"").source(), None, None, None, 99)),
    "no table by name": (NotATable, lambda: looks.rows(Held("t.txt", CSV).source(), None, None, None, 99)),
    "no picture": (Undecodable, lambda: looks.picture(Held("t.png", CSV).source(), 999, 99)),
    "no text": (child.NotText, lambda: looks.text(Held("t", b"\0\1").source(), 0, 5)),
    "no range": (
        InvalidArgument,
        lambda: looks.rows(Held("t.csv", CSV).source(), None, "first ten", None, 99),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_is_an_error_with_a_next_step(name: str) -> None:
    kind, ask = FAULTS[name]
    with pytest.raises(kind) as caught:
        await ask()
    assert caught.value.message and caught.value.next_step


async def test_near_columns_are_named() -> None:
    with pytest.raises(ColumnNotFound) as caught:
        await looks.rows(
            Held("t.csv", b"species,petal_length\n1,2\n").source(), ["petal_lenght"], None, None, 99
        )
    assert "Did you mean 'petal_length'?" in caught.value.message
    assert caught.value.details["near"] == ["petal_length"]


async def test_a_wide_table_is_described_by_its_first_columns() -> None:
    names = ",".join(f"c{one}" for one in range(3_000))
    line = ",".join(["some text"] * 3_000)
    found = await looks.inside(Held("t.csv", f"{names}\n{line}\n{line}\n{line}\n".encode()).source())
    assert found is not None
    assert (len(found.facts["columns"]), found.facts["columns_total"], found.facts["rows"]) == (200, 3_000, 3)
    assert [len(one) for one in found.facts["first"]] == [200, 200]


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        (None, (0, 100)),
        ("", (0, 100)),
        (":20", (0, 20)),
        ("5", (5, 6)),
        ("100:120", (100, 120)),
        ("7:", (7, 107)),
        ("0:0", (0, 0)),
    ],
)
def test_a_range_of_rows_is_read_as_a_slice(span: str | None, wanted: tuple[int, int]) -> None:
    assert looks.parse_span(span) == wanted


SAY = "import sys; sys.stdin.readline(); w = sys.stdout.write; "
LIES = {
    "silence": "pass",
    "exit": "import sys; sys.exit(3)",
    "words": SAY + "w('hello\\n')",
    "a number": SAY + "w('5\\n')",
    "nothing": SAY + "w('{}\\n')",
    "no object": SAY + "w('{\"answer\": [1]}\\n')",
    "odd fault": SAY + "w('{\"fault\": 5}\\n')",
    "empty fault": SAY + "w('{\"fault\": {}}\\n')",
    "endless": SAY + "\nwhile True: w('x' * 100_000)",
    "past the end": SAY + "w('{\"read\": [0, 99999]}\\n'); sys.stdout.flush(); sys.stdin.read(99999)",
    "before the start": SAY + "w('{\"read\": [-5, 3]}\\n'); sys.stdout.flush(); sys.stdin.read(3)",
    "no range": SAY + 'w(\'{"read": "all"}\\n\'); sys.stdout.flush(); sys.stdin.read(3)',
    "backwards": SAY + "w('{\"read\": [3, -1]}\\n'); sys.stdout.flush(); sys.stdin.read(3)",
    "deep": SAY + "w('[' * 100_000 + '\\n')",
}


@pytest.mark.parametrize("name", LIES)
async def test_whatever_it_says_is_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_START", LIES[name])
    held = Held("t.csv", CSV)
    with pytest.raises(Undecodable):
        await looks.inside(held.source())
    assert held.reads == []


async def test_answers_of_the_wrong_types_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lie = 'w(\'{"answer": {"rows": 5, "columns": null, "total": "x", "next": -3, "notes": [5]}}\\n\')'
    monkeypatch.setattr(child, "_START", SAY + lie)
    found = await looks.rows(Held("t.csv", CSV).source(), None, None, None, 99)
    assert (found.rows, found.columns, found.total, found.next, found.notes) == ([], [], None, None, ("5",))
    with pytest.raises(Undecodable):
        await looks.picture(Held("t.png", CSV).source(), 999, 99)
    with pytest.raises(Undecodable):
        await looks.pixels(Held("t.png", CSV).source(), 9, 9, 9)


async def test_a_child_that_reads_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MOST_READS", 20)
    lie = "\nwhile True:\n w('{\"read\": [0, 1]}\\n'); sys.stdout.flush(); sys.stdin.read(1)"
    monkeypatch.setattr(child, "_START", SAY + lie)
    held = Held("t.csv", CSV)
    with pytest.raises(TooCostly, match="20 pieces"):
        await looks.inside(held.source())
    assert len(held.reads) == 20


def test_one_question_reads_a_bounded_part_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quilt_mcp.preview.decode.file.MOST_READ", 5_000_000)
    held = Held("t.csv", b"a\n" + b"1\n" * 5_000_000)
    assert held.fault("rows", **rows_asked(start=0, stop=0))[0] == "too_costly"
    assert held.bytes_read <= 5_000_000


@on_linux
async def test_so_many_look_into_files_at_once_and_the_others_wait_for_their_turn() -> None:
    """Each may take gigabytes, and one user of a server may ask for many."""
    most, told = 0, 0

    async def fetch(offset: int, length: int) -> bytes:
        await anyio.sleep(0.2)
        return CSV[offset : offset + length]

    async def one() -> None:
        nonlocal told
        await looks.inside(Source("t.csv", len(CSV), fetch))
        told += 1

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(one)
        while told < 10:
            most = max(most, len(children()))
            await anyio.sleep(0.02)
    assert most == CHILDREN
