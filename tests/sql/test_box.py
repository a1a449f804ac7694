"""The box: no statement reads, reaches or writes what it was not given, whichever one of gate, settings and kernel is off."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from boxed import ask, boxed, leftovers, write_package
from corpus import ESCAPES, SAMPLE

from quilt_mcp.backends.querying.registry_sql import RegistrySql
from quilt_mcp.errors import QuiltError
from quilt_mcp.sql import gate
from quilt_mcp.sql.child import Child, Layers, QueryFile, View, place
from quilt_mcp.sql.inside.parsing import WRAPPED
from quilt_mcp.sql.spelling import plain_spaces

pytestmark = pytest.mark.anyio
CANARY = "canary-5e1f0c"
ALL, NO_SETTINGS, NO_KERNEL = Layers(), Layers(settings=False), Layers(kernel=False)
Picture = dict[str, tuple[bytes, int]]


def picture(folder: Path) -> Picture:
    """Every file, its bytes and when they were written."""
    return {
        str(one): (one.read_bytes(), one.stat().st_mtime_ns) for one in folder.rglob("*") if one.is_file()
    }


@dataclass
class World:
    """What must stay as it is: a folder out of reach, the files of the query, a port that nobody comes to."""

    url: str
    source: Path
    away: Path
    port: socket.socket
    pictures: list[Picture] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.away / "out").mkdir()
        (self.away / "passwords.csv").write_text(f"word\n{CANARY}\n")
        (self.away / "secret.txt").write_text(CANARY)
        self.pictures = [picture(self.away), picture(self.source)]

    def statement(self, text: str) -> str:
        canary = str(self.away / "passwords.csv")
        values = {
            "canary": canary, "canary_s": canary.replace("ss", "ſſ"), "secret": str(self.away / "secret.txt"),
            "out": str(self.away / "out"), "port": str(self.port.getsockname()[1]), "own": "qf://0/file.csv",
        }  # fmt: skip
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def require_untouched(self, text: str, said: str) -> None:
        assert CANARY not in said, text
        assert [picture(self.away), picture(self.source)] == self.pictures, text
        assert list((self.away / "out").iterdir()) == [], text
        with pytest.raises(BlockingIOError):
            self.port.accept()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Beside pytest's folders, so that nothing of it is below a root of the registry."""
    folder = Path(tempfile.mkdtemp(prefix="of-the-box-"))
    (folder / "away").mkdir()
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen(64)
        port.setblocking(False)
        url = write_package(folder / "here")
        yield World(url, folder / "here", folder / "away", port)
    shutil.rmtree(folder)


async def said_to(sql: RegistrySql, text: str, **given: object) -> str:
    """What it answers, or of its error whatever a caller may see."""
    try:
        found = await ask(sql, text, **given)
    except QuiltError as error:
        assert error.code and error.next_step, text
        return f"{error.code} {error} {error.next_step} {error.details}"
    return str(found)


async def require_at_work(sql: RegistrySql) -> None:
    assert (await ask(sql, "SELECT count(*) FROM 'data/runs.parquet'")).rows == ((2_000,),)


async def hold(
    world: World, tmp_path: Path, texts: tuple[str, ...], layers: Layers, *, is_gated: bool
) -> None:
    before = leftovers()
    sql = boxed(world.url, tmp_path, layers, is_gated=is_gated, seconds=10)
    for number, text in enumerate(texts):
        stated = world.statement(text)
        world.require_untouched(text, await said_to(sql, stated, explain=number % 7 == 6))
    await require_at_work(sql)
    await sql.close()
    assert leftovers() == before


async def test_the_gate_refuses_what_is_no_query_of_given_tables(world: World, tmp_path: Path) -> None:
    """What it lets pass names tables, which are looked for among those of the query, and runs."""
    child = await to_thread.run_sync(Child.start, ALL)
    passed: list[str] = []
    try:
        await child.ready()
        for text in ESCAPES:
            stated = plain_spaces(world.statement(text))
            try:
                gate.check_text(stated)
                found = await child.parse(stated, 5)
                gate.read(str(found["tree"]), len(WRAPPED[0]))
                passed.append(text)
            except QuiltError as error:
                assert error.code in ("invalid_sql", "sql_refused", "invalid_argument"), text
                assert CANARY not in str(error)
    finally:
        await child.end()
    assert len(passed) < 75
    await hold(world, tmp_path, tuple(passed[::12]), ALL, is_gated=True)


@pytest.mark.nightly
async def test_a_sample_goes_the_whole_way(world: World, tmp_path: Path) -> None:
    await hold(world, tmp_path, SAMPLE[::7], ALL, is_gated=True)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("layers", "is_gated"),
    [(ALL, False), (NO_SETTINGS, True), (NO_KERNEL, True)],
    ids=["no gate", "no settings", "no kernel"],
)
async def test_two_layers_hold(world: World, tmp_path: Path, layers: Layers, is_gated: bool) -> None:
    await hold(world, tmp_path, SAMPLE[::8], layers, is_gated=is_gated)


