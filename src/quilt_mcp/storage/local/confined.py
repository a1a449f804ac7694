"""Files strictly below one folder, reached by directory descriptors.

A path below the root is a tuple of names. Each folder on the way is opened relative to the descriptor of the one before
it, without following symbolic links, so neither a crafted name nor a link that appears in mid-call leads outside.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Literal, TypeVar

from quilt_mcp.errors import (
    InvalidName,
    NotAFile,
    NotFound,
    NotSupported,
    OutsideRoots,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.storage.errors import storage_error, typed_errors
from quilt_mcp.storage.local.credentials import CredentialPlaces, refusal
from quilt_mcp.storage.local.syscalls import KERNEL, Syscalls

Parts = tuple[str, ...]
Kind = Literal["file", "folder", "link", "special", "closed"]
T = TypeVar("T")
TEMP_PREFIX = ".quilt-mcp-tmp-"
"""Names of unfinished files begin so: no listing shows them and no key may use them."""

EVERYWHERE = CredentialPlaces()
_NOT_A_FOLDER = {errno.ENOTDIR, errno.ELOOP, errno.EMLINK}
_SYNCED_KEPT = 65_536
_SOME = 256


@dataclass(frozen=True, slots=True)
class Child:
    """A name in a folder. ``link``: a symbolic link; ``special``: a pipe, socket or device; ``closed``: of whatever kind, a place
    of credentials."""

    name: str
    kind: Kind

    @property
    def path(self) -> str:
        """The name, with a '/' at the end of a folder's."""
        return f"{self.name}/" if self.kind == "folder" else self.name


