"""Kernels that die, and a disk that forgets: what the crash tests of local storage are made of.

``Disk`` watches every system call of one or more stores and keeps two pictures of the folder: what a reader sees now, and
what is certain to be there after a power cut. File bytes are certain after fsync of the file, names after fsync of their
folder, and everything else may or may not have reached the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.syscalls import Syscalls

CALLS = (
    "open", "mkdir", "rmdir", "link", "rename", "unlink", "write", "fsync", "try_lock",
)  # fmt: skip
"""Those that change anything; dying ahead of any other call is dying ahead of the next of these."""

SMALL = b"s" * 64
LARGE = b"L" * 5_000

Objects = dict[str, bytes]
Step = tuple[Callable[[LocalStore, Path], Awaitable[Any]], Callable[[Objects], None]]


async def _take(store: LocalStore, scratch: Path) -> None:
    source = scratch / "source"
    source.write_bytes(LARGE)
    with source.open("rb") as file:
        await store.take_file(file.fileno(), "sha2-256-chunked", lambda _: ".quilt/objects/ab/abcd")


async def _swap(store: LocalStore, key: str, content: bytes) -> None:
    await store.put(key, content, if_match=(await store.stat(key)).etag)


def _set(key: str, content: bytes) -> Callable[[Objects], None]:
    return lambda objects: objects.update({key: content})


STEPS: tuple[Step, ...] = (
    (_take, _set(".quilt/objects/ab/abcd", LARGE)),
    (
        lambda store, _: store.put(".quilt/packages/1", LARGE, if_absent=True),
        _set(".quilt/packages/1", LARGE),
    ),
    (lambda store, _: store.put(".quilt/n/a/b/100", SMALL, if_absent=True), _set(".quilt/n/a/b/100", SMALL)),
    (lambda store, _: store.put(".quilt/n/a/b/latest", SMALL), _set(".quilt/n/a/b/latest", SMALL)),
    (lambda store, _: _swap(store, ".quilt/n/a/b/latest", LARGE), _set(".quilt/n/a/b/latest", LARGE)),
    (lambda store, _: store.put(".quilt/n/a/b/latest", SMALL), _set(".quilt/n/a/b/latest", SMALL)),
    (
        lambda store, _: store.delete(".quilt/n/a/b/100"),
        lambda objects: objects.pop(".quilt/n/a/b/100") and None,
    ),
    (
        lambda store, _: store.delete(".quilt/n/a/b/latest"),
        lambda objects: objects.pop(".quilt/n/a/b/latest") and None,
    ),
    (lambda store, _: store.put(".quilt/n/a/c/latest", SMALL), _set(".quilt/n/a/c/latest", SMALL)),
)
"""What a push and a delete do to a store, and what should then be there."""


def states() -> list[Objects]:
    """The objects before the first step, and after each."""
    found: list[Objects] = [{}]
    for _, change in STEPS:
        following = dict(found[-1])
        change(following)
        found.append(following)
    return found


async def objects_of(root: Path) -> Objects:
    """Everything a reader of the folder sees."""
    store = LocalStore(root)
    return {stat.key: (await store.get(stat.key))[1] async for stat in store.list()}


class Suicidal(Syscalls):
    """Kills its own process, beyond any clean-up, ahead of the n-th call that changes anything."""

    def __init__(self, dies_at: int) -> None:
        self._left = dies_at

    def before(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _deadly(name: str) -> Callable[..., Any]:
    plain = getattr(Syscalls, name)

    def call(self: Suicidal, *args: Any, **kwargs: Any) -> Any:
        if name != "open" or args[1] & os.O_CREAT:
            self.before()
        # A kill loses nothing that the kernel has: only the power cut needs the disk.
        return None if name == "fsync" else plain(self, *args, **kwargs)

    return call


for _name in CALLS:
    setattr(Suicidal, _name, _deadly(_name))


@dataclass
class Snapshot:
    """What may be on the disk after a power cut at one moment."""

    root: int
    acknowledged: int
    durable_names: dict[int, dict[str, int]]
    pending_names: dict[int, list[tuple[str, int | None]]]
    durable_bytes: dict[int, bytes]
    volatile_bytes: dict[int, bytes]

    def rebuild(self, target: Path, luck: random.Random | None) -> None:
        """Makes the folder as it could stand. Without luck, nothing that is not certain was written; with it, any
        part of it may have been."""
        self._folder(target, self.root, luck)

    def _folder(self, target: Path, inode: int, luck: random.Random | None) -> None:
        target.mkdir()
        names = dict(self.durable_names.get(inode, {}))
        for name, child in self.pending_names.get(inode, []):
            if luck is not None and luck.random() < 0.6:
                if child is None:
                    names.pop(name, None)
                else:
                    names[name] = child
        for name, child in names.items():
            if child in self.durable_names:
                self._folder(target / name, child, luck)
            else:
                (target / name).write_bytes(self._content(child, luck))

    def _content(self, inode: int, luck: random.Random | None) -> bytes:
        durable, volatile = self.durable_bytes.get(inode, b""), self.volatile_bytes.get(inode, b"")
        if luck is None or durable == volatile:
            return durable
        return luck.choice([b"", durable, volatile[: len(volatile) // 2], b"\0" * len(volatile), volatile])


@dataclass
class Disk:
    root: Path
    acknowledged: int = 0
    snapshots: list[Snapshot] = field(default_factory=list)
    durable_names: dict[int, dict[str, int]] = field(default_factory=dict)
    pending_names: dict[int, list[tuple[str, int | None]]] = field(default_factory=dict)
    durable_bytes: dict[int, bytes] = field(default_factory=dict)
    held: dict[int, int] = field(default_factory=dict)
    """A descriptor of every file and folder ever seen, so that no inode number is used twice."""

    def __post_init__(self) -> None:
        self.root_inode = self.hold_folder(os.open(self.root, os.O_RDONLY))

    def hold_folder(self, fd: int) -> int:
        inode = os.fstat(fd).st_ino
        self.held[inode] = fd
        self.durable_names[inode] = {}
        self.pending_names[inode] = []
        return inode

    def name(self, folder_fd: int, name: str, inode: int | None) -> None:
        self.pending_names[os.fstat(folder_fd).st_ino].append((name, inode))

    def sync(self, fd: int) -> None:
        inode = os.fstat(fd).st_ino
        if inode in self.durable_names:
            names = self.durable_names[inode]
            for name, child in self.pending_names[inode]:
                if child is None:
                    names.pop(name, None)
                else:
                    names[name] = child
            self.pending_names[inode] = []
        elif inode in self.held:
            self.durable_bytes[inode] = self.bytes_of(inode)

    def bytes_of(self, inode: int) -> bytes:
        fd = self.held[inode]
        return os.pread(fd, os.fstat(fd).st_size, 0)

    def snapshot(self) -> Snapshot:
        files = [inode for inode in self.held if inode not in self.durable_names]
        found = Snapshot(
            self.root_inode,
            self.acknowledged,
            {inode: dict(names) for inode, names in self.durable_names.items()},
            {inode: list(names) for inode, names in self.pending_names.items()},
            dict(self.durable_bytes),
            {inode: self.bytes_of(inode) for inode in files},
        )
        self.snapshots.append(found)
        return found

    def close(self) -> None:
        for fd in self.held.values():
            os.close(fd)


class Recorded(Syscalls):
    """A process's calls to a ``Disk``. ``dies_at``: from its n-th call on the process is dead: its descriptors are closed,
    and nothing it still tries has any effect."""

    def __init__(self, disk: Disk, *, dies_at: int | None = None, snapshots: bool = True) -> None:
        self._disk = disk
        self._left = dies_at
        self._snapshots = snapshots
        self._open: set[int] = set()
        self.is_dead = False

    def _before(self, *, changes: bool = True) -> None:
        if self._left is not None and not self.is_dead:
            self._left -= 1
            if self._left == 0:
                self.is_dead = True
                for fd in self._open:
                    os.close(fd)
        if self.is_dead:
            raise OSError(errno.EIO, "this process is dead")
        if self._snapshots and changes:
            self._disk.snapshot()

    def open(self, name: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        self._before(changes=bool(flags & os.O_CREAT))
        is_new = bool(flags & os.O_CREAT) and not _is_there(name, dir_fd)
        fd = super().open(name, flags, mode, dir_fd=dir_fd)
        self._open.add(fd)
        if is_new and dir_fd is not None:
            inode = os.fstat(fd).st_ino
            self._disk.held[inode] = os.open(name, os.O_RDONLY, dir_fd=dir_fd)
            self._disk.name(dir_fd, name, inode)
        return fd

    def close(self, fd: int) -> None:
        # Dying is no error of a close: it closes what was open.
        with contextlib.suppress(OSError):
            self._before(changes=False)
        if not self.is_dead:
            self._open.discard(fd)
            super().close(fd)

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        self._before()
        super().mkdir(name, dir_fd=dir_fd)
        assert dir_fd is not None
        inode = self._disk.hold_folder(os.open(name, os.O_RDONLY, dir_fd=dir_fd))
        self._disk.name(dir_fd, name, inode)

    def rmdir(self, name: str, *, dir_fd: int) -> None:
        self._before()
        super().rmdir(name, dir_fd=dir_fd)
        self._disk.name(dir_fd, name, None)

    def link(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
        self._before()
        super().link(source, source_dir, target, target_dir)
        self._disk.name(target_dir, target, os.stat(source, dir_fd=source_dir).st_ino)

    def rename(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
        self._before()
        inode = os.stat(source, dir_fd=source_dir).st_ino
        super().rename(source, source_dir, target, target_dir)
        self._disk.name(source_dir, source, None)
        self._disk.name(target_dir, target, inode)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self._before()
        super().unlink(name, dir_fd=dir_fd)
        self._disk.name(dir_fd, name, None)

    def write(self, fd: int, chunk: bytes | memoryview) -> int:
        self._before()
        return super().write(fd, chunk)

    def fsync(self, fd: int) -> None:
        self._before()
        self._disk.sync(fd)

    def try_lock(self, fd: int) -> bool:
        self._before()
        return super().try_lock(fd)


def _is_there(name: str, dir_fd: int | None) -> bool:
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
