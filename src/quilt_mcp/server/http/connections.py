"""Connections of the HTTP server: a bounded number, none that only waits, and none whose client does not read."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


def most_connections() -> int:
    """At once; the rest of the descriptors is for files and S3."""
    try:
        import resource
    except ImportError:
        return 256
    return min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)


MOST: Final = most_connections()
REQUEST_SECONDS: Final = 10.0
"""How long a connection may take to send the next request's head."""


UNREAD_LOOKS: Final = 2
"""How many times, ``REQUEST_SECONDS`` apart, an answer may be found to have gone out by less than ``LEAST_SENT``."""
LEAST_SENT: Final = 16 << 10


class BoundedProtocol(H11Protocol):
    """One more connection than ``MOST`` costs the one that has waited longest without a request at work, so that idle ones
    cannot keep others out; where all are at work, the new one is closed."""

    linger: float = 0.0
    """Seconds for which a connection without a request stays when the server stops: a client that is just about to send its next
    one is answered, and told to close, which one that reads a stream could not be told."""
    _timer: asyncio.TimerHandle | None = None
    _is_ending: bool = False
    since: float = 0.0
    _unsent: int = 0
    """Bytes of answers that waited for the client at the last look."""
    _unread: int = 0
    """Looks in a row at which too few had gone out."""
    _resumed: bool = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.since = self.loop.time()
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._look)
        if len(self.connections) > MOST:
            connections = cast("set[BoundedProtocol]", self.connections)
            waiting = [one for one in connections if one.waits()]  # this one at least
            min(waiting, key=lambda one: one.since).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.since = self.loop.time()
        if self._is_ending:
            self.loop.call_later(self.linger, self._end)
        super().on_response_complete()

    def shutdown(self) -> None:
        if not self.linger:
            return super().shutdown()
        self._is_ending = True
        self._tell_to_close()
        if self.waits():
            self.loop.call_later(self.linger, self._end)

    def _end(self) -> None:
        if self.waits():
            super().shutdown()

    def handle_events(self) -> None:
        super().handle_events()
        if self._is_ending:
            self._tell_to_close()

    def _tell_to_close(self) -> None:
        """An answer that has not begun says that it is the last: as if the client had asked for that."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_started:
            cycle.scope["headers"] = [*cycle.scope["headers"], CLOSE_HEADER]

    def resume_writing(self) -> None:
        self._resumed = True  # most of what the buffer holds has gone out
        super().resume_writing()

    def waits(self) -> bool:
        """Without a request at work, and not already closing."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        at_work = cycle is not None and not cycle.response_complete
        return not at_work and not self.transport.is_closing()

    def _reads(self) -> bool:
        """Whether the client takes what it is sent. Closing a connection waits for that, too, so it is asked of closing ones."""
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        has_read = not unsent or not before or self._resumed or unsent <= before - LEAST_SENT
        self._unread = 0 if has_read else self._unread + 1
        self._unsent, self._resumed = unsent, False
        return self._unread < UNREAD_LOOKS

    def _look(self) -> None:
        if not self._reads() or (self.waits() and self.loop.time() - self.since >= REQUEST_SECONDS):
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._look)
