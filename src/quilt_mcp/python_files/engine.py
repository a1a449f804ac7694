"""Engine: where the calls of any thread of a process are carried out, by one event loop on a thread of its own.

The loop is ours and not fsspec's. Workers that block (a manifest on disk, boto3) live as long as the loop's first task, and so
are there for the next call; and another filesystem that blocks fsspec's loop does not hold up ours.

A process that was forked has no loop: it makes one at its first call. A process that ends stops it, and waits a moment at most:
an answer of obstore's that came to an interpreter that is being taken down would abort it.
"""

from __future__ import annotations

import atexit
import errno
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from typing import Final, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from quilt_mcp import backends
from quilt_mcp.auth.identity import Identity
from quilt_mcp.config import Settings
from quilt_mcp.errors import QuiltError
from quilt_mcp.ops import QuiltOps
from quilt_mcp.python_files.told import as_os_error
from quilt_mcp.session import Session

T = TypeVar("T")
_ENDING_SECONDS: Final = 2.0
_STAT_SECONDS: Final = 30.0
_SESSIONS: Final = 64
"""One for each registry and its options; each holds clients and manifests."""


class Engine:
    """Of one process. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None
        self._sessions: dict[Settings, Session] = {}

    def run(self, settings: Settings, act: Callable[[QuiltOps], Awaitable[T]]) -> T:
        """What ``act`` answers of the backend that the one decision chose. Raises OSErrors for what the engine raises. A Ctrl-C
        cancels it."""

        async def call() -> T:
            return await act((await session.open_call()).ops)

        session = self._session(settings)
        future: Future[T] = self._running().start_task_soon(call)
        try:
            return future.result()
        except QuiltError as error:
            raise as_os_error(error) from error
        except CancelledError as error:
            raise OSError(errno.EIO, "This process is ending, and so did a read of it.") from error
        except BaseException:
            future.cancel()
            raise

    def _session(self, settings: Settings) -> Session:
        with self._lock:
            found = self._sessions.pop(settings, None) or Session(settings, open_backend=_open)
            self._sessions[settings] = found
            while len(self._sessions) > _SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            return found

    def _running(self) -> BlockingPortal:
        with self._lock:
            if self._portal is None:
                ready: Future[BlockingPortal] = Future()
                self._thread = threading.Thread(target=_serve, args=(ready,), name="quilt-files", daemon=True)
                self._thread.start()
                self._portal = ready.result()
            return self._portal

    def stop(self) -> None:
        """Cancels what is at work."""
        portal, thread = self._portal, self._thread
        if portal is not None and thread is not None and thread.is_alive():
            portal.start_task_soon(portal.stop, True)
            thread.join(_ENDING_SECONDS)


def _open(identity: Identity, settings: Settings) -> QuiltOps:
    return backends.open(identity, settings, stat_seconds=_STAT_SECONDS)


def _serve(ready: Future[BlockingPortal]) -> None:
    async def serve() -> None:
        async with BlockingPortal() as portal:
            ready.set_result(portal)
            await portal.sleep_until_stopped()

    try:
        anyio.run(serve)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)


_engine = Engine()


def engine() -> Engine:
    """That of this process."""
    return _engine


def _begin_anew() -> None:
    """Nothing of the parent's is touched: its loop's thread is not here, and a lock of its may be held for ever."""
    global _engine  # noqa: PLW0603 - one a process, and a fork makes another process
    _engine = Engine()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def _end() -> None:
    _engine.stop()


atexit.register(_end)
