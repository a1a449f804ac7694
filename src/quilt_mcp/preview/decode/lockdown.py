"""What the child gives up before it sees a byte: memory, time, files, new rights, and on Linux network and programs.

What a system does not have is skipped: the parent's clock and the bounds of the readers hold everywhere.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress

MEMORY = 2 << 30
"""Of addresses: DuckDB and Pillow take a gigabyte for the largest of what they are given."""
CPU_SECONDS = 60
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
"""Refused with EPERM, so that a library which asks for what it does not need goes on."""
_CALLS = {
    "x86_64": (0xC000003E, (41, 53, 59, 322, 101, 425, 310, 311)),
    "aarch64": (0xC00000B7, (198, 199, 221, 281, 117, 425, 270, 271)),
}
"""The kernel's name of an architecture, and its numbers of socket, socketpair, execve, execveat, ptrace, io_uring_setup,
process_vm_readv and process_vm_writev."""
_OTHER_TABLE = 0x40000000
"""From here on the numbers of x86_64 mean its calls in another table."""


def lock_down() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_AS, MEMORY),  # macOS takes it and does not keep it
    ):
        _, ceiling = resource.getrlimit(what)
        limit = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (limit, limit))
    if sys.platform == "linux":
        _refuse_network_and_programs()


def _refuse_network_and_programs() -> None:
    """By a filter of the kernel's, which holds for threads that are started later. A kernel without it goes on as it was."""
    libc = ctypes.CDLL(None)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    known = _CALLS.get(os.uname().machine)
    if known is None:
        return
    program = ctypes.create_string_buffer(filter_program(*known))
    count = (len(program) - 1) // 8
    pointer = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(program)))
    libc.prctl(_SET_SECCOMP, _FILTER, pointer, 0, 0)


def filter_program(architecture: int, refused: tuple[int, ...]) -> bytes:
    """Instructions of the kernel's packet filter, on the number and the architecture of a call."""
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, _KILL), (load, 0, 0, 0)]
    lines.append((at_least, len(refused) + 1, 0, _OTHER_TABLE))
    lines += [(equal, len(refused) - place, 0, number) for place, number in enumerate(refused)]
    lines += [(answer, 0, 0, _ALLOW), (answer, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
