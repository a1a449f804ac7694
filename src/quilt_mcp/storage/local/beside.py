"""Beside: a file of this machine in the making, in the folder where it will stand."""

from __future__ import annotations

import errno
import os
import secrets
from typing import Final

_NO_LINKS: Final = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK))


def make_beside(path: str) -> tuple[int, str]:
    """A new file's descriptor, open for writing, and its path. It has the rights that the kernel gives to any new file: to read
    the umask is to change it, for all threads of this process. Raises OSError. Blocks."""
    made = os.path.join(os.path.dirname(os.path.abspath(path)), f".quilt-{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
    return os.open(made, flags, 0o666), made


def put_beside(made: str, path: str, *, replace: bool) -> None:
    """In one step. Raises FileExistsError where something stands there and ``replace`` is False; then ``made`` is left. Where a
    file system has no hard links, what another process puts there in the same moment is replaced. Blocks."""
    if replace:
        os.replace(made, path)
        return
    try:
        os.link(made, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.replace(made, path)
    else:
        os.unlink(made)
