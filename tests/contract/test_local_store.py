"""LocalStore keeps the Store contract, and what a local folder needs beyond it."""

from __future__ import annotations

import os
import stat as modes
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from store_contract import TakesFilesContract

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidName,
    NotAFile,
    NotSupported,
    ObjectNotFound,
    OutsideRoots,
    PermissionDenied,
    PreconditionFailed,
    ReadOnly,
    RegistryNotFound,
    StorageBusy,
    StorageFull,
    StorageUnavailable,
)
from quilt_mcp.storage.local.confined import TEMP_PREFIX
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.local.syscalls import Syscalls
from quilt_mcp.storage.store import (
    PIECE,
    SignedUpload,
    Store,
)
from quilt_mcp.storage.wrappers import ReadOnlyStore, ReadOnlyStores

ONE_DAY_AND_A_BIT = 90_000


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"))


def unfinished(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(TEMP_PREFIX)]


class NoLinks(Syscalls):
    def link(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
        raise PermissionError(1, "Operation not permitted")


class LocalFiles:
    """Raw access for the contract: plain files."""

    root: Path

    def raw_set(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def raw_get(self, key: str) -> bytes | None:
        path = self.root / key
        return path.read_bytes() if path.is_file() else None


class TestLocalStore(LocalFiles, TakesFilesContract):
    @pytest.fixture(autouse=True)
    def _open(self, tmp_path: Path) -> Iterator[None]:
        self.root = tmp_path / "registry"
        self.root.mkdir()
        self.store: Store = LocalStore(self.root)
        before = open_descriptors()
        yield
        assert unfinished(self.root) == []
        assert open_descriptors() <= before, "a descriptor was left open"

    def test_is_a_store_with_local_files_that_takes_files(self) -> None:
        assert self.store.local_files is self.store.intake is self.store
        assert self.store.signer is self.store.pages is None
        assert self.store.conditional_writes

    @pytest.mark.parametrize("folder", ["", "d/e/"])
    def test_files_of_one_folder_are_opened_by_name_and_by_nothing_else(self, folder: str) -> None:
        for key, content in (("a", b"1"), ("b", b"2"), ("deeper/c", b"3")):
            self.raw_set(folder + key, content)
        (self.root / folder / "link").symlink_to("a")
        with self.store.files_in(folder) as open_file:
            for name, content in (("a", b"1"), ("b", b"2")):
                with os.fdopen(open_file(name), "rb") as file:
                    assert file.read() == content
            for name, refusal in (
                ("link", OutsideRoots),
                ("gone", ObjectNotFound),
                ("deeper", NotAFile),
                ("deeper/c", InvalidName),
                ("../a", InvalidName),
                ("", InvalidName),
            ):
                with pytest.raises(refusal):
                    open_file(name)
        with pytest.raises(ObjectNotFound), self.store.files_in(f"{folder}nowhere/"):
            pass
        with pytest.raises(InvalidName), self.store.files_in(f"{folder}deep"):
            pass
        (self.root / folder / "link").unlink()

    @pytest.mark.anyio
    async def test_a_pointer_rewritten_in_place_by_another_program_changes_its_etag(self) -> None:
        self.raw_set("latest", b"1" * 64)
        first = await self.store.stat("latest")
        times = ((self.root / "latest").stat().st_atime_ns, (self.root / "latest").stat().st_mtime_ns)
        self.raw_set("latest", b"2" * 64)
        os.utime(self.root / "latest", ns=times)
        assert (await self.store.stat("latest")).etag != first.etag

    @pytest.mark.anyio
    async def test_unfinished_files_and_locks_are_never_shown_or_reached(self) -> None:
        await self.store.put("a", b"1")
        await self.store.put("a", b"2")
        self.raw_set(f".quilt/tmp/{TEMP_PREFIX}dead", b"half")
        self.raw_set(f"b/{TEMP_PREFIX}dead", b"half")
        assert [found.key async for found in self.store.list()] == ["a"]
        assert (await self.store.list_folder(".quilt/")).folders == ()
        for key in (
            f".quilt/tmp/{TEMP_PREFIX}dead",
            ".quilt/tmp/x",
            ".quilt/locks/00",
            f"b/{TEMP_PREFIX}dead",
        ):
            with pytest.raises(InvalidName):
                await self.store.get(key)
            with pytest.raises(InvalidName):
                await self.store.put(key, b"x")
        (self.root / "b" / f"{TEMP_PREFIX}dead").unlink()
        (self.root / ".quilt/tmp" / f"{TEMP_PREFIX}dead").unlink()

    @pytest.mark.anyio
    async def test_leavings_that_nobody_wrote_to_for_a_day_are_swept_and_no_others(self) -> None:
        dead = f".quilt/tmp/{TEMP_PREFIX}dead"
        young = f".quilt/tmp/{TEMP_PREFIX}young"
        other = ".quilt/tmp/other"
        for key in (dead, young, other):
            self.raw_set(key, b"half")
        long_ago = time.time() - ONE_DAY_AND_A_BIT
        for key in (dead, other):
            os.utime(self.root / key, (long_ago, long_ago))
        await self.store.put("a", b"1")
        assert unfinished(self.root) == [self.root / young]
        assert (self.root / other).exists()
        (self.root / young).unlink()

    @pytest.mark.anyio
    async def test_leavings_that_cannot_be_removed_are_no_reason_to_fail_a_write(self) -> None:
        class Stuck(Syscalls):
            def unlink(self, name: str, *, dir_fd: int) -> None:
                if name.endswith("dead"):
                    raise PermissionError(1, "Operation not permitted")
                super().unlink(name, dir_fd=dir_fd)

        dead = self.root / f".quilt/tmp/{TEMP_PREFIX}dead"
        self.raw_set(f".quilt/tmp/{TEMP_PREFIX}dead", b"half")
        os.utime(dead, (0, 0))
        await LocalStore(self.root, kernel=Stuck()).put("a", b"1")
        assert self.raw_get("a") == b"1"
        dead.unlink()

    @pytest.mark.anyio
    async def test_put_respects_the_umask(self) -> None:
        await self.store.put("x/y", b"1")
        plain = self.root / "plain"
        plain.write_bytes(b"")
        assert modes.S_IMODE((self.root / "x/y").stat().st_mode) == modes.S_IMODE(plain.stat().st_mode)

    @pytest.mark.anyio
    async def test_a_name_longer_than_the_file_system_allows_is_an_invalid_name(self) -> None:
        for key in ("n" * 256, "é" * 200, f"a/{'n' * 300}/b"):
            with pytest.raises(InvalidName):
                await self.store.put(key, b"x")
        await self.store.put("/".join(["deep"] * 300), b"x")
        assert len([found async for found in self.store.list()]) == 1

    @pytest.mark.anyio
    async def test_an_object_and_a_folder_cannot_share_a_name(self) -> None:
        await self.store.put("a", b"x")
        with pytest.raises(AlreadyExists):
            await self.store.put("a/b", b"y")
        await self.store.put("c/d", b"x")
        for conditions in ({}, {"if_absent": True}):
            with pytest.raises(NotAFile):
                await self.store.put("c", b"y", **conditions)
        with pytest.raises(NotAFile):
            await self.store.delete("c")

    @pytest.mark.anyio
    async def test_versions_are_not_supported(self) -> None:
        await self.store.put("a", b"x")
        with pytest.raises(NotSupported):
            await self.store.stat("a", version="1")

    @pytest.mark.anyio
    async def test_a_lock_held_elsewhere_ends_in_storage_busy(self) -> None:
        store = LocalStore(self.root, lock_wait=0.05)
        await store.put("a", b"1")
        locks = list((self.root / ".quilt/locks").iterdir())
        with locks[0].open("rb") as held:
            assert Syscalls().try_lock(held.fileno())
            with pytest.raises(StorageBusy) as caught:
                await store.put("a", b"2")
            assert caught.value.retryable
        await store.put("a", b"2")

    @pytest.mark.anyio
    async def test_a_cancelled_wait_for_a_lock_leaves_nothing_behind(self) -> None:
        await self.store.put("a", b"1")
        lock = next((self.root / ".quilt/locks").iterdir())
        with lock.open("rb") as held:
            assert Syscalls().try_lock(held.fileno())
            with anyio.move_on_after(0.05) as scope:
                await self.store.put("a", b"2")
        assert scope.cancelled_caught
        assert self.raw_get("a") == b"1"

    @pytest.mark.anyio
    async def test_a_cancelled_take_leaves_nothing_behind(self, tmp_path: Path) -> None:
        reached = threading.Event()
        going_on = threading.Event()

        class Held(Syscalls):
            def write(self, fd: int, chunk: bytes | memoryview) -> int:
                reached.set()
                assert going_on.wait(20)
                return super().write(fd, chunk)

        store = LocalStore(self.root, kernel=Held())
        source = tmp_path / "source"
        source.write_bytes(b"x" * 100_000)
        with source.open("rb") as file:
            async with anyio.create_task_group() as group:
                group.start_soon(store.take_file, file.fileno(), "sha2-256-chunked", lambda _: "key")
                await anyio.to_thread.run_sync(reached.wait)
                group.cancel_scope.cancel()
                going_on.set()
        assert [found async for found in store.list()] == []

    @pytest.mark.anyio
    async def test_an_abandoned_stream_closes_its_file(self) -> None:
        self.raw_set("big", b"x" * (PIECE + 1))
        before = open_descriptors()
        stream = self.store.stream("big")
        assert len(await anext(stream)) == PIECE
        await stream.aclose()
        assert open_descriptors() <= before

    @pytest.mark.anyio
    async def test_a_source_that_grows_while_it_is_copied_is_refused(self, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"x" * 100_000)

        class Growing(Syscalls):
            def write(self, fd: int, chunk: bytes | memoryview) -> int:
                with (tmp_path / "source").open("ab") as file:
                    file.write(b"more")
                return super().write(fd, chunk)

        with source.open("rb") as file, pytest.raises(Exception) as caught:
            await LocalStore(self.root, kernel=Growing()).take_file(file.fileno(), "SHA256", lambda _: "key")
        assert caught.value.code == "hash_mismatch"
        assert self.raw_get("key") is None

    @pytest.mark.anyio
    async def test_a_small_source_that_is_stored_already_is_not_written_again(self, tmp_path: Path) -> None:
        class Counted(Syscalls):
            links = 0

            def link(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
                Counted.links += 1
                super().link(source, source_dir, target, target_dir)

        store = LocalStore(self.root, kernel=Counted())
        source = tmp_path / "source"
        source.write_bytes(b"small")
        with source.open("rb") as file:
            taken = [
                await store.take_file(file.fileno(), "SHA256", lambda found: found.value) for _ in range(3)
            ]
        assert [one.created for one in taken] == [True, False, False]
        assert Counted.links == 1
        assert self.raw_get(taken[0].hash.value) == b"small"

    @pytest.mark.anyio
    async def test_without_hard_links_create_only_still_lets_one_win(self) -> None:
        store = LocalStore(self.root, kernel=NoLinks())
        outcomes: list[str] = []

        async def write(number: int) -> None:
            try:
                await store.put("k", b"%d" % number, if_absent=True)
                outcomes.append("won")
            except PreconditionFailed:
                outcomes.append("lost")

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(write, number)
        assert sorted(outcomes) == ["lost"] * 7 + ["won"]

    @pytest.mark.anyio
    async def test_without_hard_links_a_create_only_write_waits_for_the_lock(self, tmp_path: Path) -> None:
        store = LocalStore(self.root, kernel=NoLinks(), lock_wait=0.05)
        await store.put("k", b"1", if_absent=True)
        await store.delete("k")
        with ExitStack() as held:
            for lock in (self.root / ".quilt/locks").iterdir():
                assert Syscalls().try_lock(held.enter_context(lock.open("rb")).fileno())
            with pytest.raises(StorageBusy):
                await store.put("k", b"2", if_absent=True)
        assert self.raw_get("k") is None
        await store.put("k", b"3", if_absent=True)
        assert self.raw_get("k") == b"3"

    def test_without_hard_links_an_installed_file_is_not_replaced_unasked(self) -> None:
        folder = LocalFolder(self.root, kernel=NoLinks())
        folder.write_file("d/k", b"1")
        with pytest.raises(AlreadyExists):
            folder.write_file("d/k", b"2")
        assert self.raw_get("d/k") == b"1"
        folder.write_file("d/k", b"3", replace=True)
        assert self.raw_get("d/k") == b"3"

    @pytest.mark.anyio
    async def test_a_folder_that_may_not_be_made_is_not_taken_for_a_lack_of_hard_links(self) -> None:
        class NoFolders(Syscalls):
            def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
                if name == "shut":
                    raise PermissionError(1, "Operation not permitted")
                super().mkdir(name, dir_fd=dir_fd)

        with pytest.raises(PermissionDenied):
            await LocalStore(self.root, kernel=NoFolders()).put("shut/k", b"1", if_absent=True)

    @pytest.mark.anyio
    async def test_bytes_are_the_same_when_the_kernel_writes_less_than_asked(self, tmp_path: Path) -> None:
        class Short(Syscalls):
            def write(self, fd: int, chunk: bytes | memoryview) -> int:
                return super().write(fd, chunk[:70_000])

        content = os.urandom(3_000_000)
        source = tmp_path / "source"
        source.write_bytes(content)
        await LocalStore(self.root, kernel=Short()).put("k", source)
        assert self.raw_get("k") == content


class TestReadOnlyStore(LocalFiles):
    @pytest.mark.anyio
    async def test_reads_pass_and_writes_are_refused_before_anything_is_done(self, tmp_path: Path) -> None:
        self.root = tmp_path
        self.raw_set("a/b", b"x")
        store = ReadOnlyStore(LocalStore(tmp_path))
        assert (await store.get("a/b"))[1] == b"x"
        assert [found.key async for found in store.list()] == ["a/b"]
        assert (await store.list_folder()).folders == ("a/",)
        assert [chunk async for chunk in store.stream("a/b")] == [b"x"]
        assert store.local_files is not None
        os.close(store.local_files.open_file("a/b"))
        with store.local_files.files_in("a/") as open_file:
            os.close(open_file("b"))
        assert store.intake is not None
        with open(tmp_path / "a/b", "rb") as file:
            for write in (
                store.put("c", b"x"),
                store.put("c", b"x", if_absent=True),
                store.delete("a/b"),
                store.intake.take_file(file.fileno(), "SHA256", lambda _: "c"),
            ):
                with pytest.raises(ReadOnly) as caught:
                    await write
                assert "--allow-write" in caught.value.next_step
                assert "QUILT_ALLOW_WRITE=1" in caught.value.next_step
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b"]

    @pytest.mark.anyio
    async def test_it_keeps_the_abilities_that_read_and_gains_none(self, tmp_path: Path) -> None:
        class Bucket(LocalStore):
            """A store of a bucket's abilities."""

            async def sign(self, key: str, *, version: str | None, expires_in: int) -> tuple[str, datetime]:
                return key, datetime.now(UTC)

            async def sign_upload(self, key: str, *, size: int, expires_in: int) -> SignedUpload:
                raise AssertionError("nothing is written")

            def __init__(self, root: Path) -> None:
                super().__init__(root)
                self.local_files = self.intake = None
                self.signer = self.pages = cast("Any", self)

        self.root = tmp_path
        self.raw_set("a", b"x")
        inner = Bucket(tmp_path)
        bucket = ReadOnlyStore(inner)
        assert bucket.pages is inner
        assert bucket.signer is not None
        assert (await bucket.signer.sign("a", version=None, expires_in=1))[0] == "a"
        with pytest.raises(ReadOnly):
            await bucket.signer.sign_upload("a", size=1, expires_in=1)
        assert bucket.local_files is bucket.intake is None
        plain = ReadOnlyStore(LocalStore(tmp_path))
        assert plain.signer is plain.pages is None
        assert plain.url == tmp_path.as_uri()
        assert plain.conditional_writes
        assert plain.physical_key("a").path == str(tmp_path / "a")
        assert await plain.stat("a") == await LocalStore(tmp_path).stat("a")

    @pytest.mark.anyio
    async def test_stores_hand_out_read_only_stores(self, tmp_path: Path) -> None:
        stores = ReadOnlyStores(LocalStores([tmp_path]))
        store, key = stores.locate(PhysicalKey(None, str(tmp_path / "x")))
        for found in (store, stores.registry(str(tmp_path))):
            with pytest.raises(ReadOnly):
                await found.put(key, b"x")
        self.root = tmp_path
        self.raw_set("folder/x", b"x")
        store, prefix = stores.locate_folder(PhysicalKey(None, str(tmp_path / "folder")))
        assert [found.key async for found in store.list(prefix)] == ["folder/x"]
        with pytest.raises(ReadOnly):
            await store.delete("folder/x")
        found = await stores.find(str(tmp_path / "folder"))
        assert [file.relative async for page in found.pages for file in page] == ["x"]


class TestMissingRoot:
    @pytest.mark.anyio
    async def test_a_missing_registry_is_registry_not_found_and_is_not_made(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path / "none")
        for verb in (
            lambda: store.stat("a"),
            lambda: store.list_folder(),
            lambda: anext(store.list()),
            lambda: store.put("a", b"x"),
            lambda: store.delete("a"),
        ):
            with pytest.raises(RegistryNotFound):
                await verb()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.anyio
    async def test_a_registry_to_be_created_reads_as_empty_and_is_made_by_the_first_write(
        self, tmp_path: Path
    ) -> None:
        store = LocalStore(tmp_path / "deep" / "er", create=True)
        assert [found async for found in store.list()] == []
        assert (await store.list_folder()).folders == ()
        with pytest.raises(ObjectNotFound):
            await store.get("a")
        await store.delete("a")
        assert list(tmp_path.iterdir()) == []
        await store.put("a", b"x", if_absent=True)
        assert (tmp_path / "deep/er/a").read_bytes() == b"x"

    @pytest.mark.anyio
    async def test_a_registry_removed_in_mid_call_is_not_silently_begun_anew(self, tmp_path: Path) -> None:
        store = LocalStore(tmp_path / "r", create=True)
        await store.put("a", b"x")
        (tmp_path / "r").rename(tmp_path / "gone")
        with pytest.raises(StorageUnavailable):
            await store.put("b", b"x")
        assert not (tmp_path / "r").exists()

    @pytest.mark.anyio
    async def test_a_file_where_the_registry_should_be_is_registry_not_found(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(RegistryNotFound):
            await LocalStore(tmp_path / "file").stat("a")


class TestRefusalsOfTheKernel:
    def test_a_folder_without_permission_is_permission_denied(self, tmp_path: Path) -> None:
        """In a process of its own that gives up root's rights, where it has them."""
        script = """
import anyio, os, sys
from pathlib import Path
from quilt_mcp.errors import PermissionDenied
from quilt_mcp.storage.local.store import LocalStore
store = LocalStore(Path(sys.argv[1]))
anyio.run(store.put, "open/a", b"x")
(store.root / "shut").mkdir()
(store.root / "shut").chmod(0)
(store.root / "unreadable").write_bytes(b"x")
(store.root / "unreadable").chmod(0)
if os.geteuid() == 0:
    os.setuid(65534)
refused = 0
for verb, arguments in [
    (store.put, ("shut/a", b"x")), (store.stat, ("shut/a",)), (store.get, ("unreadable",)), (store.list_folder, ("shut/",)),
]:
    try:
        anyio.run(verb, *arguments)
    except PermissionDenied as error:
        assert error.next_step
        refused += 1
sys.exit(refused)
"""
        os.chmod(tmp_path, 0o755)
        for parent in tmp_path.parents:
            if parent.owner() == tmp_path.owner() and os.geteuid() == 0 and parent != Path("/"):
                os.chmod(parent, parent.stat().st_mode | 0o011)
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60, check=False)
        (tmp_path / "shut").chmod(0o700)
        assert done.returncode == 4

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("ENOSPC", StorageFull), ("EDQUOT", StorageFull), ("EIO", StorageUnavailable), ("EROFS", PermissionDenied),
            ("EACCES", PermissionDenied), ("EPERM", PermissionDenied), ("EMFILE", StorageUnavailable),
            ("ELOOP", OutsideRoots), ("ESTALE", StorageUnavailable),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
    async def test_every_refusal_is_typed_says_what_to_do_and_leaves_the_old_object(
        self, tmp_path: Path, code: str, expected: type[Exception], call: str
    ) -> None:
        import errno

        class Failing(Syscalls):
            broken = False

            def fail(self, name: str) -> None:
                if self.broken and name == call:
                    raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

            def open(self, name: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
                if flags & os.O_CREAT:
                    self.fail("open")
                return super().open(name, flags, mode, dir_fd=dir_fd)

            def write(self, fd: int, chunk: bytes | memoryview) -> int:
                self.fail("write")
                return super().write(fd, chunk)

            def fsync(self, fd: int) -> None:
                self.fail("fsync")
                super().fsync(fd)

            def rename(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
                self.fail("rename")
                super().rename(source, source_dir, target, target_dir)

        kernel = Failing()
        store = LocalStore(tmp_path, kernel=kernel)
        await store.put("a/b", b"old")
        kernel.broken = True
        with pytest.raises(expected) as caught:
            await store.put("a/b", b"new")
        assert caught.value.next_step
        assert str(tmp_path) in caught.value.message
        assert (tmp_path / "a/b").read_bytes() == b"old"
        assert unfinished(tmp_path) == []

    def test_a_full_disk_is_storage_full_and_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        """A real limit of the kernel's, in a process of its own."""
        script = """
import anyio, resource, signal, sys
from pathlib import Path
from quilt_mcp.errors import StorageFull
from quilt_mcp.storage.local.store import LocalStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    anyio.run(LocalStore(Path(sys.argv[1])).put, "big", b"x" * 200_000)
except StorageFull:
    sys.exit(7)
"""
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60, check=False)
        assert done.returncode == 7
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_running_out_of_descriptors_is_storage_unavailable(self, tmp_path: Path) -> None:
        script = """
import anyio, os, resource, sys
from pathlib import Path
from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.storage.local.store import LocalStore
async def main():
    store = LocalStore(Path(sys.argv[1]))
    await store.put("a/b/c", b"x")
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        await store.get("a/b/c")
    except StorageUnavailable as error:
        assert error.details["errno"] == "EMFILE"
        sys.exit(7)
anyio.run(main)
"""
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60, check=False)
        assert done.returncode == 7
