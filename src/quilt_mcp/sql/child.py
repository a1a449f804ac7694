"""Child: one process that takes one query apart and runs it over the files that it is handed.

Its environment is empty, its folder a new one that goes with it. It has no path to any file but Python's and its own, no network and
no credentials: whole files come to it as descriptors opened for reading, large ones by ranges that this process fetches. It is killed
when its time is over, or the caller is cancelled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import anyio
from anyio import to_thread
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from quilt_mcp.errors import QuiltError
from quilt_mcp.sql import faults

CHANNELS: Final = 4
"""Ranges that are on their way at once."""
MOST_ANSWER: Final = 24 << 20
IDLE_SECONDS: Final = 120.0
"""A child that nobody asks for so long ends."""
GRACE_SECONDS: Final = 0.5
"""What a query has after its time before it is killed."""
_AT_ONCE: Final = 200
_ASKED: Final = struct.Struct("<IQQ")
_GIVEN: Final = struct.Struct("<q")
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
    """A file of a query: a descriptor opened for reading, which stays the caller's, or ranges by ``fetch`` (offset and length inside
    the file, all of one version). ``name`` has the ending by which it is unpacked."""

    name: str
    size: int
    descriptor: int | None = None
    fetch: Fetch | None = None


@dataclass(frozen=True, slots=True)
class View:
    """``sql`` reads ``{number}`` as the address of the file of that number."""

    name: str
    sql: str


@dataclass(slots=True)
class Child:
    """``layers``: which hold it, as it says itself."""

    process: Process
    folder: tempfile.TemporaryDirectory[str]
    sockets: Sequence[socket.socket]
    answers: BufferedByteReceiveStream
    layers: Mapping[str, bool] = field(default_factory=dict[str, bool])

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    @property
    def result(self) -> Path:
        return Path(self.folder.name) / "result.parquet"

    @classmethod
    async def start(cls, layers: Layers) -> Child:
        """Answers when it is locked down and waits."""
        folder = tempfile.TemporaryDirectory(prefix="quilt-mcp-", ignore_cleanup_errors=True)
        pairs = [socket.socketpair() for _ in range(CHANNELS + 1)]
        ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
        given = {
            "channels": [one.fileno() for one in theirs],
            "settings": layers.settings,
            "kernel": layers.kernel,
            "idle": IDLE_SECONDS,
        }
        try:
            process = await anyio.open_process(
                [sys.executable, "-I", "-S", "-B", "-c", _START, json.dumps(given), *_paths()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"HOME": folder.name, "TMPDIR": folder.name, "LANG": "C.UTF-8"},
                cwd=folder.name,
                start_new_session=True,
                pass_fds=[one.fileno() for one in theirs],
            )
        except BaseException:
            for one in ours:
                one.close()
            folder.cleanup()
            raise
        finally:
            for one in theirs:
                one.close()
        for one in ours:
            one.setblocking(False)
        assert process.stdout is not None
        child = cls(process, folder, ours, BufferedByteReceiveStream(process.stdout))
        try:
            child.layers = (await child._receive())["layers"]
        except BaseException:
            await child.end()
            raise
        return child

    async def parse(self, sql: str, seconds: float) -> dict[str, Any]:
        """``tree`` and ``text``: see ``inside.parsing``. Raises InvalidSql, SqlRefused, TooCostly, Undecodable."""
        return await self._ask({"do": "parse", "sql": sql}, sql, seconds)

    async def run(
        self,
        what: str,
        files: Sequence[QueryFile],
        views: Sequence[View],
        seconds: float,
        sql: str = "",
        **given: Any,
    ) -> dict[str, Any]:
        """``what``: 'rows', 'columns', 'explain', 'page' or 'save' (see ``inside.process``). Raises what a file's ``fetch`` does, and
        as ``parse``."""
        addresses = [f"qf://{number}/{file.name}" for number, file in enumerate(files)]
        request = {
            "do": "run", "what": what, "sql": sql, "seconds": seconds, "limit": 0, "room": 0, "offset": 0, "longest": 0, "most": None,
            "files": [[file.name, file.size, file.descriptor is not None] for file in files],
            "views": [{"name": one.name, "sql": placed(one.sql, addresses)} for one in views],
            **given,
        }  # fmt: skip
        descriptors = [file.descriptor for file in files if file.descriptor is not None]
        failures: list[QuiltError] = []
        async with anyio.create_task_group() as serving:
            for channel in self.sockets[1:]:
                serving.start_soon(self._serve, channel, files, failures)
            try:
                found = await self._ask(request, sql, seconds, descriptors)
            except QuiltError:
                if failures:
                    raise failures[0] from None
                raise
            finally:
                serving.cancel_scope.cancel()
        return found

    async def end(self) -> None:
        """Kills it, where it lives; its folder goes."""
        with anyio.CancelScope(shield=True):
            if self.process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)  # it leads a group of its own
            await self.process.wait()
            await self.process.aclose()
            for one in self.sockets:
                one.close()
            await to_thread.run_sync(self.folder.cleanup)

    async def _ask(
        self, request: Mapping[str, Any], sql: str, seconds: float, descriptors: Sequence[int] = ()
    ) -> dict[str, Any]:
        assert self.process.stdin is not None
        found: dict[str, Any] | None = None
        with anyio.move_on_after(seconds + GRACE_SECONDS) as clock:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                await self.process.stdin.send(json.dumps(request).encode() + b"\n")
                await self._hand_over(descriptors)
            found = await self._message()
        if clock.cancelled_caught:
            raise faults.too_long(seconds)
        if found is None:
            raise faults.died()
        if isinstance(fault := found.get("fault"), dict):
            told = cast("dict[str, Any]", fault)
            details = told.get("details")
            raise faults.error_of(
                sql, str(told.get("kind")), str(told.get("message"))[:2_000], details if isinstance(details, dict) else {}
            )
        if not isinstance(answer := found.get("answer"), dict):
            raise faults.died()
        return cast("dict[str, Any]", answer)

    async def _receive(self) -> dict[str, Any]:
        found = await self._message()
        answer = None if found is None else found.get("answer")
        if not isinstance(answer, dict):
            raise faults.died()
        return cast("dict[str, Any]", answer)

    async def _message(self) -> dict[str, Any] | None:
        """None when it dies, or says what is no message."""
        try:
            line = await self.answers.receive_until(b"\n", MOST_ANSWER)
            found: Any = json.loads(line)
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return None
        except (anyio.DelimiterNotFound, ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    async def _hand_over(self, descriptors: Sequence[int]) -> None:
        hands = self.sockets[0]
        for start in range(0, len(descriptors), _AT_ONCE):
            some = [*descriptors[start : start + _AT_ONCE]]
            while True:
                try:
                    socket.send_fds(hands, [b"\0"], some)
                    break
                except BlockingIOError:
                    await anyio.wait_writable(hands)

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
    """A view's text with the addresses of its files, which stand in it as ``{0}``, as literals."""
    for number, address in enumerate(addresses):
        sql = sql.replace(f"{{{number}}}", "'" + address.replace("'", "''") + "'")
    return sql


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
