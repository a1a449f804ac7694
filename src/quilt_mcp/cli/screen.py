"""Standard output: how wide, in colour or not, through a pager or not. Only a terminal has any of the three."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final

_LESS: Final = "FRX"
"""Ends by itself where all fits on the screen, shows colours, and leaves what was shown."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where lines go. ``width`` None: they are not cut."""

    out: IO[str]
    width: int | None = None
    color: bool = False

    def line(self, text: str) -> None:
        self.out.write(text + "\n")

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.color else text

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.color else text


def forgive_output() -> None:
    """What the locale cannot write is written as an escape rather than ending the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def is_terminal() -> bool:
    return sys.stdout.isatty()


def screen_of(out: IO[str] | None = None, environ: Mapping[str, str] = os.environ) -> Screen:
    if not is_terminal():
        return Screen(out or sys.stdout)
    color = not environ.get("NO_COLOR") and environ.get("TERM") not in ("dumb", "")
    return Screen(out or sys.stdout, shutil.get_terminal_size().columns, color)


@contextmanager
def paged(*, wanted: bool = True, environ: Mapping[str, str] = os.environ) -> Generator[Screen]:
    """A Screen whose lines go through the pager of ``PAGER`` (less), where standard output is a terminal and there is one. A
    reader who leaves it ends the writing as a broken pipe does."""
    command = shlex.split(environ.get("PAGER", "less")) if wanted and is_terminal() else []
    if not command or command == ["cat"] or shutil.which(command[0]) is None:
        yield screen_of(environ=environ)
        return
    pager = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env={"LESS": _LESS, **environ},
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
    )
    assert pager.stdin is not None
    try:
        yield screen_of(pager.stdin, environ)
        pager.stdin.close()
    except BrokenPipeError:
        pass
    except BaseException:
        # Interrupted: a pager left behind would go on reading the keys that are meant for the shell.
        pager.terminate()
        raise
    finally:
        with suppress(BrokenPipeError):
            pager.stdin.close()
        pager.wait()
