"""Network, programs, processes and other processes' memory are refused, by a filter of Linux's kernel (seccomp), which holds for
threads that are started later.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE, _UNKNOWN, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
"""Refused with EPERM, so that a library which asks for what it does not need goes on. Unknown is ENOSYS."""
_CALLS = {
    "x86_64": (
        0xC000003E, 56,
        (41, 53, 59, 322, 57, 58, 62, 101, 425, 310, 311, 424, 438, 129, 297, 440, 272, 308, 165, 321, 298, 323, 304, 250, 248,
         249, 200, 141, 142, 144, 314, 203, 251, 256, 279, 312, 274, 434, 448, 109),
        (234, 302, 72, 16),
    ),
    "aarch64": (
        0xC00000B7, 220,
        (198, 199, 221, 281, 129, 117, 425, 270, 271, 424, 438, 138, 240, 440, 97, 268, 40, 280, 241, 282, 265, 219, 217, 218,
         130, 140, 118, 119, 274, 122, 30, 238, 239, 272, 100, 434, 448, 154),
        (131, 261, 25, 29),
    ),
}  # fmt: skip
"""The kernel's name of an architecture, its number of clone, and of what is refused: socket, socketpair, execve, execveat, fork
and vfork (which aarch64 has not), kill, ptrace, io_uring_setup, process_vm_readv, process_vm_writev, pidfd_send_signal,
pidfd_getfd, rt_sigqueueinfo, rt_tgsigqueueinfo and process_madvise; then what a process of root's could get out by: unshare,
setns, mount, bpf, perf_event_open, userfaultfd, open_by_handle_at, keyctl, add_key and request_key; then what changes or looks
into other processes of the same user: tkill, setpriority, sched_setparam, sched_setscheduler, sched_setattr, sched_setaffinity,
ioprio_set, migrate_pages, move_pages, kcmp, get_robust_list, pidfd_open, process_mrelease and setpgid.

Then the numbers of tgkill and prlimit64, which may name this process alone, and of fcntl and ioctl, which may not say whom the
kernel signals when a file is ready."""
_SIGNALLED = (8, 10, 15), (0x8901, 0x8902)
"""Commands of fcntl: F_SETOWN, F_SETSIG and F_SETOWN_EX; of ioctl: FIOSETOWN and SIOCSPGRP."""
_CLONE3 = 435
"""Its flags lie in memory, where the filter does not look: the C library goes on with clone."""
_THREAD = 0x10000
"""The flag by which clone makes a thread, and no process that would outlive this one."""
_OTHER_TABLE = 0x40000000
"""From here on the numbers of x86_64 mean its calls in another table."""


class _Argument(NamedTuple):
    """Of a call whose ``place``-th argument decides, by its lower half, which is all that the kernel takes of it: where ``only``
    names values, no others are allowed, else all but ``never``."""

    call: int
    place: int
    only: tuple[int, ...] = ()
    never: tuple[int, ...] = ()


def give_up_new_rights() -> None:
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def refuse_network_and_processes() -> bool:
    """Whether the kernel does. One without it goes on as it was."""
    known = _CALLS.get(os.uname().machine)
    if known is None:
        return False
    architecture, clone, refused, (tgkill, prlimit, fcntl, ioctl) = known
    by_argument = (
        _Argument(tgkill, 0, only=(os.getpid(),)),
        _Argument(prlimit, 0, only=(0, os.getpid())),
        _Argument(fcntl, 1, never=_SIGNALLED[0]),
        _Argument(ioctl, 1, never=_SIGNALLED[1]),
    )
    program = ctypes.create_string_buffer(filter_program(architecture, clone, refused, by_argument))
    count = (len(program) - 1) // 8
    pointer = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(program)))
    return int(ctypes.CDLL(None).prctl(_SET_SECCOMP, _FILTER, pointer, 0, 0)) == 0


def filter_program(
    architecture: int, clone: int, refused: tuple[int, ...], by_argument: Sequence[_Argument] = ()
) -> bytes:
    """Instructions of the kernel's packet filter, on the number and the architecture of a call, and on some arguments."""
    load, equal, at_least, has, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    blocks = sum(3 + len(one.only or one.never) for one in by_argument)
    allow = 9 + len(refused) + blocks
    refuse, unknown = allow + 1, allow + 2
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, _KILL), (load, 0, 0, 0)]
    lines.append((at_least, refuse - 5, 0, _OTHER_TABLE))
    for number in refused:
        lines.append((equal, refuse - len(lines) - 1, 0, number))
    lines.append((equal, unknown - len(lines) - 1, 0, _CLONE3))
    for one in by_argument:
        values, meant, else_meant = (one.only, allow, refuse) if one.only else (one.never, refuse, allow)
        lines += [(equal, 0, 2 + len(values), one.call), (load, 0, 0, 16 + 8 * one.place)]
        for value in values:
            lines.append((equal, meant - len(lines) - 1, 0, value))
        at_once = else_meant - len(lines) - 1
        lines.append((at_least, at_once, at_once, 0))
    lines.append((equal, 0, allow - len(lines) - 1, clone))
    lines += [(load, 0, 0, 16), (has, 0, 1, _THREAD)]
    lines += [(answer, 0, 0, _ALLOW), (answer, 0, 0, _REFUSE), (answer, 0, 0, _UNKNOWN)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
