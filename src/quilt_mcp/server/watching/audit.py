"""Audit: who did what, to what, and how it ended: a line of JSON for each call, without secrets and without content."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any, Final

from quilt_mcp.errors import Misconfigured
from quilt_mcp.server.watching.log import safe, say
from quilt_mcp.server.watching.meters import Meters

STANDARD_ERROR: Final = "-"
OFF: Final = "off"
_TARGETS: Final = ("package", "uri", "location", "destination", "registry", "name", "role", "before")
"""Arguments of tools that name what a call is about, the first that is there."""
_LONGEST: Final = 300
REFUSALS: Final = 20
REFUSALS_SECONDS: Final = 10.0
"""So many refusals are noted in so many seconds; the rest are counted, so that no stranger can fill the disk."""


@dataclass(slots=True)
class Noted:
    """How a call ends, told by whoever carries it out: ``code`` of its failure, ``size`` of its answer in bytes."""

    code: str | None = None
    size: int = 0


class Audit:
    """``write`` takes a line; None: nothing is noted. ``meters`` count the same. Safe between tasks of one event loop."""

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        meters: Meters | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._meters = meters
        self._write = write
        self._clock = clock
        self._refusals = 0
        self._since = 0.0

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
        now = self._clock()
        if now - self._since > REFUSALS_SECONDS:
            more, self._since, self._refusals = max(0, self._refusals - REFUSALS), now, 0
            if more:
                self._note(outcome="refused", more=more)
        self._refusals += 1
        if self._refusals <= REFUSALS:
            self._note(principal=principal, outcome="refused", code=status, client=client)

    def _note(self, **fields: Any) -> None:
        if self._write is None:
            return
        told = {name: value for name, value in fields.items() if value is not None}
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **told}
        self._write(safe(json.dumps(line, ensure_ascii=False)))


def target_of(arguments: Mapping[str, Any]) -> str | None:
    found = next((arguments[name] for name in _TARGETS if isinstance(arguments.get(name), str)), None)
    return None if found is None else found[:_LONGEST]


def audit_to(place: str | None, meters: Meters | None = None) -> Audit:
    """``place`` as in QUILT_MCP_AUDIT; None and 'off': nothing is noted. Raises Misconfigured for a file that cannot be."""
    if place is None or place == OFF:
        return Audit(None, meters)
    if place == STANDARD_ERROR:
        return Audit(lambda line: say(f"{line}\n"), meters)
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        file = WatchedFileHandler(place, encoding="utf-8", errors="replace")
    except OSError as error:
        raise Misconfigured(
            f"The audit cannot be written to {place}: {error.strerror}.",
            next_step="Set QUILT_MCP_AUDIT to a file in a folder that this account may write to, or to - for standard error.",
        ) from error
    return Audit(lambda line: file.handle(logging.makeLogRecord({"msg": line})), meters)
