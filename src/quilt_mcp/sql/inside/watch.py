"""Watch: a thread that ends the process when its parent is gone, whatever the engine is at, and when it holds more memory than it
may, where the system does not see to that."""

from __future__ import annotations

import os
import select
import sys
import threading
from typing import Final

TOO_MUCH: Final = 77
"""The status of one that held too much."""
_TURN: Final = None if sys.platform == "linux" else 50
"""Milliseconds. Linux holds it to its memory itself."""
_HUNG_UP: Final = getattr(select, "POLLRDHUP", 0)


def watch(control: int, memory: int) -> None:
    """``control``: the socket to the parent."""
    threading.Thread(target=_watch, args=(control, memory), daemon=True).start()


def _watch(control: int, memory: int) -> None:
    poll = select.poll()
    poll.register(control, _HUNG_UP)
    while True:
        for _, event in poll.poll(_TURN):
            if event & (_HUNG_UP | select.POLLHUP | select.POLLERR | select.POLLNVAL):
                _leave(0)
        if _TURN is not None and _held() > memory:
            _leave(TOO_MUCH)


def _held() -> int:
    """The most that it has held so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def _leave(status: int) -> None:
    """Its folder's files go; the folder itself is the parent's to remove."""
    try:
        _empty(".")
    finally:
        os._exit(status)


def _empty(folder: str) -> None:
    for one in os.scandir(folder):
        if one.is_dir(follow_symlinks=False):
            _empty(one.path)
            os.rmdir(one.path)
        else:
            os.unlink(one.path)
