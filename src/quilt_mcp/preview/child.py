"""A child process that decodes one file for one question.

Its environment is empty, its folder a new one that goes with it, and the bytes of the one file come to it through a pipe. Its
time, its memory and its answer are bounded, and its answer is data. It is killed when the caller is cancelled. On Linux it has no
network, starts no process, and reaches no file but those of Python and its own (``lockdown``); where the kernel has no
Landlock, and on other systems, a decoder that was taken over could read what the user can.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, cast

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import (
    ColumnNotFound,
    InvalidArgument,
    NotATable,
    QuiltError,
    StorageBusy,
    TooCostly,
    Undecodable,
)
from quilt_mcp.lockdown.folder import own_folder
from quilt_mcp.preview.source import MOST_AT_ONCE, Source
from quilt_mcp.storage.limits import limits
from quilt_mcp.storage.workers import places_of

SECONDS = 50.0
"""From the start of a look to its answer."""
TURN_SECONDS = 60.0
"""How long a look waits for its turn."""
MOST_ANSWER = 4 << 20
MOST_READS = 4_000
_START = "import sys; sys.path[:] = sys.argv[1:]; from quilt_mcp.preview.decode.process import main; main()"


class NotText(Undecodable):
    """Text is asked of a file that has none."""


async def ask(source: Source, question: str, seconds: float = SECONDS, **given: Any) -> dict[str, Any]:
    """The child's answer, when it has had a turn. Raises what its Fault means, TooCostly when it takes too long or too much,
    Undecodable when it dies, StorageBusy when there is no turn for it."""
    request = {"question": question, "name": source.name, "size": source.size, **given}
    async with AsyncExitStack() as places:
        with anyio.move_on_after(TURN_SECONDS) as waiting:
            for one in places_of(limits().children):
                await places.enter_async_context(one)
        if waiting.cancelled_caught:
            raise StorageBusy(
                f"{source.name} was not looked into: other files are, as many as may be at once.",
                next_step="Try the same call again in a moment; mode bytes reads it as it is meanwhile.",
            )
        return await _ask(source, request, seconds)


async def _ask(source: Source, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    with own_folder() as folder:
        process = await anyio.open_process(
            [sys.executable, "-I", "-S", "-B", "-c", _START, *_paths()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(folder),
            cwd=folder,
            start_new_session=True,
        )
        answer: dict[str, Any] | None = None
        code: int | None = None
        try:
            with anyio.move_on_after(seconds) as clock:
                answer = await _converse(process, source, request)
                if answer is None:
                    with anyio.move_on_after(2):
                        code = await process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
    if clock.cancelled_caught:
        raise _costly(source, f"it took longer than {seconds:g} seconds")
    if answer is None:
        raise _died(source, code)
    if (fault := answer.get("fault")) is not None:
        raise error_of(source, fault)
    found = answer.get("answer")
    if not isinstance(found, dict):
        raise _died(source, None)
    return cast("dict[str, Any]", found)


async def _converse(process: Process, source: Source, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """None when the child dies. Serves the ranges that it asks for: of this file, and no more of them than a question needs."""
    assert process.stdin is not None and process.stdout is not None
    answers = BufferedByteReceiveStream(process.stdout)
    try:
        await process.stdin.send(json.dumps(request).encode() + b"\n")
        for _ in range(MOST_READS):
            line = await answers.receive_until(b"\n", MOST_ANSWER)
            message = _message(line)
            if "read" not in message:
                return message
            offset, end = _range(message["read"], source.size)
            for start in range(offset, end, MOST_AT_ONCE):
                await process.stdin.send(await source.fetch(start, min(MOST_AT_ONCE, end - start)))
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead, anyio.EndOfStream):
        return None
    except (anyio.DelimiterNotFound, ValueError, TypeError, RecursionError):
        return {}
    raise _costly(source, f"it is read in more than {MOST_READS} pieces")


def _message(line: bytes) -> dict[str, Any]:
    message: Any = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("no object")
    return cast("dict[str, Any]", message)


def _range(asked: Any, size: int) -> tuple[int, int]:
    """Start and end of what the child asks for. Raises ValueError and TypeError for what is no part of the file."""
    offset, length = asked
    if not 0 <= offset < offset + length <= size:
        raise ValueError("no part of the file")
    return offset, offset + length


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
            else:
                process.kill()
    await process.wait()
    await process.aclose()


def _paths() -> list[str]:
    return [one for one in sys.path if os.path.isabs(one)]


def _environment(folder: str) -> dict[str, str]:
    needed = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    return {**needed, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}


def error_of(source: Source, fault: Any) -> QuiltError:
    """What a Fault of the child's means to who asked. It is data of others, so nothing in it is taken for granted."""
    if not isinstance(fault, dict):
        return _died(source, None)
    known = cast("dict[str, Any]", fault)
    kind, message = known.get("kind"), str(known.get("message"))[:600]
    details = cast("dict[str, Any]", known["details"]) if isinstance(known.get("details"), dict) else {}
    named = f"{source.name}: {message}"
    match kind:
        case "not_text":
            return NotText(named, next_step="Mode info tells what it is; mode bytes reads it as base64.")
        case "no_column":
            return _no_column(source, details)
        case "bad_value":
            return InvalidArgument(named, next_step="Mode info tells the columns and their types.")
        case "bad_pattern":
            return InvalidArgument(
                named,
                next_step="Regular expressions are RE2's; text without slashes around it is found as it is.",
            )
        case "past_end":
            size = details.get("size")
            return InvalidArgument(
                f"The offset is past the end: {message}", next_step=f"Use an offset from 0 to {size}."
            )
        case "not_a_table":
            return NotATable(
                named,
                next_step="Read it with mode text, or mode info to see what it is. Rows are there of CSV, TSV, JSON lines and "
                "Parquet, and of VCF, GFF, BED and SAM.",
            )
        case "too_costly":
            return _costly(source, message)
        case _:
            return Undecodable(
                named,
                next_step="Compare it with its source: package_verify tells whether its bytes are those that were packaged. "
                "Mode bytes reads them as they are.",
            )


def _no_column(source: Source, details: Mapping[str, Any]) -> ColumnNotFound:
    wanted = str(details.get("column", ""))[:100]
    listed: Any = details.get("columns")
    columns = [str(one) for one in cast("list[Any]", listed)] if isinstance(listed, list) else []
    near = suggest(wanted, columns)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    few = ", ".join(columns[:40])
    return ColumnNotFound(
        f"{source.name} has no column {wanted!r}.{meant}",
        next_step=f"Its columns are {few}{' and more: mode info tells them' if len(columns) > 40 else ''}.",
        details={"column": wanted, "near": near},
    )


def _costly(source: Source, said: str) -> TooCostly:
    return TooCostly(
        f"{source.name} cannot be looked into within the bounds of one call: {said.rstrip('.')}.",
        next_step="Ask for less: fewer columns, a range of rows, a smaller file. object_link makes a link to open it, "
        "package_install brings it to a folder.",
    )


def _died(source: Source, code: int | None) -> QuiltError:
    if code is not None and -code in _ENDED_BY_BOUNDS:
        return _costly(source, "it took more time or memory than a call may have")
    return Undecodable(
        f"{source.name} cannot be decoded: the process that reads it ended without an answer"
        f"{f' (signal {-code})' if code is not None and code < 0 else ''}.",
        next_step="The file may be damaged or hostile: package_verify tells whether its bytes are those that were packaged; "
        "mode bytes reads them as they are.",
    )


_ENDED_BY_BOUNDS = (9, 24)
"""SIGKILL and SIGXCPU."""
