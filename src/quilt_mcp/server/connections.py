"""Connections of the HTTP server: a bounded number, and none that only waits."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

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


class BoundedProtocol(H11Protocol):
    """One more connection than ``MOST`` costs the one that has waited longest without a request at work, so that idle ones
    cannot keep others out; where all are at work, the new one is closed."""

    _timer: asyncio.TimerHandle | None = None
    since: float = 0.0

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
        super().on_response_complete()

    def waits(self) -> bool:
        """Without a request at work, and not already closing."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        at_work = cycle is not None and not cycle.response_complete
        return not at_work and not self.transport.is_closing()

    def _look(self) -> None:
        if self.waits() and self.loop.time() - self.since >= REQUEST_SECONDS:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._look)
