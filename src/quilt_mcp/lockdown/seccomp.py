"""Network, programs, processes and other processes' memory are refused, by a filter of Linux's kernel (seccomp), which holds for
threads that are started later.
"""

from __future__ import annotations

import ctypes
import os
import struct

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE, _UNKNOWN, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
"""Refused with EPERM, so that a library which asks for what it does not need goes on. Unknown is ENOSYS."""
_CALLS = {
    "x86_64": (
        0xC000003E, 56,
        (41, 53, 59, 322, 57, 58, 62, 101, 425, 310, 311, 424, 438, 129, 297, 440, 272, 308, 165, 321, 298, 323, 304, 250, 248,
         249),
    ),
    "aarch64": (
        0xC00000B7, 220,
        (198, 199, 221, 281, 129, 117, 425, 270, 271, 424, 438, 138, 240, 440, 97, 268, 40, 280, 241, 282, 265, 219, 217, 218),
    ),
}  # fmt: skip
"""The kernel's name of an architecture, its number of clone, and of what is refused: socket, socketpair, execve, execveat, fork
and vfork (which aarch64 has not), kill, ptrace, io_uring_setup, process_vm_readv, process_vm_writev, pidfd_send_signal,
pidfd_getfd, rt_sigqueueinfo, rt_tgsigqueueinfo and process_madvise; then what a process of root's could get out by: unshare,
setns, mount, bpf, perf_event_open, userfaultfd, open_by_handle_at, keyctl, add_key and request_key."""
_CLONE3 = 435
"""Its flags lie in memory, where the filter does not look: the C library goes on with clone."""
_THREAD = 0x10000
"""The flag by which clone makes a thread, and no process that would outlive this one."""
_OTHER_TABLE = 0x40000000
"""From here on the numbers of x86_64 mean its calls in another table."""


def give_up_new_rights() -> None:
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def refuse_network_and_processes() -> bool:
    """Whether the kernel does. One without it goes on as it was."""
    known = _CALLS.get(os.uname().machine)
    if known is None:
        return False
    program = ctypes.create_string_buffer(filter_program(*known))
    count = (len(program) - 1) // 8
    pointer = ctypes.create_string_buffer(struct.pack("@HP", count, ctypes.addressof(program)))
    return int(ctypes.CDLL(None).prctl(_SET_SECCOMP, _FILTER, pointer, 0, 0)) == 0


def filter_program(architecture: int, clone: int, refused: tuple[int, ...]) -> bytes:
    """Instructions of the kernel's packet filter, on the number and the architecture of a call, and on the flags of clone."""
    load, equal, at_least, has, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow = 9 + len(refused)
    refuse, unknown = allow + 1, allow + 2
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, _KILL), (load, 0, 0, 0)]
    lines.append((at_least, refuse - 5, 0, _OTHER_TABLE))
    for number in refused:
        lines.append((equal, refuse - len(lines) - 1, 0, number))
    lines.append((equal, unknown - len(lines) - 1, 0, _CLONE3))
    lines.append((equal, 0, allow - len(lines) - 1, clone))
    lines += [(load, 0, 0, 16), (has, 0, 1, _THREAD)]
    lines += [(answer, 0, 0, _ALLOW), (answer, 0, 0, _REFUSE), (answer, 0, 0, _UNKNOWN)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
