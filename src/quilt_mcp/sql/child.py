"""Child: one process that takes one query apart and runs it over the files that it is handed.

Its environment is empty, its folder a new one that goes with it. It has no path to any file but Python's and its own, no network
and no credentials: whole files come to it as descriptors opened for reading, large ones by ranges that this process fetches. It
is killed when its time is over, or the caller is cancelled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import anyio
from anyio import to_thread

from quilt_mcp.errors import QuiltError
from quilt_mcp.sql import faults
from quilt_mcp.sql.declared import Declared
from quilt_mcp.storage.errors import typed_errors

CHANNELS: Final = 4
"""Ranges that are on their way at once."""
MOST_ANSWER: Final = 24 << 20
IDLE_SECONDS: Final = 120.0
"""A child that nobody asks for so long ends."""
START_SECONDS: Final = 30.0
TOO_MUCH: Final = 77
"""The status by which a child says that it held too much memory (see ``inside.watch``)."""
GRACE_SECONDS: Final = 0.5
"""What a query has after its time before it is killed."""
_LEAST_SECONDS: Final = 0.2
_AT_ONCE: Final = 200
_ASKED: Final = struct.Struct("<IQQ")
_GIVEN: Final = struct.Struct("<q")
_MARK: Final = secrets.token_hex(8)
"""Nobody else's text holds it."""
_PLACE: Final = re.compile(f"{_MARK}<([0-9]+)>")
_MOST_RANGE: Final = 256 << 20
_START: Final = (
    "import sys; given = sys.argv.pop(1); sys.path[:] = sys.argv[1:]; sys.argv[1:] = [given]; "
    "from quilt_mcp.sql.inside.process import main; main()"
)
Fetch = Callable[[int, int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Layers:
    """What holds a query beside the gate; tests switch one off to see that the others hold."""

    settings: bool = True
    kernel: bool = True


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A file of a query: a descriptor opened for reading, which stays the caller's, or ranges by ``fetch`` (offset and length
    inside the file, all of one version). ``name`` has the ending by which it is unpacked."""

    name: str
    size: int
    descriptor: int | None = None
    fetch: Fetch | None = None


@dataclass(frozen=True, slots=True)
class View:
    """In ``sql`` ``place(number)`` stands for a file's address. ``each``: its files by themselves, where they are CSV and
    may have lines that differ."""

    name: str
    sql: str
    each: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DeclaredView:
    """``path``: catalog, schema where there is one, and name."""

    path: tuple[str, ...]
    declared: Declared


class Child:
    """``layers``: which hold it, as it says itself, when it is ready. It is killed when this object goes."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: str, sockets: Sequence[socket.socket]
    ) -> None:
        self.layers: Mapping[str, bool] = {}
        self._process = process
        self._folder = folder
        self._control, self._hands, *self._channels = sockets
        self._received = bytearray()
        self._parsed = 0.0
        self._end = weakref.finalize(self, _end, process, folder, sockets)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def result(self) -> Path:
        return Path(self._folder) / "result.parquet"

    @classmethod
    def start(cls, layers: Layers) -> Child:
        """Blocks for some milliseconds, not until it is ready. Raises StorageUnavailable where there is no temporary folder."""
        with typed_errors("The system's folder for temporary files", tempfile.gettempdir()):
            folder = tempfile.mkdtemp(prefix="quilt-mcp-")
        pairs = [socket.socketpair() for _ in range(CHANNELS + 2)]
        ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
        given = {
            "sockets": [one.fileno() for one in theirs],
            "settings": layers.settings,
            "kernel": layers.kernel,
            "idle": IDLE_SECONDS,
        }
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _START, json.dumps(given), *_paths()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"},
                cwd=folder,
                start_new_session=True,
                pass_fds=[one.fileno() for one in theirs],
            )
        except BaseException:
            for one in ours:
                one.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            for one in theirs:
                one.close()
        for one in ours:
            one.setblocking(False)
        return cls(process, folder, ours)

    async def ready(self) -> None:
        """Waits until it is locked down. Raises Undecodable where it dies before."""
        found = None
        with anyio.move_on_after(START_SECONDS):
            found = await self._message()
        answer = None if found is None else found.get("answer")
        if not isinstance(answer, dict):
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
        views: Sequence[View | DeclaredView],
        seconds: float,
        sql: str = "",
        **given: Any,
    ) -> dict[str, Any]:
        """``what``: 'rows', 'columns', 'explain', 'page' or 'save' (see ``inside.process``). ``seconds`` are less by what taking
        the text apart took. Raises what a file's ``fetch`` does, and as ``parse``."""
        seconds = max(seconds - self._parsed, _LEAST_SECONDS)
        addresses = [f"qf://{number}/{file.name}" for number, file in enumerate(files)]
        request = {
            "do": "run", "what": what, "sql": sql, "seconds": seconds, "limit": 0, "room": 0, "offset": 0, "longest": 0,
            "most": None, "is_bounded": False,
            "files": [[file.name, file.size, file.descriptor is not None] for file in files],
            "views": [
                {
                    "name": one.name, "sql": placed(one.sql, addresses),
                    "each": [placed(each, addresses) for each in one.each],
                }
                for one in views if isinstance(one, View)
            ],
            "declared": [
                {"path": one.path, "declared": asdict(one.declared)} for one in views if isinstance(one, DeclaredView)
            ],
            **given,
        }  # fmt: skip
        descriptors = [file.descriptor for file in files if file.descriptor is not None]
        failures: list[QuiltError] = []
        found: dict[str, Any] = {}
        async with anyio.create_task_group() as serving:
            for channel in self._channels:
                serving.start_soon(self._serve, channel, files, failures)
            try:
                found = await self._ask(request, sql, seconds, descriptors)
            except QuiltError as error:
                failures.append(error)  # behind that of a range, which it comes from
            serving.cancel_scope.cancel()
        if failures:
            raise failures[0]
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
        found: dict[str, Any] | None = None
        with anyio.move_on_after(seconds + GRACE_SECONDS) as clock:
            with suppress(OSError):
                await _send(self._control, json.dumps(request).encode() + b"\n")
                await self._hand_over(descriptors)
            found = await self._message()
        if clock.cancelled_caught:
            raise faults.too_long(seconds)
        if found is None:
            raise await self._death(seconds)
        if isinstance(fault := found.get("fault"), dict):
            told = cast("dict[str, Any]", fault)
            details = cast("dict[str, Any]", told["details"]) if isinstance(told.get("details"), dict) else {}
            raise faults.error_of(
                sql,
                str(told.get("kind")),
                str(told.get("message"))[:2_000],
                details,
            )
        if not isinstance(answer := found.get("answer"), dict):
            raise faults.died()
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
        for start in range(0, len(descriptors), _AT_ONCE):
            some = [*descriptors[start : start + _AT_ONCE]]
            while True:
                try:
                    socket.send_fds(self._hands, [b"\0"], some)
                    break
                except BlockingIOError:
                    await anyio.wait_writable(self._hands)

    async def _serve(
        self, channel: socket.socket, files: Sequence[QueryFile], failures: list[QuiltError]
    ) -> None:
        """Ranges of the files of this query, and of no other."""
        with contextlib.suppress(OSError, anyio.ClosedResourceError, EOFError):
            while True:
                number, offset, length = _ASKED.unpack(await _exactly(channel, _ASKED.size))
                try:
                    content = await _range(files, number, offset, length)
                except QuiltError as error:
                    failures.append(error)
                    content = None
                given = -1 if content is None else len(content)
                await _send(channel, _GIVEN.pack(given))
                if content:
                    await _send(channel, content)


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


async def _range(files: Sequence[QueryFile], number: int, offset: int, length: int) -> bytes | None:
    if number >= len(files) or length > _MOST_RANGE:
        return None
    file = files[number]
    if file.fetch is None or offset + length > file.size:
        return None
    found = await file.fetch(offset, length)
    return found if len(found) == length else None


async def _exactly(channel: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        await anyio.wait_readable(channel)
        try:
            some = channel.recv(length - len(found))
        except BlockingIOError:
            continue
        if not some:
            raise EOFError
        found += some
    return bytes(found)


async def _send(channel: socket.socket, content: bytes) -> None:
    view = memoryview(content)
    while view:
        await anyio.wait_writable(channel)
        with suppress(BlockingIOError):
            view = view[channel.send(view) :]


def _paths() -> list[str]:
    return [one for one in sys.path if os.path.isabs(one)]
