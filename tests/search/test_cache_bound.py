"""One bound for manifests and catalogs in the cache folder: what goes, what stays, and who notices. Ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from library import local_ops, write_packages
from scan import File, Package

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.search.request import Found, SearchRequest
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.search.state import FORMAT
from quilt_mcp.storage import cached
from quilt_mcp.storage.cached import CacheBound, Kept, alone, kept, remove
from quilt_mcp.storage.private import PrivateFolder

MANY = 1 << 30
SEARCHER = Path(__file__).parent / "searcher.py"


def cache_with(folder: Path, *names: str, size: int = 1_000) -> Path:
    """Manifests (index and copy) and catalogs of ``size`` bytes each, the first used longest ago."""
    for age, name in enumerate(reversed(names)):
        if name.startswith("search/"):
            (folder / name).mkdir(parents=True)
            files = {f"{name}/lock": 0, f"{name}/heads-1.parquet": size}
        else:
            folder.mkdir(exist_ok=True)
            files = {f"{name}.index": size // 2, f"{name}.lines": size - size // 2}
        for file, length in files.items():
            (folder / file).write_bytes(b"x" * length)
            used = time.time() - 100 * (age + 1)
            os.utime(folder / file, (used, used))
    return folder


def manifest(number: int, version: int = 3) -> str:
    return f"v{version}-{number:040x}"


def catalog(number: int, version: int = FORMAT) -> str:
    return f"search/v{version}-{number:032x}"


def bound_of(folder: Path, most: int) -> CacheBound:
    return CacheBound(PrivateFolder(folder), most, {"manifest": 3, "catalog": FORMAT})


def names(folder: Path) -> set[str]:
    return {str(one.path.relative_to(folder)) for one in kept(folder)}


# -- what goes --


def test_what_was_used_longest_ago_goes_first_across_kinds(tmp_path: Path) -> None:
    every = (catalog(1), manifest(1), catalog(2), manifest(2), catalog(3), manifest(3))
    cache = cache_with(tmp_path / "cache", *every)
    for room, left in ((6_500, every), (5_200, every[1:]), (4_200, every[2:]), (3_200, every[3:])):
        bound_of(cache, room).saved(cache / manifest(3), 0)
        assert names(cache) == set(left), room


def test_a_manifests_index_and_copy_go_together(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", manifest(1), manifest(2))
    bound_of(cache, 1_100).saved(cache / manifest(2), 0)
    assert sorted(path.name for path in cache.iterdir()) == [f"{manifest(2)}.index", f"{manifest(2)}.lines"]


def test_the_time_of_its_index_says_when_a_manifest_was_used_and_the_lock_when_a_catalog(
    tmp_path: Path,
) -> None:
    cache = cache_with(tmp_path / "cache", manifest(1), catalog(1), manifest(2), catalog(2), manifest(3))
    os.utime(cache / f"{manifest(1)}.index")
    os.utime(cache / catalog(1) / "lock")
    bound_of(cache, 3_200).saved(cache / manifest(3), 0)
    assert names(cache) == {manifest(1), catalog(1), manifest(3)}


def test_what_was_saved_and_the_last_used_of_each_kind_stay_whatever_they_weigh(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", manifest(1), manifest(2), manifest(3), catalog(1), catalog(2))
    bound_of(cache, 1).saved(cache / manifest(1), 0)
    assert names(cache) == {manifest(1), manifest(3), catalog(2)}


def test_a_catalog_that_is_being_built_stays(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", catalog(1), catalog(2), catalog(3))
    with alone(lambda: cache / catalog(1)) as is_alone:
        assert is_alone
        bound_of(cache, 1).saved(cache / catalog(3), 0)
        assert names(cache) == {catalog(1), catalog(3)}
    bound_of(cache, 1).saved(cache / catalog(3), 0)
    assert names(cache) == {catalog(3)}


def test_older_formats_go_though_there_is_room_and_newer_ones_stay(tmp_path: Path) -> None:
    old = (manifest(1, 1), manifest(2, 2), catalog(1, FORMAT - 1), f"search/{5:032x}")
    new = (manifest(3), manifest(4, 4), catalog(2), catalog(3, FORMAT + 1))
    cache = cache_with(tmp_path / "cache", *old, *new)
    bound_of(cache, MANY).saved(cache / manifest(3), 0)
    assert names(cache) == set(new)


def test_an_older_catalog_that_an_older_server_builds_stays_until_it_has_ended(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", catalog(1, 0), catalog(2))
    with alone(lambda: cache / catalog(1, 0)):
        bound_of(cache, MANY).saved(cache / catalog(2), 0)
        assert names(cache) == {catalog(1, 0), catalog(2)}
    bound_of(cache, MANY).saved(cache / catalog(2), 0)
    assert names(cache) == {catalog(2)}


def test_what_is_not_the_caches_own_is_neither_weighed_nor_touched(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", manifest(1), catalog(1))
    own = names(cache)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"x" * 10_000)
    (cache / "search" / f"v{FORMAT}-{9:032x}").symlink_to(elsewhere)
    (cache / f"{manifest(9)}.lines").symlink_to(elsewhere / "precious")
    for path in (cache / "thesis.tex", cache / "search" / "notes", cache / "scratch" / "half"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 10_000)
    bound_of(cache, 2_100).saved(cache / manifest(1), 0)
    assert names(cache) == own
    assert (elsewhere / "precious").exists() and (cache / "thesis.tex").exists()


def test_what_a_killed_remover_left_goes(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", catalog(1))
    left = cache / "search" / "unfinished-half"
    left.mkdir()
    (left / "heads-1.parquet").write_bytes(b"x")
    bound_of(cache, MANY).saved(cache / catalog(1), 0)
    assert not left.exists()


def test_what_cannot_go_now_is_no_failure_and_the_next_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = cache_with(tmp_path / "cache", catalog(1), manifest(1), manifest(2), catalog(2))

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", refused)
    bound_of(cache, 3_200).saved(cache / catalog(2), 0)
    assert names(cache) == {catalog(1), manifest(2), catalog(2)}


def test_a_cache_folder_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    assert kept(tmp_path / "cache") == []
    bound_of(tmp_path / "cache", 1).saved(tmp_path / "cache" / manifest(1), 10)


# -- what it costs --


def test_the_folder_is_weighed_after_a_64th_part_of_the_bound_or_a_minute_and_not_at_each_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = cache_with(tmp_path / "cache", manifest(1))
    weighed: list[Path] = []

    def counting(folder: Path) -> Sequence[Kept]:
        weighed.append(folder)
        return kept(folder)

    monkeypatch.setattr(cached, "kept", counting)
    bound = bound_of(cache, 6_400)
    for size, times in ((1, 1), (40, 1), (40, 1), (40, 2), (99, 2), (1, 3)):
        bound.saved(cache / manifest(1), size)
        assert len(weighed) == times
    monkeypatch.setattr(cached, "WEIGHED_SECONDS", 0.0)
    bound.saved(cache / manifest(1), 0)
    assert len(weighed) == 4


# -- the lock of a catalog --


def test_who_waited_for_a_folder_that_was_removed_meanwhile_locks_the_one_that_is_there(
    tmp_path: Path,
) -> None:
    """The race: the lock's file is opened, then its folder removed, then the file locked, which nobody else would find."""
    cache = cache_with(tmp_path / "cache", catalog(1))
    asked = 0

    def folder() -> Path:
        nonlocal asked
        asked += 1
        (cache / catalog(1)).mkdir(exist_ok=True)
        return cache / catalog(1)

    really_held = cached.is_held

    def is_held(file: object) -> bool:
        if asked == 1:
            shutil.rmtree(cache / catalog(1))
        return really_held(file)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cached, "is_held", is_held)
        with alone(folder) as is_alone:
            assert is_alone and asked == 2
            with alone(lambda: cache / catalog(1)) as other:
                assert not other


