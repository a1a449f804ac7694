"""FairUse: how much each user may ask: so many requests a second, so many at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from quilt_mcp.server.http.refusal import Refusal, retry_after

BURST_SECONDS: Final = 4
"""What may be asked at once, in seconds of the rate."""
_MOST: Final = 10_000


@dataclass(slots=True)
class _Use:
    left: float
    since: float
    at_work: int = 0


class FairUse:
    """Safe between tasks of one event loop. Counts by user, however many tokens one has."""

    def __init__(self, rate: int, at_once: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(rate * BURST_SECONDS)
        self._at_once = at_once
        self._clock = clock
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    @contextmanager
    def turn(self, user: str) -> Generator[Refusal | None]:
        """Around a request; a Refusal where it is one too many."""
        use, now = self._of(user), self._clock()
        use.left = min(self._burst, use.left + (now - use.since) * self._rate)
        use.since = now
        if use.at_work >= self._at_once:
            why = (
                f"One user may have {self._at_once} requests at work at once (QUILT_MCP_USER_CALLS), and these are. Wait until "
                "one has ended, then try again."
            )
            yield Refusal(429, why, (retry_after(1),))
            return
        if use.left < 1:
            why = (
                f"One user may ask {self._rate} times a second (QUILT_MCP_USER_RATE), and asked more often. Wait a second, then "
                "ask less often."
            )
            yield Refusal(429, why, (retry_after((1 - use.left) / self._rate),))
            return
        use.left -= 1
        use.at_work += 1
        try:
            yield None
        finally:
            use.at_work -= 1

    def _of(self, user: str) -> _Use:
        use = self._uses.pop(user, None) or _Use(self._burst, self._clock())
        self._uses[user] = use
        while len(self._uses) > _MOST:
            name, oldest = self._uses.popitem(last=False)
            if oldest.at_work:  # a slow call, which still counts
                self._uses[name] = oldest
                break
        return use
