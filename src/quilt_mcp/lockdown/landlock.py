"""The files that the child may reach, by Landlock of Linux (5.13 and later): what Python and its libraries are made of, to read,
and its own folder. Not the home folder, and nothing of its parent's in /proc, where environment and memory lie.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of the calls, the same on every architecture."""
_READ = 1 << 2 | 1 << 3
"""Files and folders."""
_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14
_OWN = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14
"""Files and folders to read, write, make and remove: no links, pipes, sockets, devices or programs, which a parent that reads
them would follow or wait for."""
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All that a version of Landlock knows of: what is named here and not allowed is refused."""
_SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
)
_ASKED_FOR = ("/dev/null", "/dev/urandom", "/proc/self", "/sys/fs/cgroup")
"""By Python, and by DuckDB, which looks there how much memory it may take: of /proc the child's own folder alone."""


def close_files(own: str) -> bool:
    """``own`` stays open for files and folders. Answers whether the kernel could: without Landlock everything stays as it was."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = int(libc.syscall(_CREATE, None, 0, 1))
    if version < 1:
        return False
    rights = _RIGHTS[min(version, 5)]
    about = struct.pack("=Q", rights)
    rules = int(libc.syscall(_CREATE, about, len(about), 0))
    if rules < 0:
        return False
    for path, wanted in _allowed(own, rights):
        with suppress(OSError):  # not there on this system
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", wanted & (rights if os.path.isdir(path) else _OF_FILES), descriptor)
            libc.syscall(_ADD, rules, 1, rule, 0)
            os.close(descriptor)
    is_closed = libc.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return is_closed


def _allowed(own: str, rights: int) -> Iterator[tuple[str, int]]:
    yield own, rights & _OWN
    for path in (*_SYSTEM, *_ASKED_FOR, sys.prefix, sys.base_prefix):
        yield path, _READ
    for path in sys.path:
        # A folder that somebody put there, or a server was started in, may be the home folder: only our package is read in it.
        is_library = path.endswith(("site-packages", "dist-packages"))
        yield path if is_library else os.path.join(path, "quilt_mcp"), _READ
