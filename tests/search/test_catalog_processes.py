"""Processes that build and search one catalog at once, that are killed in the middle of it, and calls that are cancelled."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from held_registry import (
    HeldRegistry,
    ask,
    catalog_folder,
    held_folder,
    local_ops,
    named,
    one_package,
    require_right,
    scratch_of,
)

from parts.unmeasured import unmeasured
from quilt_mcp.domain.search.request import SearchRequest
from quilt_mcp.errors import StorageBusy
from quilt_mcp.registry.reading import cataloguing
from quilt_mcp.search import folder as folders
from quilt_mcp.search import ranking

SCRIPT = Path(__file__).parent / "searching_process.py"


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env=unmeasured(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    out, error = process.communicate(timeout=200)
    assert process.returncode == 0, error[-3000:]
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def registry(tmp_path: Path) -> HeldRegistry:
    return held_folder(tmp_path)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.nightly)])
def test_processes_that_share_a_catalog_answer_right_or_say_what_is_lacking(
    registry: HeldRegistry, tmp_path: Path, count: int
) -> None:
    """Packages are only added meanwhile: an answer holds at least those there were when it began, and no others but new ones."""
    place, cache = tmp_path / "registry", tmp_path / "cache"
    registry.push(*(one_package(f"lab/p{number}", "word") for number in range(9)))
    at_first = set(registry.packages)
    processes = [start(place, cache, 12) for _ in range(count)]
    for number in range(20):
        registry.push(one_package(f"lab/later{number:02}", "word"))
    answers = [told(one)[:-1] for one in processes]
    for some in answers:
        assert len(some) == 12
        last: set[str] = set()
        for said in some:
            assert "code" not in said, said
            names = set(said["names"])
            assert len(names) == said["total"]
            assert names <= set(registry.packages)
            if not any(one.startswith(("busy", "partial")) for one in said["warnings"]):
                assert names >= at_first, said
                assert names >= last, said  # nothing that was there goes
            last |= names
    anyio.run(require_right, local_ops(place, cache), registry.packages.values())
    assert scratch_of(cache) == []


def test_while_a_process_builds_another_answers_from_what_is_there_and_says_so(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push(one_package("lab/one", "word"))
    ops, other = (local_ops(tmp_path / "registry", tmp_path / "cache") for _ in range(2))

    async def main() -> None:
        assert (await ask(ops, "word")).total == 1
        registry.push(one_package("lab/two", "word"))
        [catalog] = ops.search.made()._catalogs.values()  # type: ignore[attr-defined]
        with catalog.folder.building() as may_build:
            assert may_build
            found = await ask(other, "word")
        assert named(found.items) == {"lab/one"}
        [said] = found.warnings
        assert said.startswith("busy: another process is reading ")
        assert (await ask(other, "word")).total == 2

    anyio.run(main)


def prepared(registry: HeldRegistry, tmp_path: Path) -> Path:
    """A cache with an older catalog, so that a build merges, replaces and cleans up."""
    registry.push(*(one_package(f"lab/p{number}", "word") for number in range(5)))
    cache = tmp_path / "prepared"
    for turn in range(7):
        registry.push(one_package("lab/moving", f"turn {turn} word"))
        anyio.run(ask, local_ops(tmp_path / "registry", cache))
    registry.push(one_package("lab/new", "word", readme="about word"), one_package("lab/moving", "word"))
    registry.delete("lab/p0")
    return cache


@pytest.mark.nightly
def test_after_a_death_at_any_write_the_next_search_is_right(registry: HeldRegistry, tmp_path: Path) -> None:
    place, before = tmp_path / "registry", prepared(registry, tmp_path)
    shutil.copytree(before, tmp_path / "counted")
    calls = told(start(place, tmp_path / "counted", 1, 0))[-1]["calls"]
    assert calls > 20
    every = range(1, calls + 1)
    chosen = [*every][:: max(1, len(every) // CRASHES)]
    caches = {dies_at: tmp_path / f"cache{dies_at}" for dies_at in chosen}
    for cache in caches.values():
        shutil.copytree(before, cache)
    dying = start("die", place, *(f"{cache}:{dies_at}" for dies_at, cache in caches.items()))
    assert all(one["killed"] for one in told(dying))
    for cache in caches.values():
        anyio.run(require_right, local_ops(place, cache), registry.packages.values(), 1, 2)
        assert scratch_of(cache) == []
    registry.push(one_package("lab/last", "word"))
    for dies_at in chosen:
        anyio.run(ask, local_ops(place, tmp_path / f"cache{dies_at}"))
        require_nothing_left(tmp_path / f"cache{dies_at}")


CRASHES = 9


@pytest.mark.nightly
def test_after_a_death_at_each_write_the_next_search_is_right(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "CRASHES", 10_000)
    test_after_a_death_at_any_write_the_next_search_is_right(registry, tmp_path)


def require_nothing_left(cache: Path) -> None:
    """No table but those of the states that are kept."""
    folder = catalog_folder(cache)
    needed: set[str] = set()
    for path in (folder / "catalog.json", *folder.glob("state-*.json")):
        for part in json.loads(path.read_bytes()[64:])["parts"]:
            needed |= {f"{kind}-{digest}.parquet" for kind, digest in part["sha256"].items()}
    assert {path.name for path in folder.glob("*.parquet")} <= needed


def test_after_a_death_at_a_random_moment_the_next_search_is_right(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    place, before = tmp_path / "registry", prepared(registry, tmp_path)
    chosen = random.Random(13)
    for number in range(3):
        cache = tmp_path / f"cache{number}"
        shutil.copytree(before, cache)
        process = start(place, cache, 50)
        time.sleep(chosen.uniform(0.5, 2.0))
        process.kill()
        process.communicate()
        anyio.run(require_right, local_ops(place, cache), registry.packages.values(), number, 2)
        assert scratch_of(cache) == []


def test_texts_that_another_process_writes_to_are_left_to_it(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages in another order would not add up: what cannot be ranked is asked again, or in an order that needs no ranking."""
    monkeypatch.setattr(ranking, "BUSY_SECONDS", 0.05)
    registry.push_at_random(18, 6)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    anyio.run(ask, ops, "raw")
    texts = catalog_folder(tmp_path / "cache") / "text.db"
    held = texts.stat().st_ino
    with closing(sqlite3.connect(texts, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy):
            anyio.run(ask, ops, "raw")
        by_name = SearchRequest("raw", sort="name")
        assert anyio.run(lambda: ops.search.search(by_name)).total is not None
        other.execute("ROLLBACK")
    anyio.run(require_right, ops, registry.packages.values())
    assert texts.stat().st_ino == held


def test_what_another_process_reads_for_the_first_time_is_told_as_not_there_yet(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push(one_package("lab/one", "word"))
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    anyio.run(ask, ops)
    shutil.rmtree(tmp_path / "cache")

    async def main() -> None:
        [catalog] = ops.search.made()._catalogs.values()  # type: ignore[attr-defined]
        with catalog.folder.building():
            found = await ask(local_ops(tmp_path / "registry", tmp_path / "cache"))
        assert found.total == 0
        assert found.warnings[0].endswith("Call again in a few seconds.")

    anyio.run(main)


def test_what_a_killed_builder_of_another_registry_left_goes_after_a_day(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push(one_package("lab/one", "word"))
    left, young = (tmp_path / "cache/scratch" / f"unfinished-{name}-1-0" for name in ("old", "young"))
    for folder in (left, young):
        folder.mkdir(parents=True)
        (folder / "heads").write_text("{}")
    (tmp_path / "cache").chmod(0o700)
    os.utime(left, (time.time() - 25 * 3600,) * 2)
    anyio.run(ask, local_ops(tmp_path / "registry", tmp_path / "cache"))
    assert (left.exists(), young.exists()) == (False, True)


# -- cancelling --


def engine_threads(known: set[int]) -> list[threading.Thread]:
    """At work beside those that were there: a worker thread that waits for work is none."""
    found: list[threading.Thread] = []
    for thread in threading.enumerate():
        frame = sys._current_frames().get(thread.ident or 0)
        while frame is not None:
            if "quilt_mcp" in frame.f_code.co_filename and thread.ident not in known:
                found.append(thread)
                break
            frame = frame.f_back
    return found


async def cancelled_after(ops: Any, seconds: float, text: str, scope: str) -> float:
    """How long it took from the cancellation to the end."""
    began = anyio.current_time()
    with anyio.move_on_after(seconds) as scope_:
        await ask(ops, text, scope)
    return anyio.current_time() - began - seconds if scope_.cancelled_caught else 0.0


def test_a_cancelled_build_leaves_nothing_running_and_the_next_search_is_right(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "BATCH_PACKAGES", 5)
    registry.push_at_random(14, 25)
    place = tmp_path / "registry"
    chosen = random.Random(15)

    async def main() -> None:
        main_thread = {one.ident or 0 for one in threading.enumerate()}
        for turn in range(8):
            cache = tmp_path / f"cache{turn % 4}"
            ops = local_ops(place, cache)
            assert await cancelled_after(ops, chosen.uniform(0.0, 0.25), "raw", "packages") < 2
            with anyio.fail_after(2):
                while engine_threads(main_thread):
                    await anyio.sleep(0.02)
            assert scratch_of(cache) == []
            if turn % 4 == 3:
                await require_right(ops, registry.packages.values(), turn, 2)
        for number in range(4):
            await require_right(
                local_ops(place, tmp_path / f"cache{number}"), registry.packages.values(), number, 2
            )

    anyio.run(main)


def test_a_cancelled_query_leaves_nothing_running_and_the_next_one_is_right(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push_at_random(16, 12)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")

    async def main() -> None:
        await ask(ops)
        [catalog] = ops.search.made()._catalogs.values()  # type: ignore[attr-defined]
        main_thread = {one.ident or 0 for one in threading.enumerate()}
        endless = (
            "SELECT count(*) FROM range(1000000000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11"
        )
        for seconds in (0.0, 0.01, 0.05, 0.3):
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                for _ in range(4):  # more than may be at work together
                    group.start_soon(catalog.engine.run, lambda connection: connection.rows(endless))
                await anyio.sleep(seconds)
                group.cancel_scope.cancel()
            assert anyio.current_time() - began < seconds + 2
            with anyio.fail_after(2):
                while engine_threads(main_thread):
                    await anyio.sleep(0.02)
            await require_right(ops, registry.packages.values(), 17, 2)
        for number in range(8):
            await cancelled_after(ops, number / 400, "raw OR /r.w/", "entries")
            await require_right(ops, registry.packages.values(), number, 1)

    anyio.run(main)
    assert folders.ROOT in {path.name for path in (tmp_path / "cache").iterdir()}
