"""The system calls that local storage makes, in one place, so that a test can stand in between any two of them.

POSIX only (Linux, macOS). Windows has neither directory descriptors nor ``flock``; there the import fails and says so.
"""

from __future__ import annotations

import errno
import os
import sys

if sys.platform == "win32":
    raise ImportError("quilt-mcp keeps local registries on Linux and macOS only; on Windows use WSL.")

import fcntl

_FICLONE = 0x40049409
"""Linux: share the extents of another file (btrfs, XFS, bcachefs)."""
_NOT_HERE = {
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.ENOSYS,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOTTY,
    errno.EPERM,
}
"""What a file system answers to a copy or clone it cannot do between these two files."""


class Syscalls:
    """Each method is one call to the kernel and raises OSError as the kernel says."""

    def open(self, name: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def mkdir(self, name: str, *, dir_fd: int | None = None) -> None:
        os.mkdir(name, dir_fd=dir_fd)

    def rmdir(self, name: str, *, dir_fd: int) -> None:
        os.rmdir(name, dir_fd=dir_fd)

    def link(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
        os.link(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir, follow_symlinks=False)

    def rename(self, source: str, source_dir: int, target: str, target_dir: int) -> None:
        os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def write(self, fd: int, chunk: bytes | memoryview) -> int:
        return os.write(fd, chunk)

    def write_at(self, fd: int, chunk: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, chunk, offset)

    def begin_writing(self, fd: int, offset: int, length: int) -> None:
        """Asks for these bytes to go to the disk now, and does not wait for it. Linux only: it is what the kernel does when told
        that they will not be read again."""
        if sys.platform.startswith("linux"):
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)

    def fsync(self, fd: int) -> None:
        """To the platter: macOS's own ``fsync`` stops at the drive's cache."""
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is None:
            os.fsync(fd)
        else:
            fcntl.fcntl(fd, full)

    def try_lock(self, fd: int) -> bool:
        """An exclusive ``flock``, without waiting. Closing the descriptor, or dying, releases it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def clone(self, source: int, target: int) -> bool:
        """Makes ``target`` share all bytes of ``source`` (copy on write). False where the file system cannot."""
        if not sys.platform.startswith("linux"):
            return False
        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as error:
            if error.errno in _NOT_HERE:
                return False
            raise
        return True

    def copy_range(self, source: int, target: int, count: int, offset: int) -> int | None:
        """Copies at most ``count`` bytes at ``offset`` inside the kernel; None where it cannot, 0 at the end."""
        if not hasattr(os, "copy_file_range"):
            return None
        try:
            return os.copy_file_range(source, target, count, offset, offset)
        except OSError as error:
            if error.errno in _NOT_HERE:
                return None
            raise


KERNEL = Syscalls()
