"""Child: one process that takes one query apart and runs it over the files that it is handed.

Its environment is empty, its folder a new one that goes with it. It has no path to any file but Python's and its own, no network
and no credentials: whole files come to it as descriptors opened for reading, large ones by ranges that this process fetches. It
is killed when its time is over, or the caller is cancelled.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import anyio
from anyio import to_thread

from quilt_mcp.errors import QuiltError, TooCostly
from quilt_mcp.lockdown.folder import make_folder
from quilt_mcp.sql import faults
from quilt_mcp.sql.declared import Declared
from quilt_mcp.sql.query_file import QueryFile
from quilt_mcp.sql.ranges import Ranges, send
from quilt_mcp.sql.result_file import open_result
from quilt_mcp.storage.errors import storage_error, typed_errors
from quilt_mcp.storage.workers import first_failure

CHANNELS: Final = 4
"""Ranges that are on their way at once."""
MOST_ANSWER: Final = 24 << 20
_ALONE_SECONDS: Final = 180.0
"""A child that nobody asks for so long ends by itself; who started it ends it sooner (see ``spare``)."""
START_SECONDS: Final = 30.0
TOO_MUCH: Final = 77
"""The status by which a child says that it held too much memory (see ``inside.watch``)."""
GRACE_SECONDS: Final = 0.5
"""What a query has after its time before it is killed."""
_LEAST_SECONDS: Final = 0.2
_AT_ONCE: Final = 200
_TURN_SECONDS: Final = 0.02
_OUT_OF_STEP: Final = ("died", "open_files")
"""Faults after which the child may hold files of this query that it did not take."""
_MARK: Final = secrets.token_hex(8)
"""Nobody else's text holds it."""
_PLACE: Final = re.compile(f"{_MARK}<([0-9]+)>")
_START: Final = (
    "import sys; given = sys.argv.pop(1); sys.path[:] = sys.argv[1:]; sys.argv[1:] = [given]; "
    "from quilt_mcp.sql.inside.process import main; main()"
)


@dataclass(frozen=True, slots=True)
class Layers:
    """What holds a query beside the gate; tests switch one off to see that the others hold."""

    settings: bool = True
    kernel: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """In ``sql`` ``place(number)`` stands for a file's address."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class FilesView:
    """Files of one kind, by their ``numbers``, as one table (see ``inside.tables``). ``base``: csv, json or parquet; ``settings``
    of the engine's reader, as literals; ``added``: columns that are added, with the value of each file."""

    name: str
    base: str
    numbers: Sequence[int]
    settings: Mapping[str, str]
    added: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class DeclaredView:
    """``path``: catalog, schema where there is one, and name."""

    path: tuple[str, ...]
    declared: Declared


