"""Ranges: what the child reads of large files, fetched here, a piece at a time.

A piece is held while it comes and until the child has taken it: at most ``PIECE`` bytes for each of a child's channels, and
children have turns (``storage.limits``), so that all pieces together are bounded, whatever a child asks for.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Sequence
from typing import Final

import anyio

from quilt_mcp.errors import StorageUnavailable
from quilt_mcp.sql.query_file import QueryFile
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.limits import limits

PIECE: Final = 8 << 20
MOST_RANGE: Final = 256 << 20
SILENT_SECONDS: Final = 8.0
"""A query that waits so long for a piece when its time is over is late by its storage, and not by what it asks."""
_ASKED: Final = struct.Struct("<IIQQ")
"""The run, the file's number, offset, length."""
_GIVEN: Final = struct.Struct("<q")
"""The length of what follows; -1: there is no such part of a file."""


class Ranges:
    """Of the files of one run."""

    def __init__(self, run: int, files: Sequence[QueryFile]) -> None:
        self._run = run
        self._files = files
        self._at_work = 0
        self._asked_at: dict[socket.socket, tuple[float, QueryFile]] = {}
        """Of pieces that did not come yet."""

    def silent(self) -> str | None:
        """The file of which a piece is waited for since ``SILENT_SECONDS``, or was when serving ended."""
        asked_at, file = min(self._asked_at.values(), key=lambda one: one[0], default=(math.inf, None))
        is_long = anyio.current_time() - asked_at > SILENT_SECONDS
        return file.shown or file.name if file is not None and is_long else None

    @property
    def is_at_work(self) -> bool:
        """Whether a range is asked for and not answered: what comes through its channel then means nothing more."""
        return self._at_work > 0

    async def serve(self, channel: socket.socket) -> None:
        """Until the child is gone. Raises what a file's ``fetch`` does, in the middle of an answer too: the child is of no use
        then. No OSError."""
        while True:
            await anyio.wait_readable(channel)
            self._at_work += 1
            try:
                asked: tuple[int, int, int, int] = _ASKED.unpack(await exactly(channel, _ASKED.size))
                await self._answer(channel, *asked)
            except (EOFError, anyio.ClosedResourceError):
                return
            self._at_work -= 1

    async def _answer(self, channel: socket.socket, run: int, number: int, offset: int, length: int) -> None:
        file = self._files[number] if run == self._run and number < len(self._files) else None
        if file is None or file.fetch is None or length > MOST_RANGE or offset + length > file.size:
            await send(channel, _GIVEN.pack(-1))
            return
        await send(channel, _GIVEN.pack(length))
        for at in range(offset, offset + length, PIECE):
            wanted = min(PIECE, offset + length - at)
            async with limits().memory(wanted):
                self._asked_at[channel] = (anyio.current_time(), file)
                with typed_errors(file.shown or file.name, "its storage"):
                    piece = await file.fetch(at, wanted)
                del self._asked_at[channel]
            if len(piece) != wanted:
                raise StorageUnavailable(
                    f"{file.shown or file.name} was cut short while it was read.",
                    next_step="Make the same call again.",
                )
            await send(channel, piece)


async def exactly(channel: socket.socket, length: int) -> bytes:
    """Raises EOFError where the other side is gone."""
    found = bytearray()
    while len(found) < length:
        await anyio.wait_readable(channel)
        try:
            some = channel.recv(length - len(found))
        except BlockingIOError:
            continue
        except OSError:
            raise EOFError from None
        if not some:
            raise EOFError
        found += some
    return bytes(found)


async def send(channel: socket.socket, content: bytes) -> None:
    """Raises EOFError where the other side is gone."""
    view = memoryview(content)
    while view:
        await anyio.wait_writable(channel)
        try:
            view = view[channel.send(view) :]
        except BlockingIOError:
            continue
        except OSError:
            raise EOFError from None
