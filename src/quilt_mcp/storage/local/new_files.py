"""Small files of one folder in the making: each is invisible until it is whole and durable, as a NewFile is. They wait for the
disk together, which takes a fraction of what it takes one by one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from quilt_mcp.storage.local.confined import ConfinedFolder, Parts
from quilt_mcp.storage.local.new_file import make_unfinished, sweep, unfinished_name


class NewFiles:
    """A context manager. Leaving it removes every trace of what was not placed. Methods block and raise OSError.

    ``above``: the open folder at ``parts``. As many files are open as were made.
    """

    def __init__(self, folder: ConfinedFolder, parts: Parts, above: int) -> None:
        self._folder = folder
        self._kernel = folder.kernel
        self._parts = parts
        self._above = above
        self._made: dict[str, tuple[str, int]] = {}
        """By name: the name of the unfinished file, and its descriptor."""

    def make(self, name: str, content: bytes) -> None:
        """Writes a file, and asks the disk to begin with it."""
        self._folder.require_open((*self._parts, name))
        unfinished = unfinished_name()
        fd = make_unfinished(self._kernel, unfinished, self._above)
        self._made[name] = unfinished, fd
        rest = memoryview(content)
        while rest:
            rest = rest[self._kernel.write(fd, rest) :]
        self._kernel.begin_writing(fd, 0, len(content))

    def sync(self) -> None:
        """Waits until the bytes of all are on the disk. No file is placed before."""
        for _, fd in self._made.values():
            self._kernel.fsync(fd)

    def place(self, name: str, *, replace: bool) -> None:
        """Puts a file in its place in one step, as ``NewFile.place``; its name is durable once the folder is."""
        unfinished, _ = self._made[name]
        if replace:
            self._folder.has_file(self._above, (*self._parts, name))  # raises for what may not be replaced
            self._kernel.rename(unfinished, self._above, name, self._above)
        else:
            self._kernel.link(unfinished, self._above, name, self._above)

    def __enter__(self) -> Self:
        sweep(self._folder, self._parts, self._above)
        return self

    def __exit__(self, *raised: object) -> None:
        """A linked file has its unfinished name still, a renamed one none. What cannot be removed is swept another day."""
        for unfinished, fd in self._made.values():
            with suppress(OSError):
                self._kernel.close(fd)
            with suppress(OSError):
                self._kernel.unlink(unfinished, dir_fd=self._above)


def write_together(
    folder: ConfinedFolder, parts: Parts, contents: Mapping[str, bytes], *, replace: bool
) -> int:
    """Puts files into the folder at ``parts``, by name, until the kernel refuses something, and answers how many, in their order.
    Those are durable. Raises typed errors as ``LocalFolder.place``, and OSError when the disk does not keep their names."""
    placed = 0
    try:
        with folder.directory(parts, create=True) as above:
            with suppress(OSError), NewFiles(folder, parts, above) as files:
                for name, content in contents.items():
                    files.make(name, content)
                files.sync()
                for name in contents:
                    files.place(name, replace=replace)
                    placed += 1
            folder.kernel.fsync(above)
    except OSError:
        if placed:
            raise
    return placed