def can_be_path(text: str) -> bool:
    """Whether the kernel takes a text for a path: without NUL, and without half of a surrogate pair."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def split_key(key: str) -> Parts:
    """The names of a key. Raises InvalidName for what no file below a root can be called."""
    parts = tuple(key.split("/"))
    problem = ""
    if not key:
        problem = "is empty"
    elif not can_be_path(key):
        problem = "has a NUL character or half of a surrogate pair in it"
    elif any(part in ("", ".", "..") for part in parts):
        problem = "has an empty part, '.' or '..' between its slashes"
    elif any(part.startswith(TEMP_PREFIX) for part in parts):
        problem = f"uses the name {TEMP_PREFIX}*, which is kept for unfinished files"
    if problem:
        raise InvalidName(
            f"The key {key!r} {problem}.",
            next_step="Use a relative key such as 'folder/file.csv'.",
            details={"key": ascii(key)},
        )
    return parts


def walk(top: Parts, children: Callable[[Parts], Iterable[Child]]) -> Iterator[tuple[Parts, list[Child]]]:
    """Everything below ``top`` but folders, depth first: a folder, and some neighbours in it. ``children`` lists a folder in the
    order wanted; the folders that it brings are entered. Holds nothing open, and no stack grows with the depth."""

    def singly() -> Iterator[tuple[Parts, Child]]:
        entered = [(top, iter(children(top)))]
        while entered:
            folder, rest = entered[-1]
            child = next(rest, None)
            if child is None:
                entered.pop()
            elif child.kind == "folder":
                deeper = (*folder, child.name)
                entered.append((deeper, iter(children(deeper))))
            else:
                yield folder, child

    for folder, neighbours in groupby(singly(), key=itemgetter(0)):
        while some := [child for _, child in islice(neighbours, _SOME)]:
            yield folder, some


class ConfinedFolder:
    """One folder, resolved once, and what lies below it. Methods block. Those that read raise typed errors only; those that
    write raise OSError for what the kernel refuses, and typed errors for links, special files and a missing root."""

    def __init__(
        self,
        root: Path,
        *,
        missing: type[NotFound],
        no_root: type[NotFound] | None = None,
        kernel: Syscalls = KERNEL,
        create: bool = False,
        closed: CredentialPlaces = EVERYWHERE,
    ) -> None:
        """``missing`` is raised for what is not there; ``no_root`` (default: the same) for a root that is no folder, or is not
        there and is not to be made. ``create`` lets a write make it. ``closed``: what is neither opened nor written. Raises
        CredentialPlace for a root in one, NotSupported on Windows."""
        if not hasattr(os, "O_DIRECTORY"):
            raise NotSupported(
                "Local folders are used on Linux and macOS only.",
                next_step="Use a registry in a bucket (s3://...), or run this server in WSL.",
            )
        self.root = Path(os.path.realpath(root))
        self.kernel = kernel
        self.missing = missing
        self._no_root = no_root or missing
        self._create = create
        self._closed = closed
        closed.require_outside(self.root)
        self._seen = False
        self._synced: set[tuple[int, int]] = set()
        self.swept: set[Parts] = set()
        """Folders in which dead writers' files were looked for."""

    def typed(self, parts: Parts) -> AbstractContextManager[None]:
        """Lets no OSError out of the block."""
        subject = repr("/".join(parts)) if parts else "The folder"
        return typed_errors(subject, str(self.root), missing=self.missing)

    # -- folders --

    def open_root(self, *, create: bool = False) -> int:
        seen = self._seen  # before looking: a neighbour may make the root between the look and the question
        try:
            if create and self._create and not seen:
                self._make_root()
            fd = self.kernel.open_folder(str(self.root))
        except OSError as error:
            raise self._root_error(error, seen=seen) from error
        self._seen = True
        return fd

    @contextmanager
    def directory(self, parts: Parts, *, create: bool = False) -> Generator[int]:
        """A descriptor of the folder at ``parts``, open for the length of the block. With ``create`` missing folders are
        made, and made durable, and NotADirectoryError is raised for a file on the way, which else is FileNotFoundError.
        Raises OutsideRoots for a link on the way, CredentialPlace, NotAFile for a pipe."""
        self.require_open(parts)
        fd = self.open_root(create=create)
        try:
            for depth in range(1, len(parts) + 1):
                above = fd
                fd, is_new = self._enter(above, parts[:depth], create=create)
                with self.closing(above):
                    if create:
                        self._sync_name(above, fd, is_new=is_new)
            yield fd
        finally:
            self.kernel.close(fd)

    def children(self, parts: Parts) -> Iterator[Child]:
        """What is in the folder, in no order; nothing for a folder that is missing. Unfinished files are left out."""
        folder = self.absolute(parts)
        with suppress(self.missing), self.typed(parts), self.directory(parts) as fd, os.scandir(fd) as found:
            for item in found:
                if not item.name.startswith(TEMP_PREFIX):
                    is_closed = self._closed.holds(folder, item.name)
                    yield Child(item.name, "closed" if is_closed else _kind(item))

    def remove_empty(self, parts: Parts) -> None:
        """Removes the folder at ``parts`` and those above it, as long as they are empty and nobody else does."""
        with suppress(OSError):
            for depth in range(len(parts), 0, -1):
                with self.directory(parts[: depth - 1]) as above:
                    self.kernel.rmdir(parts[depth - 1], dir_fd=above)
                    self._synced.clear()  # another process may make a folder of the same inode number

    # -- files --

    def open_file(self, parts: Parts) -> int:
        """A read-only descriptor of a regular file; never waits for a pipe. Raises ``missing``, NotAFile for a folder or anything
        special, OutsideRoots for a link, CredentialPlace. The caller closes it."""
        self.require_open(parts)
        with self.typed(parts), self.directory(parts[:-1]) as above:
            return self._open_regular(above, parts)

    @contextmanager
    def files_in(self, parts: Parts) -> Generator[Callable[[str], int]]:
        """For the length of the block, opens files of the folder at ``parts`` by name, without going through its path again.
        Raises as ``open_file``, and InvalidName for what is not a single name."""

        def open_file(name: str) -> int:
            here = (*parts, *split_key(name))
            if len(here) != len(parts) + 1:
                raise InvalidName(
                    f"{name!r} is not the name of a file in one folder.",
                    next_step="Open it by its whole key.",
                )
            self.require_open(here)
            with self.typed(here):
                return self._open_regular(above, here)

        with ExitStack() as held:
            with self.typed(parts):
                above = held.enter_context(self.directory(parts))
            yield open_file

    def look_at(
        self,
        parts: Parts,
        files: Iterable[Child],
        look: Callable[[str, int], T],
        refused: dict[str, QuiltError] | None = None,
    ) -> dict[str, T]:
        """By name, what ``look`` says of the names and descriptors of some files in one folder. Those that are no longer regular
        files are left out. ``refused`` takes those that may not be read, by name; without it PermissionDenied is raised."""
        seen: dict[str, T] = {}
        with suppress(self.missing), self.typed(parts), self.directory(parts) as above:
            for file in files:
                here = (*parts, file.name)
                try:
                    with (
                        suppress(self.missing, OutsideRoots, NotAFile),
                        self.typed(here),
                        self.closing(self._open_regular(above, here)) as fd,
                    ):
                        seen[file.name] = look(file.name, fd)
                except QuiltError as error:
                    if refused is None:
                        raise
                    refused[file.name] = error
        return seen

    def has_file(self, above: int, parts: Parts) -> bool:
        """Whether a regular file stands at the last name of ``parts`` in the open folder ``above``. Raises OutsideRoots for a
        link there, NotAFile for a pipe, socket or device, IsADirectoryError."""
        with suppress(FileNotFoundError):
            self._require_regular(os.stat(parts[-1], dir_fd=above, follow_symlinks=False), parts)
            return True
        return False

    def absolute(self, parts: Parts) -> str:
        return "/".join((str(self.root).rstrip("/"), *parts))

    def require_open(self, parts: Parts) -> None:
        """Raises CredentialPlace for one and what lies in it, be it there or not. Asks nothing of the disk."""
        for depth, name in enumerate(parts):
            if self._closed.holds(self.absolute(parts[:depth]), name):
                raise refusal(self.absolute(parts), self.absolute(parts[: depth + 1]))

    @contextmanager
    def closing(self, fd: int) -> Generator[int]:
        try:
            yield fd
        finally:
            self.kernel.close(fd)

    # -- inside --

    def _enter(self, above: int, parts: Parts, *, create: bool) -> tuple[int, bool]:
        """The folder's descriptor, and whether it was made here."""
        name, is_new = parts[-1], False
        while True:
            try:
                return self.kernel.open_folder(name, dir_fd=above), is_new
            except OSError as error:
                if error.errno in _NOT_A_FOLDER and self.has_file(above, parts) and not create:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
                if error.errno != errno.ENOENT or not create or is_new:
                    raise
            with suppress(FileExistsError):
                self.kernel.mkdir(name, dir_fd=above)
                is_new = True

    def _open_regular(self, above: int, parts: Parts) -> int:
        try:
            fd = self.kernel.open_file(parts[-1], dir_fd=above)
        except OSError:
            self.has_file(above, parts)  # raises for what else stands there
            raise
        try:
            self._require_regular(os.fstat(fd), parts)
        except BaseException:
            self.kernel.close(fd)
            raise
        return fd

    def _require_regular(self, found: os.stat_result, parts: Parts) -> None:
        path = "/".join(parts)
        if modes.S_ISLNK(found.st_mode):
            raise OutsideRoots(
                f"{path!r} in {self.root} is a symbolic link, or a folder that became one; links are not followed here.",
                next_step="Name the file that the link points to, or replace the link by the file itself.",
                details={"folder": str(self.root), "link": ascii(path)},
            )
        if modes.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not modes.S_ISREG(found.st_mode):
            raise NotAFile(
                f"{path!r} in {self.root} is a pipe, socket or device, not a file.",
                next_step="Name a regular file; object_list shows those that can be read.",
                details={"folder": str(self.root), "path": ascii(path)},
            )

    def _sync_name(self, above: int, child: int, *, is_new: bool) -> None:
        """Makes the name of ``child`` durable in ``above``: another process may have made it and not yet done so.
        Once for each folder of a process, but always for a new one: it may have the inode number of one that is gone."""
        found = os.fstat(child)
        identity = found.st_dev, found.st_ino
        if is_new or identity not in self._synced:
            self.kernel.fsync(above)
            if len(self._synced) >= _SYNCED_KEPT:
                self._synced.clear()
            self._synced.add(identity)

    def _make_root(self) -> None:
        missing = [folder for folder in (self.root, *self.root.parents) if not folder.exists()]
        for folder in reversed(missing):
            with suppress(FileExistsError):
                self.kernel.mkdir(str(folder))
            with self.closing(self.kernel.open_folder(str(folder.parent))) as above:
                self.kernel.fsync(above)

    def _root_error(self, error: OSError, *, seen: bool) -> Exception:
        details = {"folder": str(self.root), "exists": error.errno != errno.ENOENT}
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
            kind = self.missing if self._create else self._no_root
            message, next_step = f"The folder {self.root} does not exist.", "Check the path"
        elif error.errno in _NOT_A_FOLDER:
            kind = self._no_root
            message, next_step = f"{self.root} is not a folder.", "Name the folder that holds it"
        else:
            return storage_error(error, "The folder", str(self.root), missing=self.missing)
        return kind(
            message, next_step=f"{next_step}; registry_list shows the registries in reach.", details=details
        )


def _kind(item: os.DirEntry[str]) -> Kind:
    if item.is_symlink():
        return "link"
    if item.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if item.is_file(follow_symlinks=False) else "special"
