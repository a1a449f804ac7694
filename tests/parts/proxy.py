"""A proxy before any S3 server, in a thread of the test's own process.

It counts and records requests, makes the writes to one key take turns (moto checks a condition and stores in two steps),
and makes faults happen by rule. Clients sign for the proxy's address; their Host header is passed on unchanged, so a server
that checks signatures finds them right. Paths are ``/bucket/key``.

    with Proxy(server.url) as proxy:
        with proxy.injecting(SLOW_DOWN, operation="PutObject", nth=3) as rule, proxy.recording() as seen:
            ...
        assert rule.fired and seen.counts["PutObject"] == 10
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from urllib.parse import urlsplit

from parts.faults import (
    Answer,
    CutResponse,
    Delay,
    DropHeader,
    Fault,
    FlipBit,
    FlipUploadedBit,
    LoseResponse,
    NeverAnswer,
    Pause,
    ResetUpload,
    Rule,
    Stall,
)
from parts.http_wire import BrokenMessage, Head, body_length, read_body, read_head, read_until_closed
from parts.s3_calls import Call, classify

HELD_BODY = 16 << 20
"""A body up to this size is read whole before the server hears of the request: a client killed while sending writes nothing,
and no client holds a key's turn while it sends."""

_STREAM_LIMIT = 1 << 20


@dataclass(eq=False)
class Exchange:
    """One request as it came, and what became of it. ``status`` 0: no answer was sent, or not yet."""

    number: int
    call: Call
    headers: dict[str, str]
    faults: tuple[Fault, ...]
    begun: float
    status: int = 0
    received: int = 0
    sent: int = 0
    ended: float = 0.0
    answered: dict[str, str] = field(default_factory=dict[str, str])
    """The headers of the server's answer, with lower-case names."""
    acted: float = 0.0
    """When the server had answered: with writes to one key taking turns, the order in which they happened."""

    @property
    def access_key(self) -> str:
        """Who asked; '' for a request that is not signed in its headers."""
        return self.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]

    def __str__(self) -> str:
        return f"{self.number} {self.call.operation} {self.call.bucket}/{self.call.key} -> {self.status or 'no answer'}"


@dataclass
class Recording:
    """What came between its start and its end."""

    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(exchange.call.operation for exchange in self.exchanges)

    @property
    def verbs(self) -> Counter[str]:
        return Counter(exchange.call.method for exchange in self.exchanges)

    @property
    def total(self) -> int:
        return len(self.exchanges)

    @property
    def mutating(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.call.mutates]

    def of(self, operation: str) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.call.operation == operation]

    @property
    def received(self) -> int:
        return sum(exchange.received for exchange in self.exchanges)

    @property
    def sent(self) -> int:
        return sum(exchange.sent for exchange in self.exchanges)


class _ClientGone(Exception):
    """The client closed its connection in the middle, which is its right."""


class _Silence(Exception):
    """Nothing more is sent; the client's connection stays open until the client ends it."""


class _NoAnswer(Exception):
    """The client's connection is to be ended now, by a reset or by a plain close."""

    def __init__(self, *, reset: bool) -> None:
        self.reset = reset


@dataclass
class _Upstream:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    reusable: bool = False