@pytest.mark.nightly
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("layers", "is_gated"),
    [(ALL, True), (ALL, False), (NO_SETTINGS, True), (NO_KERNEL, True)],
    ids=["all", "no gate", "no settings", "no kernel"],
)
async def test_all_statements_with_each_layer_off(
    world: World, tmp_path: Path, layers: Layers, is_gated: bool
) -> None:
    await hold(world, tmp_path, ESCAPES, layers, is_gated=is_gated)


_WAYS = (
    "{statement}",
    "SELECT 1) AS result; {statement}; SELECT * FROM (SELECT 2",
    "SELECT 1) AS result; {statement}; --",
)
"""As the engine is handed it where nobody takes the text apart: several statements, all of them run."""


@pytest.mark.parametrize(
    "layers",
    [
        ALL,
        pytest.param(NO_SETTINGS, marks=pytest.mark.nightly),
        pytest.param(NO_KERNEL, marks=pytest.mark.nightly),
    ],
    ids=["both", "kernel alone", "settings alone"],
)
async def test_a_text_that_nobody_took_apart_gets_nowhere(world: World, layers: Layers) -> None:
    before = leftovers()
    source = world.source / "files" / "growth.csv"
    descriptor = os.open(source, os.O_RDONLY)
    file = QueryFile("file.csv", source.stat().st_size, descriptor)
    view = View("data/growth.csv", f"SELECT * FROM read_csv([{place(0)}])")
    texts = (
        ESCAPES if layers is not ALL or os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else ESCAPES[::6]
    )
    child: Child | None = None
    try:
        for number, text in enumerate(texts):
            if child is None or not child.is_usable:
                if child is not None:
                    await child.end()
                child = await to_thread.run_sync(Child.start, layers)
                await child.ready()
            stated = _WAYS[number % len(_WAYS)].replace("{statement}", world.statement(text))
            try:
                found = await child.run(
                    "rows", [file], [view], 1, stated, parameters={}, most=9, limit=9, room=9_999, longest=999
                )
                said = str(found)
            except QuiltError as error:
                said = f"{error} {error.next_step} {error.details}"
            world.require_untouched(text, said)
    finally:
        if child is not None:
            await child.end()
        os.close(descriptor)
    assert leftovers() == before


async def test_a_cancelled_call_leaves_nothing(world: World, tmp_path: Path) -> None:
    before, others = leftovers(), set(children())
    sql = boxed(world.url, tmp_path, seconds=60)
    await require_at_work(sql)
    for text in ("SELECT count(*) FROM range(100000000000)", "SELECT len(range(2000000000))", "SELECT 1"):
        for wait in (0.0, 0.01, 0.3):
            with anyio.move_on_after(wait):
                await said_to(sql, text)
    await require_at_work(sql)
    await sql.close()
    assert leftovers() == before
    assert set(children()) <= others


async def test_a_killed_child_is_an_error_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    before, others = leftovers(), set(children())
    sql = boxed(world.url, tmp_path, seconds=60)
    await require_at_work(sql)
    said: list[str] = []

    async def call() -> None:
        said.append(await said_to(sql, "SELECT count(*) FROM range(100000000000)"))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        while not (busy := [one for one in set(children()) - others if cpu_of(one) > 150]):
            await anyio.sleep(0.02)
        for one in busy:
            os.kill(one, 9)
    assert said[0].startswith("undecodable")
    await require_at_work(sql)
    await sql.close()
    assert leftovers() == before
    assert set(children()) <= others


async def test_a_child_ends_when_its_parent_is_gone(world: World) -> None:
    """In the middle of a query too. Its folder has nothing in it then; a parent that is killed removes none."""
    others = set(children())
    child = await to_thread.run_sync(Child.start, ALL)
    await child.ready()
    folder = Path(child._folder)
    [number] = set(children()) - others
    with anyio.move_on_after(0.5):
        await child.run("rows", [], [], 60, "SELECT count(*) FROM range(100000000000)", parameters={})
    for one in child._channels, (child._control, child._hands):
        for end in one:
            end.shutdown(socket.SHUT_RDWR)
    with anyio.fail_after(20):
        while state_of(number) not in ("Z", ""):
            await anyio.sleep(0.02)
    assert list(folder.iterdir()) == []
    await child.end()


def children() -> list[int]:
    """Processes of queries that this process has started."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    numbers = [int(number) for one in found for number in one.read_text().split()]
    return [one for one in numbers if b"quilt_mcp.sql.inside" in cmdline(one)]


def cmdline(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def cpu_of(number: int) -> int:
    """In hundredths of a second."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def state_of(number: int) -> str:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
