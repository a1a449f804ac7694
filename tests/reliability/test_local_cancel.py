"""C18 on the local store: a call cancelled at any system call leaves no temporary file, descriptor, lock or half an object."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from quilt_mcp.storage.local import new_file
from quilt_mcp.storage.local import store as local_store
from quilt_mcp.storage.local.confined import TEMP_PREFIX
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.syscalls import Syscalls

OLD, NEW = b"old" * 30_000, b"new" * 30_000


class Cancelling(Syscalls):
    """Cancels the call it serves, from the thread it runs in, ahead of its n-th system call."""

    def __init__(self) -> None:
        self.scope: anyio.CancelScope | None = None
        self.left = 0

    def before(self) -> None:
        if self.scope is not None:
            self.left -= 1
            if self.left == 0:
                anyio.from_thread.run_sync(self.scope.cancel)


def _cancelling(name: str) -> Callable[..., Any]:
    plain = getattr(Syscalls, name)

    def call(self: Cancelling, *args: Any, **kwargs: Any) -> Any:
        self.before()
        return None if name == "fsync" else plain(self, *args, **kwargs)

    return call


for _name in (
    "open",
    "close",
    "mkdir",
    "rmdir",
    "link",
    "rename",
    "unlink",
    "write",
    "fsync",
    "try_lock",
):
    setattr(Cancelling, _name, _cancelling(_name))


async def put(store: LocalStore, _: Path) -> None:
    await store.put("a/b", NEW)


async def put_new(store: LocalStore, _: Path) -> None:
    await store.put("c/d", NEW, if_absent=True)


async def swap(store: LocalStore, _: Path) -> None:
    await store.put("a/b", NEW, if_match=(await store.stat("a/b")).etag)


async def delete(store: LocalStore, _: Path) -> None:
    await store.delete("a/b")


async def take(store: LocalStore, source: Path) -> None:
    with source.open("rb") as file:
        await store.take_file(file.fileno(), "sha2-256-chunked", lambda _: "c/d")


async def put_file(store: LocalStore, source: Path) -> None:
    await store.put("c/d", source)


async def stream(store: LocalStore, _: Path) -> None:
    async for _ in store.stream("a/b"):
        pass


async def walk(store: LocalStore, _: Path) -> None:
    async for _ in store.list():
        pass
    await store.list_folder()


@pytest.mark.sampled(2)
@pytest.mark.anyio
@pytest.mark.parametrize(
    "verb", [put, put_new, swap, delete, take, put_file, stream, walk], ids=lambda verb: verb.__name__
)
async def test_a_call_cancelled_at_any_system_call_leaves_nothing_behind(
    tmp_path: Path,
    verb: Callable[[LocalStore, Path], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(new_file, "_PIECE", 20_000)  # several to a file
    monkeypatch.setattr(local_store, "PIECE", 10_000)
    source = tmp_path / "source"
    source.write_bytes(NEW)
    descriptors = len(os.listdir("/dev/fd"))
    cancelled = calls = 0
    was_reached = True
    while was_reached:
        calls += 1
        root = tmp_path / str(calls)
        (root / "a").mkdir(parents=True)
        (root / "a/b").write_bytes(OLD)
        kernel = Cancelling()
        store = LocalStore(root, kernel=kernel)
        with anyio.CancelScope() as scope:
            kernel.scope, kernel.left = scope, calls
            await verb(store, source)
        was_reached = kernel.left <= 0
        kernel.scope = None
        cancelled += scope.cancelled_caught
        found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
        assert not [name for name in found if TEMP_PREFIX in name]
        for name in ("a/b", "c/d"):
            assert name not in found or found[name].read_bytes() in (OLD, NEW)
        assert len(os.listdir("/dev/fd")) <= descriptors
        # No lock is held: the next writer needs none to be broken.
        await LocalStore(root, kernel=Syscalls(), lock_wait=0).put("a/b", b"next")
    assert calls > 3
    # A put of bytes is one step in one thread: it comes to its end before the cancellation is seen.
    assert cancelled > 0 or verb in (put, put_new)