class Proxy:
    """``one_writer_a_key`` False leaves the server's own races as they are."""

    def __init__(self, upstream: str, *, one_writer_a_key: bool = True) -> None:
        parts = urlsplit(upstream)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._one_writer_a_key = one_writer_a_key
        self._rules: tuple[Rule, ...] = ()
        self._recordings: list[Recording] = []
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._idle: list[_Upstream] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._active = 0
        self._nothing_active = threading.Event()
        self._nothing_active.set()
        self.most_at_once = 0
        self.failures: list[str] = []
        """What went wrong between the proxy and the server, which no rule asked for: a test may hold this empty."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="s3-proxy", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.url = ""

    # -- control, from any thread --

    def __enter__(self) -> Proxy:
        self._thread.start()
        if not self._ready.wait(10) or not self.url:
            raise RuntimeError("the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @contextmanager
    def injecting(
        self,
        fault: Fault,
        *,
        operation: str = "*",
        bucket: str = "*",
        key: str = "*",
        mutating: bool | None = None,
        nth: int | None = None,
        since: int | None = None,
        anew: bool = True,
        times: int | None = None,
        header: tuple[str, str] | None = None,
        query: str | None = None,
    ) -> Iterator[Rule]:
        rule = Rule(fault, operation, bucket, key, mutating, nth, since, anew, times, header, query)
        self._rules = (*self._rules, rule)
        try:
            yield rule
        finally:
            self._rules = tuple(kept for kept in self._rules if kept is not rule)
            if isinstance(fault, Pause):
                fault.release()

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        recording = Recording()
        self._recordings.append(recording)
        try:
            yield recording
        finally:
            self._recordings.remove(recording)

    def wait_until_idle(self, timeout: float = 30) -> None:
        """No request is under way: what a client that is gone had sent has come to its end."""
        if not self._nothing_active.wait(timeout):
            raise TimeoutError(f"{self._active} requests are still under way")

    # -- the server, in its own thread --

    def _run(self) -> None:
        sys.settrace(None)  # coverage traces any new thread, and what is measured does not run in this one
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_STREAM_LIMIT, backlog=512)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for upstream in self._idle:
            upstream.writer.close()
        await asyncio.gather(*(u.writer.wait_closed() for u in self._idle), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (head := await read_head(reader)) is not None:
                if not await self._exchange(head, reader, writer):
                    break
        except _NoAnswer as ending:
            if ending.reset:
                _make_close_a_reset(writer)
        except _Silence:
            with suppress(OSError):
                while await reader.read(_STREAM_LIMIT):
                    pass
        except (_ClientGone, BrokenMessage, OSError):
            pass  # one side went away; what the server did is among the failures
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request. Returns whether the client's connection may carry another."""
        method, target, _ = head.start.split(" ", 2)
        headers = head.lowered()
        call = classify(method, target, headers)
        faults = tuple(rule.fault for rule in self._rules if rule.strikes(call, headers))
        self._count += 1
        exchange = Exchange(self._count, call, headers, faults, perf_counter())
        for recording in self._recordings:
            recording.exchanges.append(exchange)
        self._active += 1
        self._nothing_active.clear()
        self.most_at_once = max(self.most_at_once, self._active)
        try:
            return await self._carry(exchange, head, reader, writer)
        finally:
            self._active -= 1
            if not self._active:
                self._nothing_active.set()
            exchange.ended = perf_counter()

    async def _carry(
        self, exchange: Exchange, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if "100-continue" in head.get("expect").lower():
            await _send(writer, b"HTTP/1.1 100 Continue\r\n\r\n")
        length = body_length(head)
        body = self._received(exchange, read_body(reader, length))
        for fault in exchange.faults:
            match fault:
                case ResetUpload(share):
                    await _take(body, int((length or 0) * share))
                    raise _NoAnswer(reset=True)
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case Pause(when="before"):
                    await fault.hold()
                case DropHeader(name):
                    head = head.without(name)
                case FlipUploadedBit(at):
                    body = _flipped(body, at)
                case NeverAnswer(acts=False):
                    async for _ in body:
                        pass
                    raise _Silence
                case Answer():
                    async for _ in body:
                        pass
                    return await self._answer(exchange, fault, writer)
                case _:
                    pass
        alone = exchange.call.writes_one_key and self._one_writer_a_key
        async with AsyncExitStack() as held:
            if alone:
                if length is not None and length <= HELD_BODY:
                    body = _again([piece async for piece in body])
                await held.enter_async_context(self._turns[(exchange.call.bucket, exchange.call.key)])
            upstream = await held.enter_async_context(self._connection(exchange))
            answer = await self._ask(upstream, head, body)
            exchange.answered, exchange.acted = answer.lowered(), perf_counter()
            answer_body = self._answer_body(upstream, exchange.call.method, answer)
            if alone or any(
                isinstance(fault, LoseResponse | NeverAnswer | Pause) for fault in exchange.faults
            ):
                answer_body = _again([piece async for piece in answer_body])
                await held.aclose()  # the server has acted: the next writer's turn
            for fault in exchange.faults:
                match fault:
                    case Pause(when="after"):
                        await fault.hold()
                    case LoseResponse():
                        raise _NoAnswer(reset=False)
                    case NeverAnswer():
                        raise _Silence
                    case FlipBit(at):
                        answer_body = _flipped(answer_body, at)
                    case _:
                        pass
            return await self._relay(exchange, answer, answer_body, writer)

    async def _ask(self, upstream: _Upstream, head: Head, body: AsyncIterator[bytes]) -> Head:
        try:
            upstream.writer.write(head.without("expect", "connection").encode())
            async for piece in body:
                upstream.writer.write(piece)
                await upstream.writer.drain()
        except ConnectionError:
            async for _ in body:  # the server answered early and closed; its answer may still be there
                pass
        answer = await read_head(upstream.reader)
        if answer is None:
            raise BrokenMessage("the server closed without an answer")
        return answer

    def _answer_body(self, upstream: _Upstream, method: str, answer: Head) -> AsyncIterator[bytes]:
        version, status = answer.start.split(" ", 2)[:2]
        upstream.reusable = version == "HTTP/1.1" and answer.get("connection").lower() != "close"
        if method == "HEAD" or status in ("204", "304"):
            return read_body(upstream.reader, 0)
        if answer.get("content-length") or answer.get("transfer-encoding"):
            return read_body(upstream.reader, body_length(answer))
        upstream.reusable = False
        return read_until_closed(upstream.reader)

    async def _relay(
        self, exchange: Exchange, answer: Head, body: AsyncIterator[bytes], writer: asyncio.StreamWriter
    ) -> bool:
        _, status, *reason = answer.start.split(" ", 2)
        delimited = (
            exchange.call.method == "HEAD"
            or status in ("204", "304")
            or bool(answer.get("content-length") or answer.get("transfer-encoding"))
        )
        exchange.status = int(status)
        answer = answer.without("connection", "keep-alive")
        answer.start = f"HTTP/1.1 {status} {' '.join(reason)}"
        answer.fields.append(("Connection", "keep-alive" if delimited else "close"))
        cut = next((fault for fault in exchange.faults if isinstance(fault, CutResponse | Stall)), None)
        allowed = int(int(answer.get("content-length") or 0) * cut.share) if cut else None
        await _send(writer, answer.encode())
        async for piece in body:
            if allowed is not None and exchange.sent + len(piece) >= allowed:
                await _send(writer, piece[: allowed - exchange.sent])
                exchange.sent = allowed
                break
            exchange.sent += len(piece)
            await _send(writer, piece)
        if isinstance(cut, Stall):
            raise _Silence
        if cut:
            raise _NoAnswer(reset=cut.reset)
        return delimited

    async def _answer(self, exchange: Exchange, fault: Answer, writer: asyncio.StreamWriter) -> bool:
        body = fault.body()
        fields = [
            ("Content-Type", "application/xml"),
            ("Content-Length", str(len(body))),
            ("x-amz-request-id", "TESTPROXY"),
            *fault.headers,
        ]
        exchange.status = fault.status
        exchange.sent = 0 if exchange.call.method == "HEAD" else len(body)
        await _send(
            writer, Head(f"HTTP/1.1 {fault.status} {fault.code}", fields).encode(), body[: exchange.sent]
        )
        return True

    @asynccontextmanager
    async def _connection(self, exchange: Exchange) -> AsyncIterator[_Upstream]:
        upstream = None
        while self._idle and upstream is None:
            candidate = self._idle.pop()
            if candidate.reader.at_eof() or candidate.writer.is_closing():
                candidate.writer.close()
            else:
                upstream = candidate
        try:
            if upstream is None:
                upstream = _Upstream(*await asyncio.open_connection(*self._address, limit=_STREAM_LIMIT))
            upstream.reusable = False
            yield upstream
        except (BrokenMessage, OSError) as error:
            self.failures.append(f"{exchange}: {type(error).__name__}: {error}")
            if upstream is not None:
                upstream.reusable = False
            raise
        except BaseException:
            if upstream is not None:
                upstream.reusable = False
            raise
        finally:
            if upstream is not None:
                if upstream.reusable:
                    self._idle.append(upstream)
                else:
                    upstream.writer.close()

    async def _received(self, exchange: Exchange, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for piece in body:
                exchange.received += len(piece)
                yield piece
        except (BrokenMessage, ConnectionError) as error:
            raise _ClientGone from error


async def _send(writer: asyncio.StreamWriter, *pieces: bytes) -> None:
    try:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
    except ConnectionError as error:
        raise _ClientGone from error


async def _take(body: AsyncIterator[bytes], count: int) -> None:
    while count > 0:
        count -= len(await anext(body, b"")) or count


async def _again(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _flipped(body: AsyncIterator[bytes], at: int) -> AsyncIterator[bytes]:
    begin = 0
    async for piece in body:
        changed = bytearray(piece)
        if begin <= at < begin + len(piece):
            changed[at - begin] ^= 1
        begin += len(piece)
        yield bytes(changed)


def _make_close_a_reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