def test_a_failure_of_who_holds_a_catalog_is_its_own(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", catalog(1))
    with pytest.raises(FileNotFoundError, match="mine"), alone(lambda: cache / catalog(1)):
        raise FileNotFoundError("mine")


def test_a_catalog_that_is_gone_already_is_removed(tmp_path: Path) -> None:
    cache = cache_with(tmp_path / "cache", catalog(1))
    [one] = kept(cache)
    assert remove(one) and remove(one)


# -- searches --


PACKAGES = [Package(f"team/p{n:02}", f"common words {n}", None, [File("a.csv", 3)]) for n in range(12)]


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made: list[Path] = []
    for name in ("one", "two", "three"):
        registry = tmp_path_factory.mktemp(name) / "registry"
        registry.mkdir()
        write_packages(registry, PACKAGES)
        made.append(registry)
    return made


def ask(ops: LocalOps, registry: Path, cursor: str | None = None, limit: int = 5) -> Found:
    async def search() -> Found:
        request = SearchRequest("common", registries=(registry.as_uri(),), sort="name")
        return await ops.search.search(request, limit=limit, cursor=cursor)

    return anyio.run(search)


def test_the_catalog_searched_longest_ago_makes_room_for_another(
    registries: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    ask(local_ops(registries[0], cache), registries[0])
    [first] = kept(cache)
    os.utime(first.path / "lock", (1, 1))
    ask(local_ops(registries[1], cache), registries[1])
    [second] = [one for one in kept(cache) if one.path != first.path]
    os.utime(second.path / "lock", (2, 2))
    assert ask(local_ops(registries[0], cache), registries[0]).total == 12  # and so it is in use again
    small = local_ops(registries[2], cache, cache_bytes=int(2.5 * max(first.bytes, second.bytes)))
    assert ask(small, registries[2]).total == 12
    left = {one.path for one in kept(cache)}
    assert first.path in left and second.path not in left and len(left) == 2


def test_who_pages_through_a_catalog_that_went_is_told_that_the_cursor_expired(
    registries: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    ops = local_ops(registries[0], cache)
    page = ask(ops, registries[0])
    assert page.next_cursor is not None
    [one] = kept(cache)
    assert remove(one)
    with pytest.raises(InvalidArgument) as caught:
        ask(ops, registries[0], page.next_cursor)
    assert caught.value.details["reason"] == "cursor_expired"
    assert "without cursor" in caught.value.next_step
    assert ask(ops, registries[0]).total == 12


def test_a_catalog_heavier_than_the_bound_is_searched_with_a_warning(
    registries: list[Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    ops = local_ops(registries[0], cache, cache_bytes=100)
    for _ in range(2):
        found = ask(ops, registries[0])
        [warning] = [one for one in found.warnings if one.startswith("cache_full: ")]
        assert registries[0].as_uri() in warning and "QUILT_MCP_CACHE_BYTES" in warning
        assert found.total == 12
    roomy = ask(local_ops(registries[0], cache), registries[0])
    assert not [one for one in roomy.warnings if one.startswith("cache_full")]


@pytest.mark.nightly
def test_another_process_may_clear_the_cache_and_be_over_the_bound_while_one_searches(
    registries: list[Path], tmp_path: Path
) -> None:
    """Whatever goes in the middle of a search, its answers are right, or say that the cursor expired, or to ask again."""
    cache = tmp_path / "cache"
    urls = [one.as_uri() for one in registries]
    searchers = [
        subprocess.Popen(
            [sys.executable, SEARCHER, cache, "100", "25", *urls],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    removed, until = 0, time.monotonic() + 120
    try:
        while any(one.poll() is None for one in searchers):
            assert time.monotonic() < until
            removed += sum(remove(one) for one in kept(cache))
            time.sleep(0.15)
        outputs = [one.communicate(timeout=60) for one in searchers]
    finally:
        for one in searchers:
            one.kill()
            one.communicate()
    for out, errors in outputs:
        assert errors == ""
        assert out.startswith("25 searches"), out
    assert removed, "nothing went in the middle of a search"
    assert not list((cache / "search").glob("unfinished-*"))
