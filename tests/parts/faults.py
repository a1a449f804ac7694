"""What can go wrong between a client and S3, as values, and the rules that say to which requests it happens.

The proxy carries them out. Each fault shows to a client as S3 shows it: XML error bodies, real resets, answers that never come.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal
from xml.sax.saxutils import escape

from parts.s3_calls import Call


@dataclass(frozen=True)
class Answer:
    """The server never acts; the client is told this instead, after it has sent its body."""

    status: int
    code: str
    message: str = "injected by the test proxy"
    headers: tuple[tuple[str, str], ...] = ()
    extra: str = ""

    def body(self) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{escape(self.message)}</Message>{self.extra}"
            "<RequestId>TESTPROXY</RequestId></Error>"
        ).encode()


INTERNAL_ERROR = Answer(500, "InternalError", "We encountered an internal error. Please try again.")
SLOW_DOWN = Answer(503, "SlowDown", "Please reduce your request rate.")
REQUEST_TIMEOUT = Answer(
    400,
    "RequestTimeout",
    "Your socket connection to the server was not read from or written to within the timeout period.",
)
ACCESS_DENIED = Answer(403, "AccessDenied", "Access Denied")
CLOCK_SKEW = Answer(
    403,
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large.",
    extra="<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
)
EXPIRED_TOKEN = Answer(400, "ExpiredToken", "The provided token has expired.")
NOT_IMPLEMENTED = Answer(
    501, "NotImplemented", "A header you provided implies functionality that is not implemented."
)
CONFLICTING_WRITE = Answer(
    409, "ConditionalRequestConflict", "A conflicting conditional operation is in progress."
)
GLACIER = Answer(
    403,
    "InvalidObjectState",
    "The operation is not valid for the object's storage class",
    extra="<StorageClass>GLACIER</StorageClass>",
)


def moved_to(region: str) -> Answer:
    """What a bucket of another region answers."""
    return Answer(
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
        headers=(("x-amz-bucket-region", region),),
    )


@dataclass(frozen=True)
class Delay:
    """Added latency before the server sees the request."""

    seconds: float


@dataclass(frozen=True)
class ResetUpload:
    """The connection is reset when this share of the request body has arrived; the server never sees the request."""

    share: float = 0.5


@dataclass(frozen=True)
class LoseResponse:
    """The server acts, and the connection closes without an answer."""


@dataclass(frozen=True)
class CutResponse:
    """The answer ends after this share of its body, by a reset or (a short read that looks orderly) by a plain close."""

    share: float = 0.5
    reset: bool = False


@dataclass(frozen=True)
class Stall:
    """The answer stops after this share of its body, and the connection stays open until the client closes it."""

    share: float = 0.5


@dataclass(frozen=True)
class NeverAnswer:
    """The connection stays open until the client closes it, and no answer comes. ``acts``: the server has done what was asked."""

    acts: bool = False


@dataclass(frozen=True)
class FlipBit:
    """One bit of the answer's body changes on the way."""

    at: int = 0


@dataclass(frozen=True)
class FlipUploadedBit:
    """One bit of the request's body changes on the way to the server."""

    at: int = 0


@dataclass(frozen=True)
class DropHeader:
    """The server does not know this header (a lower-case name) of the request."""

    name: str


class Pause:
    """Holds requests until the test lets them go: how a test proves an interleaving without sleeping.

    ``when`` 'before': the server has not seen the request. 'after': the server has acted, the client does not know yet.
    """

    def __init__(self, when: Literal["before", "after"] = "before") -> None:
        self.when = when
        self._reached = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._released = False
        self._held: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def wait_until_reached(self, times: int = 1, timeout: float = 30) -> None:
        for _ in range(times):
            if not self._reached.acquire(timeout=timeout):
                raise TimeoutError("no request came to the pause")

    def release(self) -> None:
        with self._lock:
            self._released = True
            held, self._held = self._held, []
        for loop, future in held:
            loop.call_soon_threadsafe(lambda f: None if f.done() else f.set_result(None), future)

    async def hold(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._released:
                future.set_result(None)
            else:
                self._held.append((loop, future))
        self._reached.release()
        await future


Fault = (
    Answer | Delay | DropHeader | ResetUpload | LoseResponse | CutResponse | Stall | NeverAnswer
    | FlipBit | FlipUploadedBit | Pause
)  # fmt: skip


@dataclass
class Rule:
    """``fault`` happens to requests that fit ``operation``, ``bucket`` and ``key`` (shell patterns; '*' also spans '/').

    Of those that fit: only the ``nth`` (from 1), those from ``since`` on, without ``anew`` those not asked before (a second
    attempt passes), at most ``times`` of them; with none given, all.
    """

    fault: Fault
    operation: str = "*"
    bucket: str = "*"
    key: str = "*"
    mutating: bool | None = None
    nth: int | None = None
    since: int | None = None
    anew: bool = True
    times: int | None = None
    header: tuple[str, str] | None = None
    """A name (lower case) and a pattern: only requests with such a header; '' stands for one that is not there."""
    query: str | None = None
    """A parameter: only requests that have it."""
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)
    asked: set[tuple[object, ...]] = field(default_factory=set[tuple[object, ...]], init=False)
    struck: str = field(default="", init=False)
    """The operation that the fault last happened to."""

    def strikes(self, call: Call, headers: Mapping[str, str]) -> bool:
        """Counts the request, and says whether the fault happens to it."""
        if self.header is not None and not fnmatchcase(headers.get(self.header[0], ""), self.header[1]):
            return False
        if self.query is not None and self.query not in call.query:
            return False
        if not (
            fnmatchcase(call.operation, self.operation)
            and fnmatchcase(call.bucket, self.bucket)
            and fnmatchcase(call.key, self.key)
            and self.mutating in (None, call.mutates)
        ):
            return False
        request = (call.operation, call.bucket, call.key, *sorted(call.query.items()), headers.get("range"))
        is_new = request not in self.asked
        self.asked.add(request)
        self.seen += 1
        due = (
            (self.nth is None or self.seen == self.nth)
            and (self.since is None or self.seen >= self.since)
            and (self.anew or is_new)
            and (self.times is None or self.fired < self.times)
        )
        self.fired += due
        if due:
            self.struck = call.operation
        return due
