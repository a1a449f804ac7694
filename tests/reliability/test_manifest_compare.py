"""Comparing two revisions through the cache: the quick way by lines, and when it is not taken. Ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from quilt_mcp.domain.diff import DiffTotals
from quilt_mcp.errors import CorruptManifest, RevisionNotFound
from quilt_mcp.registry.layout import manifest_key
from quilt_mcp.registry.manifests.cache import Compared, ManifestCache
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.store import ObjectStat

OLD, NEW = "0" * 64, "1" * 64


class Counting:
    """A local store that counts what is asked of it."""

    def __init__(self, store: LocalStore) -> None:
        self.inner = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.inner, name)


def lines(entries: int) -> list[str]:
    return [
        f'{{"logical_key": "d{number // 100:04}/f{number % 100:02}", "physical_keys": ["s3://b/k"], "size": {number}, '
        f'"hash": {{"type": "SHA256", "value": "{number:064x}"}}, "meta": {{}}}}\n'
        for number in range(entries)
    ]


def body(message: str, entries: list[str], metas: tuple[str, ...] = ()) -> bytes:
    return "".join([f'{{"version": "v0", "message": "{message}"}}\n', *metas, *entries]).encode()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    root = tmp_path / "registry"
    root.mkdir()
    return LocalStore(root)


def put(store: LocalStore, top_hash: str, manifest: bytes) -> None:
    asyncio.run(store.put(manifest_key(top_hash), manifest))


def compared(cache: ManifestCache, store: Any, prefix: str = "") -> Compared:
    return asyncio.run(cache.diff((store, OLD), (store, NEW), prefix))


def changed(entries: list[str]) -> list[str]:
    """Entry 5 modified, 7 removed, 9 renamed, one added."""
    made = [*entries]
    made[5] = made[5].replace('"size": 5', '"size": 6')
    made[9] = made[9].replace("f09", "f09.new")
    made.append(made[0].replace("d0000/f00", "zz/added").replace('"size": 0', '"size": 77'))
    del made[7]
    return made


EXPECTED = DiffTotals(added=1, removed=1, modified=1, renamed=1, metadata=0, unchanged=297)
DIRECTORY = '{"logical_key": "d0000/", "meta": {"x": {"y": ", ", "physical_keys": ["z"]}}}\n'


def test_unopened_manifests_are_compared_without_being_parsed(tmp_path: Path, store: LocalStore) -> None:
    put(store, OLD, body("old", lines(300), (DIRECTORY,)))
    put(store, NEW, body("new", changed(lines(300)), (DIRECTORY,)))
    cache = ManifestCache(tmp_path / "cache", small=0)
    found = compared(cache, store)
    assert found.changes.totals == EXPECTED
    assert (found.before.message, found.after.message) == ("old", "new")
    assert [change.kind for change in found.changes.page(0, 10)] == [
        "modified",
        "removed",
        "renamed",
        "added",
    ]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("opened", [(OLD,), (NEW,), (OLD, NEW)])
def test_opened_manifests_are_compared_as_they_are_held(
    tmp_path: Path, store: LocalStore, opened: tuple[str, ...]
) -> None:
    put(store, OLD, body("old", lines(300)))
    put(store, NEW, body("new", changed(lines(300))))
    cache = ManifestCache(tmp_path / "cache", small=0)
    for top_hash in opened:
        asyncio.run(cache.open(store, top_hash))
    found = compared(cache, store)
    assert found.changes.totals == EXPECTED
    assert [change.path for change in found.changes.page(1, 2)] == ["d0000/f07", "d0000/f09.new"]


@pytest.mark.parametrize("prefix", ["d0000", "d0000/", "d0000/f05", "zz", "none"])
@pytest.mark.parametrize("opened", [False, True])
def test_a_prefix_limits_what_is_counted_either_way(
    tmp_path: Path, store: LocalStore, prefix: str, opened: bool
) -> None:
    put(store, OLD, body("old", lines(300), (DIRECTORY,)))
    put(store, NEW, body("new", changed(lines(300)), (DIRECTORY,)))
    cache = ManifestCache(tmp_path / "cache", small=0)
    if opened:
        asyncio.run(cache.open(store, OLD))
    totals = {
        "d0000": DiffTotals(0, 1, 1, 1, 0, 97),
        "d0000/": DiffTotals(0, 1, 1, 1, 0, 97),
        "d0000/f05": DiffTotals(0, 0, 1, 0, 0, 0),
        "zz": DiffTotals(1, 0, 0, 0, 0, 0),
        "none": DiffTotals(0, 0, 0, 0, 0, 0),
    }
    assert compared(cache, store, prefix).changes.totals == totals[prefix]


def test_the_next_page_reads_no_manifest_again(tmp_path: Path, store: LocalStore) -> None:
    put(store, OLD, body("old", lines(300)))
    put(store, NEW, body("new", changed(lines(300))))
    counting = Counting(store)
    cache = ManifestCache(tmp_path / "cache", small=0)
    first = compared(cache, counting)
    counting.calls.clear()
    assert compared(cache, counting) == first
    assert counting.calls["get"] == 0


def test_a_replaced_manifest_is_compared_anew(tmp_path: Path, store: LocalStore) -> None:
    put(store, OLD, body("old", lines(300)))
    put(store, NEW, body("new", changed(lines(300))))
    cache = ManifestCache(tmp_path / "cache", small=0)
    assert compared(cache, store).changes.totals == EXPECTED
    put(store, NEW, body("new", lines(300)))
    assert compared(cache, store).changes.totals == DiffTotals(0, 0, 0, 0, 0, 300)


def test_a_missing_manifest_is_revision_not_found(tmp_path: Path, store: LocalStore) -> None:
    put(store, OLD, body("old", lines(3)))
    with pytest.raises(RevisionNotFound):
        compared(ManifestCache(tmp_path / "cache", small=0), store)


@pytest.mark.parametrize("bad", ['{"logical_key": "../x"}\n', "[]\n", "{\n", "\n"])
def test_a_bad_line_on_one_side_is_corrupt(tmp_path: Path, store: LocalStore, bad: str) -> None:
    put(store, OLD, body("old", lines(3)))
    put(store, NEW, body("new", [*lines(2), bad]))
    with pytest.raises(CorruptManifest):
        compared(ManifestCache(tmp_path / "cache", small=0), store)


def test_two_entries_of_one_key_on_one_side_are_corrupt(tmp_path: Path, store: LocalStore) -> None:
    entries = lines(3)
    put(store, OLD, body("old", entries[:1]))
    put(store, NEW, body("new", [*entries, entries[2].replace('"size": 2', '"size": 3')]))
    with pytest.raises(CorruptManifest):
        compared(ManifestCache(tmp_path / "cache", small=0), store)


def test_a_manifest_that_changes_meanwhile_is_compared_as_one_whole(
    tmp_path: Path, store: LocalStore
) -> None:
    put(store, OLD, body("old", lines(300)))
    put(store, NEW, body("new", changed(lines(300))))

    class Changing(Counting):
        async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
            found = await self.inner.stat(key, version=version)
            self.calls["stat"] += 1
            if self.calls["stat"] == 2:
                await self.inner.put(manifest_key(NEW), body("newer", lines(300)))
            return found

    cache = ManifestCache(tmp_path / "cache", small=0)
    found = compared(cache, Changing(store))
    assert (found.after.message, found.changes.totals.unchanged) == ("newer", 300)
