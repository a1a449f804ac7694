"""C7: the local folder under kill -9, power cuts and rivals. Whole objects or none; what was acknowledged stays."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest
from crashing import LARGE, SMALL, STEPS, Disk, Objects, Recorded, objects_of, states

from parts.unmeasured import unmeasured
from quilt_mcp.errors import QuiltError
from quilt_mcp.storage.local.confined import TEMP_PREFIX
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.syscalls import Syscalls

HERE = Path(__file__).parent
ROUNDS = 40
ONE_DAY_AND_A_BIT = 90_000
SAME_WORKER = pytest.mark.xdist_group("killed writer")  # which makes its folders once


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(TEMP_PREFIX)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, int]:
    """Folders that a killed writer left, and how many steps it had acknowledged; the last came to the end."""
    base = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(HERE / "killed_writer.py"), str(base)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, timeout=100, check=True, text=True, env=unmeasured()
    )
    runs = (line.split() for line in done.stdout.splitlines())
    return {base / dies_at: int(acknowledged) for dies_at, acknowledged in runs}


@SAME_WORKER
def test_killed_at_any_system_call_the_store_is_before_or_after_the_step_in_flight(
    killed: dict[Path, int],
) -> None:
    expected = states()
    assert len(killed) > 80
    assert set(killed.values()) == set(range(len(STEPS) + 1))
    for root, acknowledged in killed.items():
        found = anyio.run(objects_of, root)
        assert found in expected[acknowledged : acknowledged + 2], root.name


@SAME_WORKER
def test_after_a_kill_the_same_steps_complete_and_the_leavings_are_swept(
    killed: dict[Path, int], tmp_path: Path
) -> None:
    with_leftovers = [root for root in killed if leftovers(root)]
    assert len(with_leftovers) > 10

    async def again(root: Path) -> Objects:
        store = LocalStore(root)
        for key in (".quilt/n/a/b/100", ".quilt/packages/1"):
            await store.delete(key)
        for step, _ in STEPS:
            await step(store, tmp_path)
        return await objects_of(root)

    long_ago = time.time() - ONE_DAY_AND_A_BIT
    for root in with_leftovers[::5]:
        for path in leftovers(root):
            os.utime(path, (long_ago, long_ago))
        assert anyio.run(again, root) == states()[-1]
        assert leftovers(root) == []


@pytest.mark.anyio
async def test_a_power_cut_at_any_moment_shows_whole_objects_and_keeps_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    disk = Disk(root)
    store = LocalStore(root, kernel=Recorded(disk))
    for step, _ in STEPS:
        await step(store, tmp_path)
        disk.acknowledged += 1
    disk.snapshot()
    disk.close()
    assert len(disk.snapshots) > 80
    await check_power_cuts(disk, tmp_path)


async def check_power_cuts(disk: Disk, tmp_path: Path) -> None:
    expected = states()
    for moment, snapshot in enumerate(disk.snapshots):
        for seed in (None, 1, 2, 3, 4, 5):
            target = tmp_path / f"{moment}.{seed}"
            snapshot.rebuild(target, None if seed is None else random.Random(f"{moment}/{seed}"))
            found = await objects_of(target)
            done = snapshot.acknowledged
            assert_between(found, expected[done], expected[min(done + 1, len(STEPS))], f"{moment}.{seed}")
            shutil.rmtree(target)


def assert_between(found: Objects, before: Objects, after: Objects, where: str) -> None:
    """Each object is as before the step in flight or as after it."""
    for key in {*found, *before, *after}:
        assert found.get(key) in (before.get(key), after.get(key)), (where, key)


def test_a_power_cut_shows_whole_files_of_those_written_together_and_all_of_them_afterwards(
    tmp_path: Path,
) -> None:
    (root := tmp_path / "root").mkdir()
    disk = Disk(root)
    files = {"a": SMALL, "b": LARGE, "deep/c": SMALL, "deep/d": LARGE}
    LocalFolder(root, kernel=Recorded(disk)).write_files(files)
    disk.acknowledged = 1
    disk.snapshot()
    disk.close()
    assert len(disk.snapshots) > 20
    for moment, snapshot in enumerate(disk.snapshots):
        for seed in (None, 1, 2, 3, 4, 5):
            target = tmp_path / f"{moment}.{seed}"
            snapshot.rebuild(target, None if seed is None else random.Random(f"{moment}/{seed}"))
            placed = [file.relative for file in LocalFolder(target).scan()]
            found = {relative: (target / relative).read_bytes() for relative in placed}
            assert found.items() <= files.items(), (moment, seed)
            assert len(found) == len(files) or not snapshot.acknowledged, (moment, seed)


class NoSync(Recorded):
    def fsync(self, fd: int) -> None:
        """Says it did."""


class NoFolderSync(Recorded):
    def fsync(self, fd: int) -> None:
        if os.fstat(fd).st_ino not in self._disk.durable_names:
            super().fsync(fd)


class NoFileSync(Recorded):
    def fsync(self, fd: int) -> None:
        if os.fstat(fd).st_ino in self._disk.durable_names:
            super().fsync(fd)


@pytest.mark.anyio
@pytest.mark.parametrize("broken", [NoSync, NoFolderSync, NoFileSync])
async def test_the_power_cut_test_sees_a_missing_fsync(tmp_path: Path, broken: type[Recorded]) -> None:
    """The simulation is worth something only if it fails for a store that does not sync."""
    root = tmp_path / "root"
    root.mkdir()
    disk = Disk(root)
    store = LocalStore(root, kernel=broken(disk))
    for step, _ in STEPS:
        await step(store, tmp_path)
        disk.acknowledged += 1
    disk.snapshot()
    disk.close()
    with pytest.raises(AssertionError):
        await check_power_cuts(disk, tmp_path)


@pytest.mark.anyio
async def test_what_a_second_process_acknowledges_survives_though_the_first_died_unsynced(
    tmp_path: Path,
) -> None:
    """The first process may have made a folder, or linked an object, and died before their names were durable."""
    dies_at, died = 0, True
    while died:
        dies_at += 1
        root = tmp_path / f"root{dies_at}"
        root.mkdir()
        disk = Disk(root)
        first = Recorded(disk, dies_at=dies_at, snapshots=False)
        try:
            await write_one_package(LocalStore(root, kernel=first), tmp_path)
        except QuiltError:
            assert first.is_dead
        died = first.is_dead
        second = LocalStore(root, kernel=Recorded(disk, snapshots=False))
        await write_one_package(second, tmp_path)
        target = tmp_path / f"after{dies_at}"
        disk.snapshot().rebuild(target, None)
        disk.close()
        assert await objects_of(target) == {"o/ab/object": LARGE, "n/a/latest": SMALL}
    assert dies_at > 30


async def write_one_package(store: LocalStore, scratch: Path) -> None:
    source = scratch / "source"
    source.write_bytes(LARGE)
    with source.open("rb") as file:
        await store.take_file(file.fileno(), "sha2-256-chunked", lambda _: "o/ab/object")
    await store.put("n/a/latest", SMALL)


@pytest.mark.anyio
async def test_a_new_folder_is_synced_though_it_has_the_inode_number_of_one_that_is_gone(
    tmp_path: Path,
) -> None:
    """File systems use numbers again at once; another process may have removed the folder that had it."""
    synced: list[int] = []

    class Noting(Syscalls):
        def fsync(self, fd: int) -> None:
            synced.append(os.fstat(fd).st_ino)

    store = LocalStore(tmp_path, kernel=Noting())
    await store.put("warm", b"")
    for number in range(20):
        synced.clear()
        await store.put(f"n{number}/a/b", b"")
        assert {tmp_path.stat().st_ino, (tmp_path / f"n{number}").stat().st_ino} <= set(synced)
        shutil.rmtree(tmp_path / f"n{number}")


@pytest.mark.anyio
async def test_a_folder_removed_here_and_made_again_by_another_process_is_synced_again(
    tmp_path: Path,
) -> None:
    """It has the inode number of the one removed, and its maker may have died before its name was durable."""
    synced: list[int] = []

    class Noting(Syscalls):
        def fsync(self, fd: int) -> None:
            synced.append(os.fstat(fd).st_ino)

    store = LocalStore(tmp_path, kernel=Noting())
    for number in range(20):
        await store.put("a/b", b"%d" % number)
        await store.delete("a/b")
        (tmp_path / "a").mkdir()
        synced.clear()
        await store.put("a/b", b"%d" % number)
        assert tmp_path.stat().st_ino in synced
        await store.delete("a/b")


class Rival:
    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process = process
        self.name = name.encode()

    def start(self, verb: str, key: str, condition: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{verb} {key} {condition}\n")
        self._process.stdin.flush()

    def outcome(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def rivals(root: Path, count: int) -> Iterator[list[Rival]]:
    with ExitStack() as running:
        started: list[Rival] = []
        for number in range(count):
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, str(HERE / "rival.py"), str(root), f"rival {number}"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            started.append(Rival(process, f"rival {number}"))
        yield started


def test_of_two_processes_exactly_one_wins_each_round(tmp_path: Path) -> None:
    winners: set[bytes] = set()
    with rivals(tmp_path, 2) as pair:
        for number in range(ROUNDS):
            key = f"k/{number % 3}"
            if number < 3:
                verb, condition = "create", "-"
            else:
                verb, condition = "swap", anyio.run(LocalStore(tmp_path).stat, key).etag
                (tmp_path / key).write_bytes(b"round %d" % number)
                condition = anyio.run(LocalStore(tmp_path).stat, key).etag
            for rival in pair:
                rival.start(verb, key, condition)
            outcomes = [rival.outcome() for rival in pair]
            assert sorted(outcomes) == ["lost", "won"], number
            winner = pair[outcomes.index("won")].name
            assert (tmp_path / key).read_bytes() == winner
            winners.add(winner)
    assert leftovers(tmp_path) == []


def test_increments_of_several_processes_lose_none(tmp_path: Path) -> None:
    (tmp_path / "counter").write_bytes(b"0")
    with rivals(tmp_path, 3) as several:
        for rival in several:
            rival.start("add", "counter", "20")
        assert [rival.outcome() for rival in several] == ["won"] * 3
    assert (tmp_path / "counter").read_bytes() == b"60"


@pytest.mark.anyio
async def test_a_reader_never_sees_half_an_object_while_it_is_replaced(tmp_path: Path) -> None:
    """Reads between any two system calls of a writer that replaces small by large and back."""
    seen: list[bytes] = []
    reader = LocalStore(tmp_path)

    class Looking(Syscalls):
        def look(self) -> None:
            path = tmp_path / "k"
            if path.exists():
                seen.append(path.read_bytes())
                assert seen[-1] in (SMALL, LARGE)

        def write(self, fd: int, chunk: bytes | memoryview) -> int:
            written = super().write(fd, chunk[: len(chunk) // 2 + 1])
            self.look()
            return written

        def fsync(self, fd: int) -> None:
            self.look()
            super().fsync(fd)

        def rename(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
            self.look()
            super().rename(source, source_dir, target, target_dir)
            self.look()

    store = LocalStore(tmp_path, kernel=Looking())
    for content in (SMALL, LARGE, SMALL, LARGE):
        await store.put("k", content)
        assert (await reader.get("k"))[1] == content
    assert {SMALL, LARGE} == set(seen)
