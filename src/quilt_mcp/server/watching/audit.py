"""Audit: who did what, to what, and how it ended: a line of JSON for each call, without secrets and without content."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, Final

from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import Misconfigured
from quilt_mcp.server.watching.lines import Lines
from quilt_mcp.server.watching.log import say, struck

if TYPE_CHECKING:
    from quilt_mcp.server.watching.meters import Meters

STANDARD_ERROR: Final = "-"
OFF: Final = "off"
_TARGETS: Final = ("package", "uri", "location", "destination", "registry", "name", "role", "before")
"""Arguments of tools that name what a call is about, the first that is there."""
_LONGEST: Final = 300
REFUSALS: Final = 20
REFUSALS_SECONDS: Final = 10.0
"""So many refusals of a status are noted in so many seconds; the rest are counted, so that no stranger can fill the disk."""
_CLOSING_SECONDS: Final = 2.0
logger = logging.getLogger("quilt_mcp")


@dataclass(slots=True)
class Noted:
    """How a call ends, told by whoever carries it out: ``code`` of its failure, ``size`` of its answer in bytes."""

    code: str | None = None
    size: int = 0


class Audit:
    """``write`` takes a line, and ``end`` is called after the last; None: nothing is noted. ``meters`` count the same. Safe
    between tasks of one event loop."""

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        meters: Meters | None = None,
        *,
        end: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._end = end
        self._lines = None if write is None else Lines(write, _lost)
        self._clock = clock
        self._refusals: Counter[int] = Counter()
        self._since = clock()

    @contextmanager
    def of(self, principal: str | None, act: str, target: str | None) -> Generator[Noted]:
        """Around a call, which is noted however it ends."""
        began, noted, outcome = self._clock(), Noted(), "cancelled"
        try:
            yield noted
            outcome = "failed" if noted.code else "done"
        except Exception:
            noted.code, outcome = noted.code or "internal_error", "failed"
            raise
        finally:
            seconds = self._clock() - began
            if self._meters is not None:
                self._meters.called(act, outcome, noted.code, seconds)
            self._note(
                principal=principal,
                tool=act,
                target=target,
                outcome=outcome,
                code=noted.code,
                seconds=round(seconds, 3),
                bytes=noted.size,
            )

    def refused(self, status: int, client: str | None, principal: str | None = None) -> None:
        """A request that was not let in, or no further; ``principal``: whose it was, where that is known."""
        if self._meters is not None:
            self._meters.refused(status)
        self.tidy()
        self._refusals[status] += 1
        if self._refusals[status] <= REFUSALS:
            self._note(principal=principal, outcome="refused", code=status, client=client)

    def tidy(self) -> None:
        """Tells how many refusals were not noted, once their time is over."""
        now = self._clock()
        if now - self._since <= REFUSALS_SECONDS:
            return
        for status, count in self._refusals.items():
            if count > REFUSALS:
                self._note(outcome="refused", code=status, more=count - REFUSALS)
        self._since, self._refusals = now, Counter()

    def close(self) -> None:
        if self._lines is not None:
            self._lines.close(_CLOSING_SECONDS)
            self._end()

    def _note(self, **fields: Any) -> None:
        if self._lines is None:
            return
        told = {name: _struck(value) for name, value in fields.items() if value is not None}
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **told}
        self._lines.put(printable(json.dumps(line, ensure_ascii=False)))  # whose escapes are JSON's


def _struck(value: Any) -> Any:
    return struck(value) if isinstance(value, str) else value


def _lost(count: int) -> str:
    return json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "lost": count})


def target_of(arguments: Mapping[str, Any]) -> str | None:
    found = next((arguments[name] for name in _TARGETS if isinstance(arguments.get(name), str)), None)
    return None if found is None else found[:_LONGEST]


class _PrivateFile(WatchedFileHandler):
    """Opens its file anew when it was moved away; only its owner may read it."""

    def handleError(self, record: logging.LogRecord) -> None:
        """The line is lost; nothing of it is told anywhere else."""
        logger.error("a line of the audit could not be written to %s", self.baseFilename)

    def _open(self) -> Any:
        opener = partial(os.open, mode=0o600)
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=opener)


def audit_to(place: str | None, meters: Meters | None = None) -> Audit:
    """``place`` as in QUILT_MCP_AUDIT; None and 'off': nothing is noted. Raises Misconfigured for a file that cannot be."""
    if place is None or place == OFF:
        return Audit(None, meters)
    if place == STANDARD_ERROR:
        return Audit(lambda line: say(f"{line}\n"), meters)
    try:
        file = _PrivateFile(place, encoding="utf-8", errors="replace")
    except OSError as error:
        raise Misconfigured(
            f"The audit cannot be written to {place}: {error.strerror}.",
            next_step="Set QUILT_MCP_AUDIT to a file in a folder that this account may write to, or to - for standard error.",
        ) from error
    return Audit(lambda line: file.handle(logging.makeLogRecord({"msg": line})), meters, end=file.close)