class Child:
    """``layers``: which hold it, as it says itself, when it is ready. ``is_spent``: it did not answer what it was asked, so that
    what it says later belongs to nothing, and it is asked nothing more. It is killed when this object goes."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: str, sockets: Sequence[socket.socket]
    ) -> None:
        self.layers: Mapping[str, bool] = {}
        self._process = process
        self._folder = folder
        self._control, self._hands, *self._channels = sockets
        self._received = bytearray()
        self._parsed = 0.0
        self._asked = 0
        self.is_spent = False
        self._end = weakref.finalize(self, _end, process, folder, sockets)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def is_usable(self) -> bool:
        return self.is_alive and not self.is_spent

    def open_result(self) -> int:
        """What the last run wrote. Blocks. The caller closes it. Raises Undecodable."""
        return open_result(self._folder)

    @classmethod
    def start(cls, layers: Layers) -> Child:
        """Blocks for some milliseconds, not until it is ready. Raises StorageUnavailable where there is no temporary folder, or
        too many files are open."""
        with ExitStack() as made, ExitStack() as handed:
            folder = make_folder()
            made.callback(shutil.rmtree, folder, ignore_errors=True)
            with typed_errors("A process for the query", folder):
                ours, theirs = list[socket.socket](), list[socket.socket]()
                for _ in range(CHANNELS + 2):
                    own, other = socket.socketpair()
                    ours.append(made.enter_context(own))
                    theirs.append(handed.enter_context(other))
                    own.setblocking(False)
                given = {
                    "sockets": [one.fileno() for one in theirs],
                    "settings": layers.settings,
                    "kernel": layers.kernel,
                    "idle": _ALONE_SECONDS,
                }
                process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _START, json.dumps(given), *_paths()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"},
                    cwd=folder,
                    start_new_session=True,
                    pass_fds=[one.fileno() for one in theirs],
                )
            made.pop_all()
        return cls(process, folder, ours)

    async def ready(self) -> None:
        """Waits until it is locked down. Raises Undecodable where it dies before."""
        found = None
        with anyio.move_on_after(START_SECONDS):
            found = await self._message()
        answer = None if found is None else found.get("answer")
        if not isinstance(answer, dict):
            self.is_spent = True
            raise faults.died()
        self.layers = cast("dict[str, bool]", cast("dict[str, Any]", answer)["layers"])

    async def parse(self, sql: str, seconds: float) -> dict[str, Any]:
        """``tree`` and ``text``: see ``inside.parsing``. Raises InvalidSql, SqlRefused, TooCostly, Undecodable."""
        began = anyio.current_time()
        try:
            return await self._ask({"do": "parse", "sql": sql}, sql, seconds)
        finally:
            self._parsed += anyio.current_time() - began

    async def run(
        self,
        what: str,
        files: Sequence[QueryFile],
        views: Sequence[View | FilesView | DeclaredView],
        seconds: float,
        sql: str = "",
        **given: Any,
    ) -> dict[str, Any]:
        """``what``: 'rows', 'columns', 'explain', 'page', 'save' or 'compare' (see ``inside.process``). ``seconds`` are less by
        what taking the text apart took. Raises what a file's ``fetch`` does, and as ``parse``."""
        seconds = max(seconds - self._parsed, _LEAST_SECONDS)
        addresses = [f"qf://{number}/{file.name}" for number, file in enumerate(files)]
        request = {
            "do": "run", "what": what, "sql": sql, "seconds": seconds, "limit": 0, "room": 0, "offset": 0, "longest": 0,
            "most": None, "is_bounded": False, "columns": ["*"],
            "files": [[file.name, file.size, file.descriptor is not None] for file in files],
            "views": [
                {"name": one.name, "sql": placed(one.sql, addresses)} if isinstance(one, View) else asdict(one)
                for one in views if not isinstance(one, DeclaredView)
            ],
            "declared": [
                {"path": one.path, "declared": asdict(one.declared)} for one in views if isinstance(one, DeclaredView)
            ],
            **given,
        }  # fmt: skip
        descriptors = [file.descriptor for file in files if file.descriptor is not None]
        ranges = Ranges(self._asked + 1, files)
        found: dict[str, Any] = {}
        try:
            async with anyio.create_task_group() as serving:
                for channel in self._channels:
                    serving.start_soon(ranges.serve, channel)
                found = await self._ask(request, sql, seconds, descriptors)
                serving.cancel_scope.cancel()
        except BaseExceptionGroup as failures:
            failure = first_failure(failures)
            if isinstance(failure, TooCostly) and (name := ranges.silent()) is not None:
                raise faults.silent(name, seconds) from None
            raise failure from None
        finally:
            self.is_spent = self.is_spent or ranges.is_at_work
        return found

    async def end(self) -> None:
        """Kills it, where it lives; its folder goes."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self.stop)

    def stop(self) -> None:
        """As ``end``. Blocks."""
        self._end()

    async def _ask(
        self, request: Mapping[str, Any], sql: str, seconds: float, descriptors: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Each question has a number, which its answer carries."""
        if self.is_spent:
            raise faults.died()
        self.is_spent = True
        self._asked += 1
        found: dict[str, Any] | None = None
        with anyio.move_on_after(seconds + GRACE_SECONDS) as clock:
            with suppress(EOFError):
                await send(self._control, json.dumps({**request, "id": self._asked}).encode() + b"\n")
                await self._hand_over(descriptors)
            found = await self._message()
        if clock.cancelled_caught:
            raise faults.too_long(seconds)
        if found is None or found.get("id") != self._asked:
            raise await self._death(seconds)
        if isinstance(fault := found.get("fault"), dict):
            told = cast("dict[str, Any]", fault)
            details = cast("dict[str, Any]", told["details"]) if isinstance(told.get("details"), dict) else {}
            kind = str(told.get("kind"))
            self.is_spent = kind in _OUT_OF_STEP
            raise faults.error_of(sql, kind, str(told.get("message"))[:2_000], details)
        if not isinstance(answer := found.get("answer"), dict):
            raise faults.died()
        self.is_spent = False
        return cast("dict[str, Any]", answer)

    async def _death(self, seconds: float) -> QuiltError:
        """Why it ended, by its status."""
        with suppress(subprocess.TimeoutExpired):
            await to_thread.run_sync(self._process.wait, GRACE_SECONDS)
        match self._process.poll():
            case status if status == TOO_MUCH:
                return faults.too_much("its process held more than it may")
            case status if status == -getattr(signal, "SIGXCPU", 0):
                return faults.too_long(seconds)
            case _:
                return faults.died()

    async def _message(self) -> dict[str, Any] | None:
        """None when it dies, or says what is no message."""
        at = 0
        while (end := self._received.find(b"\n", at)) < 0:
            at = len(self._received)
            await anyio.wait_readable(self._control)
            try:
                some = self._control.recv(1 << 20)
            except BlockingIOError:
                continue
            except OSError:
                return None
            self._received += some
            if not some or len(self._received) > MOST_ANSWER:
                return None
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            found: Any = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    async def _hand_over(self, descriptors: Sequence[int]) -> None:
        """Raises EOFError where it is gone, StorageUnavailable where the system takes no more descriptors."""
        for start in range(0, len(descriptors), _AT_ONCE):
            some = [*descriptors[start : start + _AT_ONCE]]
            while True:
                try:
                    socket.send_fds(self._hands, [b"\0"], some)
                    break
                except BlockingIOError:
                    await anyio.wait_writable(self._hands)
                except OSError as error:
                    if error.errno in (errno.EPIPE, errno.ECONNRESET):
                        raise EOFError from None
                    if error.errno != errno.ETOOMANYREFS:
                        raise storage_error(error, "A file of the query", self._folder) from error
                    await anyio.sleep(_TURN_SECONDS)  # as many are on their way as may be, of all children


def placed(sql: str, addresses: Sequence[str]) -> str:
    """A view's text with the addresses of its files as literals, where ``place`` stands for them."""
    return _PLACE.sub(lambda found: "'" + addresses[int(found[1])].replace("'", "''") + "'", sql)


def place(number: int) -> str:
    """What stands for a file's address in the text of a view."""
    return f"{_MARK}<{number}>"


def _end(process: subprocess.Popen[bytes], folder: str, sockets: Sequence[socket.socket]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
        process.wait()
    for one in sockets:
        one.close()
    shutil.rmtree(folder, ignore_errors=True)


def _paths() -> list[str]:
    return [one for one in sys.path if os.path.isabs(one)]
