"""Files strictly below one folder, reached by directory descriptors.

A path below the root is a tuple of names. Each folder on the way is opened relative to the descriptor of the one before
it, without following symbolic links, so neither a crafted name nor a link that appears in mid-call leads outside.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from quilt_mcp.errors import (
    InvalidName,
    NotAFile,
    NotFound,
    OutsideRoots,
    RegistryNotFound,
    StorageUnavailable,
)
from quilt_mcp.storage.local.errors import storage_error
from quilt_mcp.storage.local.syscalls import KERNEL, Syscalls

Parts = tuple[str, ...]
TEMP_PREFIX = ".quilt-mcp-tmp-"
"""Names of unfinished files begin so: no listing shows them and no key may use them."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NOT_A_FOLDER = {errno.ENOTDIR, errno.ELOOP, errno.EMLINK}
_SYNCED_KEPT = 65_536


@dataclass(frozen=True, slots=True)
class Child:
    """A name in a folder. ``link``: a symbolic link; ``special``: a pipe, socket or device."""

    name: str
    kind: Literal["file", "folder", "link", "special"]


def split_key(key: str) -> Parts:
    """The names of a key. Raises InvalidName for what no file below a root can be called."""
    parts = tuple(key.split("/"))
    problem = ""
    if not key:
        problem = "is empty"
    elif "\0" in key:
        problem = "has a NUL character in it"
    elif any(part in ("", ".", "..") for part in parts):
        problem = "has an empty part, '.' or '..' between its slashes"
    elif any(part.startswith(TEMP_PREFIX) for part in parts):
        problem = f"uses the name {TEMP_PREFIX}*, which is kept for unfinished files"
    else:
        try:
            os.fsencode(key)
        except UnicodeEncodeError:
            problem = "has characters that no file name can hold (a lone surrogate)"
    if problem:
        raise InvalidName(
            f"The key {key!r} {problem}.",
            next_step="Use a relative key such as 'folder/file.csv'.",
            details={"key": ascii(key)},
        )
    return parts


