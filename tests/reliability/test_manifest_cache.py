"""The manifest cache under deletion, damage, eviction, races and other processes (claims C22, C29). Ours."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from parts.manifests import true_hash
from quilt_mcp.domain.diff import DiffTotals
from quilt_mcp.domain.listing import Totals
from quilt_mcp.errors import CorruptManifest, RevisionNotFound, StorageUnavailable
from quilt_mcp.registry.layout import manifest_key
from quilt_mcp.registry.manifests import cache as cache_module
from quilt_mcp.registry.manifests import shelf as shelf_module
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.registry.manifests.diff import ManifestDiff
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.private import PrivateFolder
from quilt_mcp.storage.store import ObjectStat

READER = Path(__file__).parent / "manifest_reader.py"


def manifest_bytes(entries: int, bucket: str = "b") -> bytes:
    lines = ['{"version": "v0", "message": "made"}\n']
    for number in range(entries):
        key = f"d{number // 100:04}/f{number % 100:02}.csv"
        lines.append(
            f'{{"logical_key": "{key}", "physical_keys": ["s3://{bucket}/{key}"], "size": {number}, '
            f'"hash": {{"type": "SHA256", "value": "{number:064x}"}}, "meta": {{}}}}\n'
        )
    return "".join(lines).encode()


class Counting:
    """A store that counts its requests. It has no local files, as a store of a bucket has none."""

    def __init__(self, store: LocalStore) -> None:
        self.inner = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def local_files(self) -> Any:
        return None

    async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
        self.calls["stat"] += 1
        return await self.inner.stat(key, version=version)

    async def get(self, key: str, **options: Any) -> tuple[ObjectStat, bytes]:
        self.calls["get"] += 1
        return await self.inner.get(key, **options)

    async def stream(self, key: str, **options: Any) -> AsyncIterator[bytes]:
        self.calls["stream"] += 1
        async for chunk in self.inner.stream(key, **options):
            yield chunk


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    root = tmp_path / "registry"
    root.mkdir()
    return LocalStore(root)


_latest: dict[Path, str] = {}


def put(store: LocalStore, body: bytes, top_hash: str | None = None) -> str:
    """Stores a manifest under its true top hash, and answers that."""
    top_hash = top_hash or true_hash(body)
    asyncio.run(store.put(manifest_key(top_hash), body))
    _latest[store.root] = top_hash
    return top_hash


def opened(cache: ManifestCache, store: Any, top_hash: str | None = None) -> Manifest:
    """That of ``top_hash``, or the one put there last."""
    return asyncio.run(cache.open(store, top_hash or _latest[store.root]))


def large(tmp_path: Path, **options: Any) -> ManifestCache:
    """A cache that takes every manifest for a large one."""
    return ManifestCache(tmp_path / "cache", small=0, **options)


def files(tmp_path: Path, ending: str = "") -> list[Path]:
    return sorted((tmp_path / "cache").glob(f"*{ending}"))


def check(manifest: Manifest, entries: int) -> None:
    assert manifest.totals == Totals(entries, sum(range(entries)))
    assert [entry.size for entry in manifest.entries()] == list(range(entries))
    last = f"d{(entries - 1) // 100:04}/f{(entries - 1) % 100:02}.csv"
    assert manifest.entry(last) == list(manifest.entries())[-1]


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_a_known_manifest_costs_one_stat(tmp_path: Path, store: LocalStore, small: int) -> None:
    put(store, manifest_bytes(300))
    counting = Counting(store)
    cache = ManifestCache(tmp_path / "cache", small=small)
    first = opened(cache, counting)
    assert sum(counting.calls.values()) <= 3
    counting.calls.clear()
    assert opened(cache, counting) is first
    assert counting.calls == {"stat": 1}


@pytest.mark.parametrize("in_place", [True, False])
def test_counts_by_extension_are_left_on_disk_for_the_next_process(
    tmp_path: Path, store: LocalStore, in_place: bool
) -> None:
    put(store, manifest_bytes(300))
    used = store if in_place else Counting(store)
    for turn in range(2):
        cache = large(tmp_path)
        manifest = opened(cache, used)
        assert (manifest.index.extensions is None) == (turn == 0)
        assert asyncio.run(cache.extensions(manifest, "")) == {".csv": [300, sum(range(300))]}
        assert asyncio.run(cache.extensions(manifest, "d0001")) == {".csv": [100, sum(range(100, 200))]}
        check(manifest, 300)


def test_a_manifest_parsed_by_an_earlier_process_costs_one_stat(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(300))
    opened(large(tmp_path), Counting(store))
    counting = Counting(store)
    check(opened(large(tmp_path), counting), 300)
    assert counting.calls == {"stat": 1}


def test_small_manifests_need_no_folder(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(3))
    check(opened(ManifestCache(tmp_path / "cache"), store), 3)
    assert not (tmp_path / "cache").exists()


def test_a_dangling_pointer_is_revision_not_found(tmp_path: Path, store: LocalStore) -> None:
    with pytest.raises(RevisionNotFound) as caught:
        opened(large(tmp_path), store, "0" * 64)
    assert "package_log" in caught.value.next_step


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_other_bytes_under_the_same_top_hash_are_read_anew(
    tmp_path: Path, store: LocalStore, small: int
) -> None:
    cache = ManifestCache(tmp_path / "cache", small=small)
    for bucket in ("one", "two", "one"):
        put(store, manifest_bytes(3, bucket))
        entry = opened(cache, store).entry("d0000/f00.csv")
        assert entry is not None and entry.physical_key == f"s3://{bucket}/d0000/f00.csv"


@pytest.mark.parametrize("small", [0, 1 << 20])
@pytest.mark.parametrize("remote", [False, True])
def test_a_manifest_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, store: LocalStore, small: int, remote: bool
) -> None:
    put(store, manifest_bytes(3, "one"))

    class Changing(Counting):
        """After the first answer to a stat, other bytes stand there."""

        async def stat(self, key: str, *, version: str | None = None) -> ObjectStat:
            found = await super().stat(key, version=version)
            if self.calls["stat"] == 1:
                await self.inner.put(key, manifest_bytes(3, "two"))
            return found

    class ChangingFolder(Changing):
        @property
        def local_files(self) -> Any:
            return self.inner

    changing: Any = Changing(store) if remote else ChangingFolder(store)
    cache = ManifestCache(tmp_path / "cache", small=small)
    entry = opened(cache, changing).entry("d0000/f00.csv")
    assert entry is not None and entry.physical_key == "s3://two/d0000/f00.csv"
    put(store, manifest_bytes(3, "one"))  # and the etag it had at first, under which nothing else may be kept
    entry = opened(cache, store).entry("d0000/f00.csv")
    assert entry is not None and entry.physical_key == "s3://one/d0000/f00.csv"


@pytest.mark.parametrize("remote", [False, True])
def test_the_cache_may_be_deleted_while_a_manifest_is_open(
    tmp_path: Path, store: LocalStore, remote: bool
) -> None:
    put(store, manifest_bytes(300))
    around: Any = Counting(store) if remote else store
    cache = large(tmp_path)
    manifest = opened(cache, around)
    shutil.rmtree(tmp_path / "cache")
    check(manifest, 300)
    check(opened(cache, around), 300)
    check(opened(large(tmp_path), around), 300)
    assert [path.suffix for path in files(tmp_path)] == ([".index", ".lines"] if remote else [".index"])


def test_the_cache_may_be_moved_while_a_manifest_is_open(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(300))
    manifest = opened(large(tmp_path), Counting(store))
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    check(manifest, 300)


def test_other_lines_in_their_place_are_not_taken_for_open_ones(tmp_path: Path, store: LocalStore) -> None:
    larger, smaller = put(store, manifest_bytes(300)), put(store, manifest_bytes(200))
    cache = large(tmp_path)
    manifest = opened(cache, Counting(store), larger)
    [lines] = files(tmp_path, ".lines")
    opened(cache, Counting(store), smaller)
    [other] = [path for path in files(tmp_path, ".lines") if path != lines]
    os.replace(other, lines)
    check(manifest, 300)
    check(opened(large(tmp_path), Counting(store), larger), 300)


def shuffled(body: bytes) -> bytes:
    header, *lines = body.splitlines(keepends=True)
    return b"".join([header, *reversed(lines)])


@pytest.mark.sampled(11)
@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("ending", [".lines", ".index"])
@pytest.mark.parametrize("remote", [False, True])
def test_a_damaged_cache_file_is_made_anew(
    tmp_path: Path, store: LocalStore, ending: str, at: float, remote: bool
) -> None:
    """Of a manifest in a bucket the lines are a copy, and of one in another order in a folder, too."""
    put(store, manifest_bytes(300) if remote else shuffled(manifest_bytes(300)))
    around: Any = Counting(store) if remote else store
    opened(large(tmp_path), around)
    [damaged] = files(tmp_path, ending)
    body = bytearray(damaged.read_bytes())
    body[min(int(at * len(body)), len(body) - 1)] ^= 0x20
    damaged.write_bytes(body)
    check(opened(large(tmp_path), around), 300)
    check(opened(large(tmp_path), around), 300)


@pytest.mark.parametrize("ending", [".lines", ".index"])
@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_truncated_cache_file_is_made_anew(
    tmp_path: Path, store: LocalStore, ending: str, kept: int
) -> None:
    put(store, manifest_bytes(300))
    opened(large(tmp_path), Counting(store))
    [damaged] = files(tmp_path, ending)
    damaged.write_bytes(damaged.read_bytes()[:kept])
    check(opened(large(tmp_path), Counting(store)), 300)


@pytest.mark.parametrize("head", [b"[]", b"{}", b"null", b'{"format": 5}', b"x", b"\xff", b""])
def test_a_forged_index_is_not_believed(tmp_path: Path, store: LocalStore, head: bytes) -> None:
    put(store, manifest_bytes(300))
    opened(large(tmp_path), store)
    [index] = files(tmp_path, ".index")
    checksum = hashlib.sha256(head).hexdigest().encode()
    for forged in (head, head + b"\n", checksum + b" " + head + b"\n", checksum + b" " + head + b"\nmore"):
        index.write_bytes(forged)
        check(opened(large(tmp_path), store), 300)


def test_a_manifest_written_to_in_place_is_told_and_read_anew(tmp_path: Path, store: LocalStore) -> None:
    """quilt3 opens a manifest of the same top hash for writing, and so cuts it short under whoever reads it."""
    top_hash = put(store, manifest_bytes(300, "one"))
    cache = large(tmp_path)
    manifest = opened(cache, store)
    path = store.root / manifest_key(top_hash)
    path.write_bytes(manifest_bytes(300, "two"))
    with pytest.raises(StorageUnavailable, match="written to"):
        manifest.entry("d0000/f00.csv")
    entry = opened(cache, store).entry("d0000/f00.csv")
    assert entry is not None and entry.physical_key == "s3://two/d0000/f00.csv"


def test_the_cache_belongs_to_its_user_alone(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(300))
    opened(large(tmp_path), store)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)} == {0o600}


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, store: LocalStore) -> None:
    hashes = [put(store, manifest_bytes(2_000 + number)) for number in range(4)]
    roomy = large(tmp_path)
    for number, top_hash in enumerate(hashes[:3]):
        opened(roomy, Counting(store), top_hash)
        for path in files(tmp_path, ".index"):
            if path.stat().st_mtime > 1_000_000:
                os.utime(path, (number + 1, number + 1))
    one_manifest = max(path.stat().st_size for path in files(tmp_path, ".lines"))
    check(opened(large(tmp_path), Counting(store), hashes[0]), 2_000)
    check(opened(large(tmp_path, max_bytes=int(one_manifest * 2.5)), Counting(store), hashes[3]), 2_003)
    counting = Counting(store)
    check(opened(large(tmp_path), counting, hashes[0]), 2_000)
    check(opened(large(tmp_path), counting, hashes[3]), 2_003)
    assert counting.calls == {"stat": 2}
    assert len(files(tmp_path, ".lines")) == len(files(tmp_path, ".index")) == 2


def test_eviction_spares_files_that_are_not_the_caches_own(tmp_path: Path, store: LocalStore) -> None:
    (tmp_path / "cache").mkdir()
    mine = tmp_path / "cache" / "thesis.tex"
    mine.write_bytes(b"x" * 100_000)
    os.utime(mine, (1, 1))
    put(store, manifest_bytes(300))
    opened(large(tmp_path, max_bytes=1), store)
    assert mine.exists()


def test_a_corrupt_manifest_leaves_nothing_behind(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(300) + b'{"logical_key": "../x"}\n')
    for remote in (store, Counting(store)):
        with pytest.raises(CorruptManifest):
            opened(large(tmp_path), remote)
        assert files(tmp_path) == []


def test_what_a_killed_build_left_is_swept(tmp_path: Path, store: LocalStore) -> None:
    old, young = tmp_path / "cache" / "unfinished-old", tmp_path / "cache" / "unfinished-young"
    (tmp_path / "cache").mkdir()
    for file in (old, young):
        file.write_bytes(b"x")
    os.utime(old, (1, 1))
    put(store, manifest_bytes(300))
    opened(large(tmp_path), store)
    assert (old.exists(), young.exists()) == (False, True)


def test_case_E7_a_cache_folder_that_cannot_be_made_has_another_in_its_place(
    tmp_path: Path, store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, manifest_bytes(300))
    (tmp_path / "cache").write_text("a file")
    for _ in range(2):
        cache, remote = large(tmp_path), Counting(store)
        check(opened(cache, remote), 300)
        check(opened(cache, remote), 300)
        assert remote.calls["stream"] == 1
        (told,) = caplog.messages
        assert str(tmp_path / "cache") in told and "QUILT_MCP_CACHE_DIR" in told
        assert stat.S_IMODE(cache.private.path().stat().st_mode) == 0o700
        caplog.clear()
    folder = PrivateFolder(tmp_path / "cache")
    instead = folder.path()
    del folder
    gc.collect()
    assert not instead.exists(), "it goes with its owner"


def test_case_E7_without_any_folder_only_a_copy_is_refused(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, manifest_bytes(300))
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    check(opened(large(tmp_path), store), 300)
    with pytest.raises(StorageUnavailable, match=str(tmp_path / "cache")) as caught:
        opened(large(tmp_path), Counting(store))
    assert "QUILT_MCP_CACHE_DIR" in caught.value.next_step


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o1777])
def test_case_X9_a_cache_that_another_account_may_write_is_neither_read_nor_written(
    tmp_path: Path, store: LocalStore, mode: int
) -> None:
    put(store, manifest_bytes(300))
    opened(large(tmp_path), Counting(store))
    before = files(tmp_path)
    (tmp_path / "cache").chmod(mode)
    remote = Counting(store)
    check(opened(large(tmp_path), remote), 300)
    assert remote.calls["stream"] == 1, "what stands there is not believed"
    assert files(tmp_path) == before
    (tmp_path / "cache").chmod(0o755)
    remote = Counting(store)
    check(opened(large(tmp_path), remote), 300)
    assert remote.calls["stream"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("foreign", ["folder", "index"])
def test_case_X9_what_another_account_owns_is_not_believed(
    tmp_path: Path, store: LocalStore, foreign: str
) -> None:
    put(store, manifest_bytes(300))
    opened(large(tmp_path), Counting(store))
    (index,) = files(tmp_path, ".index")
    os.chown(tmp_path / "cache" if foreign == "folder" else index, 12345, 12345)
    remote = Counting(store)
    check(opened(large(tmp_path), remote), 300)
    assert remote.calls["stream"] == 1


def test_copies_may_be_touched_and_what_was_cut_short_is_read_anew(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(300))
    cache, remote = large(tmp_path), Counting(store)
    known = opened(cache, remote)
    [copy] = files(tmp_path, ".lines")
    os.utime(copy, (1, 1))
    assert opened(cache, remote) is known
    check(known, 300)
    os.truncate(copy, 900)
    with pytest.raises(StorageUnavailable):
        check(known, 300)
    check(opened(cache, remote), 300)
    for file in files(tmp_path):
        file.unlink()
    check(opened(cache, remote), 300)


def test_a_missing_manifest_has_no_hash(tmp_path: Path, store: LocalStore) -> None:
    with pytest.raises(RevisionNotFound):
        asyncio.run(large(tmp_path).read(store, "0" * 64))


def test_many_threads_may_ask_one_manifest(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(1_000))
    manifest = opened(large(tmp_path), store)

    def ask(number: int) -> tuple[Any, ...]:
        folder = f"d{number % 10:04}"
        return (
            folder,
            list(manifest.rows(folder))[:3],
            manifest.folder_totals(folder),
            manifest.entry(f"{folder}/f07.csv"),
        )

    alone = [ask(number) for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(80))) == alone * 8


def test_tasks_that_open_one_manifest_at_once_read_it_once(tmp_path: Path, store: LocalStore) -> None:
    top_hash = put(store, manifest_bytes(300))
    counting = Counting(store)
    cache = large(tmp_path)

    async def together() -> list[Manifest]:
        return await asyncio.gather(*(cache.open(counting, top_hash) for _ in range(5)))  # type: ignore[arg-type]

    assert len({id(manifest) for manifest in asyncio.run(together())}) == 1
    assert counting.calls["stream"] == 1


def test_processes_that_open_one_manifest_at_once_agree(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    top_hash = put(store, manifest_bytes(5_000))
    readers = [
        subprocess.Popen(
            [sys.executable, READER, tmp_path / "registry", tmp_path / "cache", top_hash],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        outputs = []
        for reader in readers:
            assert reader.stdin is not None
            reader.stdin.write("go\n")
            reader.stdin.flush()
        for reader in readers:
            outputs.append(reader.communicate(timeout=60)[0])
            assert reader.returncode == 0
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
    assert outputs == [f"{Totals(5_000, sum(range(5_000)))} d0000/f00.csv\n"] * 3
    monkeypatch.delattr(cache_module, "look")
    check(opened(large(tmp_path), store), 5_000)


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path: Path, store: LocalStore) -> None:
    body = manifest_bytes(10) + b'{"logical_key": "' + b"x" * (80 << 20)
    put(store, body, "0" * 64)
    with pytest.raises(CorruptManifest) as caught:
        opened(large(tmp_path), store)
    assert caught.value.details["line"] == 12


def test_open_files_are_closed_when_others_take_their_place(tmp_path: Path, store: LocalStore) -> None:
    cache = large(tmp_path)
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for number in range(12):
        put(store, manifest_bytes(2 + number))
        check(opened(cache, store), 2 + number)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) - before <= 8


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see how far the copy is")
def test_a_process_killed_in_mid_copy_leaves_a_cache_that_works(tmp_path: Path, store: LocalStore) -> None:
    top_hash = put(store, shuffled(manifest_bytes(60_000)))
    reader = subprocess.Popen(
        [sys.executable, READER, tmp_path / "registry", tmp_path / "cache", top_hash],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert (
            reader.stdin is not None and reader.stdout is not None and reader.stdout.readline() == "ready\n"
        )
        reader.stdin.write("go\n")
        reader.stdin.flush()
        while not any(path.stat().st_size for path in (tmp_path / "cache").glob("unfinished-*")):
            assert reader.poll() is None, "it was done before it could be killed"
    finally:
        reader.kill()
        reader.communicate()
    assert list((tmp_path / "cache").glob("unfinished-*"))
    assert files(tmp_path, ".index") == []
    check(opened(large(tmp_path), store), 60_000)


def test_a_disk_without_room_is_storage_full_and_leaves_nothing(tmp_path: Path, store: LocalStore) -> None:
    top_hash = put(store, shuffled(manifest_bytes(20_000)))
    arguments = [sys.executable, READER, tmp_path / "registry", tmp_path / "cache", top_hash]
    full = subprocess.run([*arguments, "100000"], input="go\n", capture_output=True, text=True, timeout=60)
    assert (full.returncode, full.stderr) == (0, "")
    _, code, what, next_step = full.stdout.replace("\n", "|").split("|")[:4]
    assert code.strip() == "storage_full"
    assert str(tmp_path / "cache") in what and "File too large" in what
    assert "QUILT_MCP_CACHE_DIR" in next_step
    assert files(tmp_path) == []
    check(opened(large(tmp_path), store), 20_000)


def test_lines_that_can_no_longer_be_read_are_a_typed_error(tmp_path: Path, store: LocalStore) -> None:
    put(store, manifest_bytes(20_000))
    manifest = opened(large(tmp_path), Counting(store))
    [lines] = files(tmp_path, ".lines")
    with lines.open("r+b") as file:
        file.truncate(lines.stat().st_size // 2)
    for ask in (lambda: manifest.entry("d0150/f07.csv"), lambda: list(manifest.entries())):
        with pytest.raises(StorageUnavailable) as caught:
            ask()
        assert str(tmp_path / "cache") in caught.value.message and "may be deleted" in caught.value.next_step


@pytest.mark.nightly
def test_a_large_manifest_is_cancelled_between_two_blocks(tmp_path: Path, store: LocalStore) -> None:
    top_hash = put(store, manifest_bytes(300_000))

    async def cancelled() -> float:
        with anyio.move_on_after(0.05) as scope:
            await large(tmp_path).open(store, top_hash)
        assert scope.cancelled_caught
        return anyio.current_time() - scope.deadline

    assert anyio.run(cancelled) < 2
    assert files(tmp_path) == []


def compared(cache: ManifestCache, store: Any, before: str, after: str, path: str = "") -> ManifestDiff:
    async def both() -> ManifestDiff:
        return await cache.diff(await cache.open(store, before), await cache.open(store, after), path)

    return asyncio.run(both())


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_the_next_page_of_a_comparison_compares_nothing_again(
    tmp_path: Path, store: LocalStore, small: int
) -> None:
    before, after = put(store, manifest_bytes(300)), put(store, manifest_bytes(310))
    cache = ManifestCache(tmp_path / "cache", small=small)
    found = compared(cache, store, before, after)
    assert found.totals == DiffTotals(10, 0, 0, 0, 0, 300)
    assert compared(cache, store, before, after).found is found.found
    assert compared(cache, store, before, after, "d0002").totals == DiffTotals(0, 0, 0, 0, 0, 100)
    assert [change.path for change in found.page(8, 9)] == ["d0003/f08.csv", "d0003/f09.csv"]


def test_a_replaced_manifest_is_compared_anew(tmp_path: Path, store: LocalStore) -> None:
    """Other physical keys stand under the same top hash. They are no change, but offsets among the lines are others."""
    before, after = put(store, manifest_bytes(300)), put(store, manifest_bytes(310))
    cache = large(tmp_path)
    found = compared(cache, store, before, after)
    put(store, manifest_bytes(310, "of-a-longer-name"))
    anew = compared(cache, store, before, after)
    assert anew.totals == found.totals
    assert [change.path for change in anew.page(8, 1)] == ["d0003/f08.csv"]


def test_memory_is_bounded_in_bytes_whatever_is_kept(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reviews R1 and R22: what counts is bytes, of comparisons and of manifests, and not how many there are."""
    monkeypatch.setattr(shelf_module, "MEMORY", 400_000)
    cache = ManifestCache(tmp_path / "cache")
    for number in range(12):
        put(store, manifest_bytes(500 + number))
        check(opened(cache, store), 500 + number)
    assert 100_000 < sum(manifest.held for manifest in cache._shelf._manifests.values()) <= 400_000
