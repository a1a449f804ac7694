"""What is said on standard error: lines without secrets, without characters that act on a terminal, and without end.

Standard error may be closed, full or read by nobody: then lines are lost and counted, and nothing waits.
"""

from __future__ import annotations

import logging
import os
import re
import select
import time
from collections.abc import Mapping
from typing import Final

from quilt_mcp.domain.printable import counted, printable

_PIECE: Final = 4096
"""What a pipe that can be written to takes without waiting."""
_PATIENCE_MS: Final = 200
"""How long a reader may be behind once; after that lines are lost until it has caught up."""
SAME_LINES: Final = 20
SAME_SECONDS: Final = 10.0
"""So many warnings or errors of one place in the code are told in so many seconds; the rest are counted."""

_SECRET_VARIABLES: Final = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "QUILT_JWT_TOKEN",
    "QUILT_API_KEY",
    "QUILT_MCP_HTTP_TOKEN",
)
_TOKENS: Final = re.compile(r"\bqk_[\w-]{8,}|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
"""API keys and JWTs, wherever they stand."""
_SECRET_FORMS: Final = re.compile(
    r"(?i)(X-Amz-(?:Signature|Security-Token|Credential)=|\bBearer\s+(?=\S{8})|\bSignature=|\bcookie\b\W{1,6}(?:b')?[\w.-]{1,99}=|"
    r"(?<=://)[^/\s:@]{1,256}:(?=[^/\s@]{1,256}@))[^\s&\"',;]+?(?=@|[\s&\"',;]|\Z)"
)


def safe(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text as a terminal or a log may show it: secrets struck out, control and invisible characters as escapes."""
    return printable(struck(text, environ))


def struck(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text without its secrets."""
    for name in _SECRET_VARIABLES:
        if len(secret := environ.get(name, "")) >= 8:
            text = text.replace(secret, "***")
    return _TOKENS.sub("***", _SECRET_FORMS.sub(r"\1***", text))


def say(text: str) -> None:
    """To whoever reads standard error, if anybody does: waits for a reader, and gives up where there is none."""
    try:
        rest = memoryview(text.encode("utf-8", "replace"))
        while rest:
            rest = rest[os.write(2, rest) :]
    except OSError:
        pass


class LogHandler(logging.Handler):
    """One line a record, and the lines of a traceback. Never blocks for long and never raises."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
        self.addFilter(_Repeats())
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
        except (TypeError, ValueError, LookupError, AttributeError):
            # The message and its arguments do not fit.
            text = f"{record.levelname} {record.name}: a line that cannot be shown\n"
        if self._lost:
            text = f"WARNING quilt_mcp: nobody read {counted(self._lost, 'line')}, which went lost\n{text}"
        self._lost = (
            0
            if _write(text.encode("utf-8", "replace"), 0 if self._lost else _PATIENCE_MS)
            else self._lost + 1
        )


def _write(content: bytes, patience_ms: int) -> bool:
    """Whether all of it was taken."""
    if not hasattr(select, "poll"):
        say(content.decode())
        return True
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    try:
        for start in range(0, len(content), _PIECE):
            rest = content[start : start + _PIECE]
            while rest:
                if not poll.poll(patience_ms):
                    return False
                rest = rest[os.write(2, rest) :]
    except OSError:
        return False
    return True


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """A line feed in a message cannot make a line of its own."""
        record.message = record.message.replace("\n", "\\n")
        return super().formatMessage(record)


class _Repeats(logging.Filter):
    """Lets through what one place in the code has to say, unless it says it over and over."""

    def __init__(self) -> None:
        super().__init__()
        self._since: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        place = (record.pathname, record.lineno)
        since, count = self._since.get(place, (0.0, 0))
        now = time.monotonic()
        if now - since > SAME_SECONDS:
            if count > SAME_LINES:
                record.msg = f"{record.getMessage()} (and {count - SAME_LINES} more like it before)"
                record.args = ()
            since, count = now, 0
        self._since[place] = (since, count + 1)
        return count < SAME_LINES
