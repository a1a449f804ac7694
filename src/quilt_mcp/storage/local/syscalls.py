"""The system calls that local storage makes, in one place, so that a test can stand in between any two of them.

POSIX only (Linux, macOS): Windows has neither directory descriptors nor ``flock``. What it lacks is named in the methods
alone, so that this module is imported everywhere.
"""

from __future__ import annotations

import os
import sys


class Syscalls:
    """Each method is one call to the kernel and raises OSError as the kernel says."""

    def open(self, name: str, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def open_folder(self, name: str, *, dir_fd: int | None = None) -> int:
        return self.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)

    def open_file(self, name: str, *, dir_fd: int) -> int:
        """For reading, without waiting for a pipe."""
        return self.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=dir_fd)

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
        that they will not be read again. Without it the flush at the end takes 0.3 s a gigabyte, on a fast disk."""
        if sys.platform.startswith("linux"):
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)

    def fsync(self, fd: int) -> None:
        """To the platter: macOS's own ``fsync`` stops at the drive's cache."""
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)

    def try_lock(self, fd: int) -> bool:
        """An exclusive ``flock``, without waiting. Closing the descriptor, or dying, releases it."""
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


KERNEL = Syscalls()