class ConfinedFolder:
    """One folder, resolved once, and what lies below it. Methods block, and raise OSError for what the kernel refuses
    and typed errors for what this class refuses (links, special files, a missing root)."""

    def __init__(
        self,
        root: Path,
        *,
        kernel: Syscalls = KERNEL,
        missing: type[NotFound] = RegistryNotFound,
        misplaced: type[NotFound] | None = None,
        create: bool = False,
    ) -> None:
        """``missing`` is raised when the root is not there, ``misplaced`` (default: the same) when it is no folder.
        ``create`` lets a write make it."""
        self.root = Path(os.path.realpath(root))
        self.kernel = kernel
        self._missing = missing
        self._misplaced = misplaced or missing
        self._create = create
        self._seen = False
        self._synced: set[tuple[int, int]] = set()

    # -- folders --

    def open_root(self, *, create: bool = False) -> int:
        seen = self._seen  # before looking: a neighbour may make the root between the look and the question
        try:
            try:
                fd = self.kernel.open(str(self.root), _FOLDER)
            except FileNotFoundError:
                if not (create and self._create) or seen:
                    raise
                self._make_root()
                fd = self.kernel.open(str(self.root), _FOLDER)
        except OSError as error:
            raise self._root_error(error, seen=seen) from error
        self._seen = True
        return fd

    def exists(self) -> bool:
        try:
            self.kernel.close(self.open_root())
        except NotFound:
            return False
        return True

    @contextmanager
    def directory(self, parts: Parts, *, create: bool = False) -> Generator[int]:
        """A descriptor of the folder at ``parts``, open for the length of the block. With ``create`` missing folders are
        made, and made durable. Raises FileNotFoundError, NotADirectoryError, OutsideRoots for a link on the way."""
        fd = self.open_root(create=create)
        try:
            for depth in range(1, len(parts) + 1):
                child, is_new = self._open_child(fd, parts[:depth], create=create)
                above, fd = fd, child
                try:
                    if create:
                        self._sync_entry(above, child, is_new=is_new)
                finally:
                    self.kernel.close(above)
            yield fd
        finally:
            self.kernel.close(fd)

    def children(self, parts: Parts) -> Iterator[Child]:
        """What is in the folder, in no order; nothing for a folder that is missing. Unfinished files are left out."""
        try:
            with self.directory(parts) as fd, os.scandir(fd) as found:
                for item in found:
                    if item.name.startswith(TEMP_PREFIX):
                        continue
                    if item.is_symlink():
                        yield Child(item.name, "link")
                    elif item.is_dir(follow_symlinks=False):
                        yield Child(item.name, "folder")
                    elif item.is_file(follow_symlinks=False):
                        yield Child(item.name, "file")
                    else:
                        yield Child(item.name, "special")
        except (FileNotFoundError, NotADirectoryError):
            return

    def prune(self, parts: Parts) -> None:
        """Removes the folder at ``parts`` and those above it, as long as they are empty."""
        for depth in range(len(parts), 0, -1):
            try:
                with self.directory(parts[: depth - 1]) as above:
                    name = parts[depth - 1]
                    identity = _identity(os.stat(name, dir_fd=above, follow_symlinks=False))
                    self.kernel.rmdir(name, dir_fd=above)
                    self._synced.discard(identity)
                    self.kernel.fsync(above)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                    return
                raise

    # -- files --

    def open_file(self, parts: Parts) -> int:
        """A read-only descriptor of a regular file; never waits for a pipe. Raises FileNotFoundError,
        IsADirectoryError, OutsideRoots for a link, NotAFile for anything special. The caller closes it."""
        with self.files_in(parts[:-1]) as open_file:
            return open_file(parts[-1])

    @contextmanager
    def files_in(self, parts: Parts) -> Generator[Callable[[str], int]]:
        """For the length of the block, opens files of the folder at ``parts`` by name, without going through its path again.
        Raises as ``open_file``."""
        try:
            with self.directory(parts) as above:
                yield lambda name: self._open_regular(above, (*parts, name))
        except NotADirectoryError as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error

    def sizes(self, parts: Parts, names: Iterable[str]) -> dict[str, int]:
        """Sizes in bytes of the regular files of these names in one folder; what else stands there, or is gone, is left out.
        Raises PermissionError for a file that may not be read."""
        found: dict[str, int] = {}
        with suppress(FileNotFoundError), self.files_in(parts) as open_file:
            for name in names:
                with suppress(FileNotFoundError, OutsideRoots, NotAFile, IsADirectoryError):
                    fd = open_file(name)
                    try:
                        found[name] = os.fstat(fd).st_size
                    finally:
                        self.kernel.close(fd)
        return found

    def entry(self, above: int, parts: Parts) -> os.stat_result | None:
        """The regular file that stands at the last name of ``parts`` in the open folder ``above``, None when nothing
        does. Raises as ``open_file`` for anything else."""
        try:
            found = os.stat(parts[-1], dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if modes.S_ISLNK(found.st_mode):
            raise self.link_error(parts)
        self._require_regular(found, parts)
        return found

    def link_error(self, parts: Parts) -> OutsideRoots:
        path = "/".join(parts)
        return OutsideRoots(
            f"{path!r} in {self.root} is a symbolic link, or a folder that became one; links are not followed here.",
            next_step="Name the file that the link points to, or replace the link by the file itself.",
            details={"folder": str(self.root), "link": ascii(path)},
        )

    # -- inside --

    def _open_child(self, above: int, parts: Parts, *, create: bool) -> tuple[int, bool]:
        """The folder's descriptor, and whether it was made here."""
        name = parts[-1]
        is_new = False
        while True:
            try:
                return self.kernel.open(name, _FOLDER, dir_fd=above), is_new
            except OSError as error:
                if error.errno in _NOT_A_FOLDER and self._is_link(above, name):
                    raise self.link_error(parts) from error
                if error.errno != errno.ENOENT or not create or is_new:
                    raise
            try:
                self.kernel.mkdir(name, dir_fd=above)
                is_new = True
            except FileExistsError:
                continue

    def _open_regular(self, above: int, parts: Parts) -> int:
        try:
            fd = self.kernel.open(parts[-1], _FILE, dir_fd=above)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK):
                raise self.link_error(parts) from error
            if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):
                raise self._special_error(parts) from error
            raise
        try:
            self._require_regular(os.fstat(fd), parts)
        except BaseException:
            self.kernel.close(fd)
            raise
        return fd

    def _require_regular(self, found: os.stat_result, parts: Parts) -> None:
        if modes.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not modes.S_ISREG(found.st_mode):
            raise self._special_error(parts)

    def _special_error(self, parts: Parts) -> NotAFile:
        path = "/".join(parts)
        return NotAFile(
            f"{path!r} in {self.root} is a pipe, socket or device, not a file.",
            next_step="Name a regular file; object_list shows those that can be read.",
            details={"folder": str(self.root), "path": ascii(path)},
        )

    def _is_link(self, above: int, name: str) -> bool:
        try:
            return modes.S_ISLNK(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def _sync_entry(self, above: int, child: int, *, is_new: bool) -> None:
        """Makes the name of ``child`` durable in ``above``: another process may have made it and not yet done so.
        Once for each folder of a process, but always for a new one: it may have the inode number of one that is gone."""
        identity = _identity(os.fstat(child))
        if identity in self._synced and not is_new:
            return
        self.kernel.fsync(above)
        if len(self._synced) >= _SYNCED_KEPT:
            self._synced.clear()
        self._synced.add(identity)

    def _make_root(self) -> None:
        missing = [self.root]
        while not missing[-1].parent.exists():
            missing.append(missing[-1].parent)
        for folder in reversed(missing):
            try:
                self.kernel.mkdir(str(folder))
            except FileExistsError:
                continue
            except OSError as error:
                raise storage_error(error, "The registry folder", str(self.root)) from error
            above = self.kernel.open(str(folder.parent), os.O_RDONLY | os.O_DIRECTORY)
            try:
                self.kernel.fsync(above)
            finally:
                self.kernel.close(above)

    def _root_error(self, error: OSError, *, seen: bool) -> Exception:
        details = {"folder": str(self.root)}
        if error.errno == errno.ENOENT and seen and self._create:
            # What was written before is gone, so what goes on writing would refer to nothing. The next call starts anew.
            self._seen = False
            self._synced.clear()
            return StorageUnavailable(
                f"The folder {self.root} was removed while it was in use.",
                next_step="Put it back, or make the same call again to start with an empty one.",
                details=details,
            )
        if error.errno == errno.ENOENT:
            return self._missing(
                f"The folder {self.root} does not exist.",
                next_step="Check the path; bucket_list shows the registries in reach.",
                details=details,
            )
        if error.errno in _NOT_A_FOLDER:
            return self._misplaced(
                f"{self.root} is not a folder.",
                next_step="Name the folder that holds it; bucket_list shows the registries in reach.",
                details={**details, "exists": True},
            )
        return storage_error(error, "The folder", str(self.root), missing=self._missing)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
