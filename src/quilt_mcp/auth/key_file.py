"""The file that QUILT_API_KEY_FILE names. Its key is never shown, whatever is wrong with it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from shlex import quote
from typing import Final

from quilt_mcp.errors import AuthenticationError

_LONGEST: Final = 16 << 10
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_NAMES: Final = "QUILT_API_KEY_FILE names"
_ANOTHER: Final = "export QUILT_API_KEY_FILE=/path/to/key"


def read_key(file: Path) -> str:
    """Its first line. Raises AuthenticationError where it cannot be read, is no file, or is open to other accounts, as ssh asks
    of its keys; ``command`` of the details mends it."""
    try:
        # A pipe of that name would make every call wait.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check(file, os.fstat(descriptor).st_mode)
            line = os.read(descriptor, _LONGEST + 1).partition(b"\n")[0]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(f"{_NAMES} {file}, which cannot be read ({error.strerror}).", _ANOTHER) from None
    key = line.decode("utf-8", "replace").strip()
    if not key:
        raise _unusable(f"{_NAMES} {file}, whose first line is empty.", edit_command(file))
    return key


def _check(file: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise _unusable(f"{_NAMES} {file}, which is no file.", _ANOTHER)
    if mode & _OTHERS:
        raise _unusable(
            f"{_NAMES} {file}, which other accounts may read or write.", f"chmod 600 {quote(str(file))}"
        )


def edit_command(file: Path) -> str:
    return f'"${{EDITOR:-vi}}" {quote(str(file))}'


def _unusable(reason: str, command: str) -> AuthenticationError:
    return AuthenticationError(reason, next_step=f"Run `{command}`.", details={"command": command})
