"""A folder of the user's own: where sources are read from, and where packages are installed to.

Reading never leaves the roots, and writing never leaves the folder: both by directory descriptors. Methods block (call
them in a worker thread) and raise typed errors only.

    folder = LocalFolder(Path("/data"), roots=[Path("/data"), Path("/shared")])
    for found in folder.scan("incoming"):
        fd = folder.open_file("incoming/" + found.relative)

    with folder.new_file("out/table.csv") as file:      # invisible until placed
        file.write(b"...")                              # or file.copy_from(fd, size); hash file.fd before placing
        folder.place(file, "out/table.csv", replace=False)
"""

from __future__ import annotations

import os
import re
import stat as modes
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from fnmatch import translate
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.glob import Glob
from quilt_mcp.domain.names import encodable
from quilt_mcp.errors import (
    AlreadyExists,
    CredentialPlace,
    InvalidName,
    OutsideRoots,
    QuiltError,
    SourceNotFound,
)
from quilt_mcp.storage.local.confined import EVERYWHERE, Child, ConfinedFolder, Kind, Parts, split_key, walk
from quilt_mcp.storage.local.credentials import CredentialPlaces
from quilt_mcp.storage.local.new_file import NewFile
from quilt_mcp.storage.local.new_files import write_together
from quilt_mcp.storage.local.syscalls import KERNEL, Syscalls
from quilt_mcp.storage.local.widening import may_be_opened
from quilt_mcp.storage.store import Found

IGNORE_FILE = ".quiltignore"
_IGNORE_SIZE = 1 << 20
_MAY_BE_FOLDERS = {"folder", "closed"}
_Choice = Callable[[Parts, Child], bool]


class LocalFolder:
    """One folder. ``roots``: the folders that a symbolic link to a file may lead into (the folder itself always is one).
    ``checkpoint`` is called in each folder that is gone through and between some files, and may raise."""

    def __init__(
        self,
        root: Path,
        *,
        roots: Sequence[Path] = (),
        kernel: Syscalls = KERNEL,
        checkpoint: Callable[[], None] = lambda: None,
        closed: CredentialPlaces = EVERYWHERE,
    ) -> None:
        self._checkpoint = checkpoint
        self._folder = ConfinedFolder(root, missing=SourceNotFound, kernel=kernel, create=True, closed=closed)
        self._closed = closed
        self.root = self._folder.root
        self._roots = (self.root, *(Path(os.path.realpath(other)) for other in roots))

    # -- reading --

    def scan(
        self,
        relative: str = "",
        *,
        passed_over: list[str] | None = None,
        closed: list[str] | None = None,
    ) -> Iterator[Found]:
        """Every file below ``relative`` ('' is the folder itself) in walk order, chosen as quilt3's ``set_dir`` chooses:
        hidden files too; folders that are links are not entered; broken links, pipes and devices are passed over; rules
        of a ``.quiltignore`` in the scanned folder apply (``ignore``). ``passed_over`` collects a sentence on each thing
        passed over that no rule asked for, ``closed`` the paths of places of credentials, which are left out, links to them
        included.

        Raises SourceNotFound when ``relative`` is no folder. What cannot be taken comes with its ``fault``: OutsideRoots for a
        link to a file outside the roots, PermissionDenied, InvalidName for a name that is not UTF-8 (no logical key can
        hold it).
        """
        self.require(relative)
        base = _parts(relative)
        ignored = re.compile("|".join(map(translate, self._rules(base))) or "(?!)")

        def takes(parts: Parts, child: Child) -> bool:
            """quilt3's rule: a pattern covers the whole absolute path, and '*' crosses slashes; a folder is matched with and
            without a slash at its end."""
            path = self._folder.absolute(parts)
            return not (ignored.match(path) or (child.kind in _MAY_BE_FOLDERS and ignored.match(f"{path}/")))

        return self._files(base, takes, passed_over, closed)

    def everything(
        self, relative: str, *, refused: list[tuple[str, QuiltError]]
    ) -> Iterator[tuple[str, Kind]]:
        """The path and kind of everything below ``relative`` but folders, in walk order. Only folders are opened and no link is
        followed, so no odd file ends it; ``refused`` collects the folders that cannot be listed. A name that is not UTF-8
        comes as Python spells it."""
        base = _parts(relative)

        def children(folder: Parts) -> list[Child]:
            self._checkpoint()
            try:
                return sorted(self._folder.children(folder), key=attrgetter("name"))
            except QuiltError as error:
                refused.append(("/".join(folder[len(base) :]), error))
                return []

        for folder, run in walk(base, children):
            self._checkpoint()
            for child in run:
                yield "/".join((*folder[len(base) :], child.name)), child.kind

    def glob(self, pattern: str, *, below: str = "", closed: list[str] | None = None) -> Iterator[Found]:
        """Files below a folder that match a ``Glob``, in walk order. ``relative`` is below that folder, as ``pattern`` is.
        ``closed`` and faults: as ``scan``."""
        split_key(pattern)  # no glob leads out either
        base = _parts(below)
        glob = Glob(pattern)

        def takes(parts: Parts, child: Child) -> bool:
            path = "/".join(parts[len(base) :])
            may_hold = child.kind in _MAY_BE_FOLDERS and glob.may_hold(path)
            return may_hold or (child.kind != "folder" and glob.matches(path))

        return self._files(base, takes, None, closed)

    def require(self, relative: str = "") -> None:
        """Raises SourceNotFound when ``relative`` is no folder, OutsideRoots when a link leads there."""
        base = _parts(relative)
        with self._folder.typed(base), self._folder.directory(base):
            pass

    def stat(self, relative: str) -> Found:
        """Raises SourceNotFound, NotAFile for a folder, OutsideRoots."""
        with self._folder.closing(self.open_file(relative)) as fd:
            real = PhysicalKey(None, str(self._real(split_key(relative))))
            found = os.fstat(fd)
            return Found(relative, real, found.st_size, is_private=_is_private(found))

    def is_folder(self, relative: str) -> bool:
        with suppress(SourceNotFound):
            self.require(relative)
            return True
        return False

    def open_file(self, relative: str) -> int:
        """A read-only descriptor; the caller closes it. A link is followed only to a file inside the roots, and that
        file is then opened without following any. Raises as ``stat``."""
        parts = split_key(relative)
        try:
            return self._folder.open_file(parts)
        except OutsideRoots:
            target = self._real(parts)
            for root in self._roots:
                if target.is_relative_to(root) and target != root:
                    inside = ConfinedFolder(
                        root, missing=SourceNotFound, kernel=self._folder.kernel, closed=self._closed
                    )
                    return inside.open_file(target.relative_to(root).parts)
            raise OutsideRoots(
                f"{relative!r} in {self.root} is a symbolic link to {target}, outside the folders this server may read.",
                next_step=f"Start the server with --root {target.parent}, or replace the link by the file itself."
                if may_be_opened(target.parent)
                else "Replace the link by the file itself.",
                details={"folder": str(self.root), "link": ascii(relative), "target": str(target)},
            ) from None

    @contextmanager
    def files_in(self, relative: str) -> Generator[Callable[[str], int]]:
        """For the length of the block, ``open_file`` for files of one folder by name, whose path is gone through once."""
        with self._folder.files_in(_parts(relative)) as open_name:

            def open_file(name: str) -> int:
                try:
                    return open_name(name)
                except OutsideRoots:
                    return self.open_file(f"{relative}/{name}".lstrip("/"))

            yield open_file

    def names(self, relative: str = "") -> list[str]:
        """What is in a folder, sorted, folders with a '/' at the end: for suggestions. Empty where there is no such folder."""
        return sorted(child.path for child in self._folder.children(_parts(relative)))

    # -- writing --

    def new_file(self, relative: str) -> NewFile:
        """A file in the making beside its place (a context manager; missing folders are made). See ``place``."""
        return NewFile(self._folder, split_key(relative)[:-1])

    def place(self, file: NewFile, relative: str, *, replace: bool = False) -> None:
        """Puts a whole file at ``relative``, durably and in one step. Raises AlreadyExists when something is there and
        ``replace`` was not asked for, NotAFile for a folder or device there, OutsideRoots for a link there.

        Where the file system has no hard links, a file that another program puts there in the same moment may be replaced.
        """
        parts = split_key(relative)
        with self._folder.typed(parts):
            try:
                file.place(parts, replace=replace)
            except FileExistsError as error:
                raise AlreadyExists(
                    f"{relative!r} already exists in {self.root}.",
                    next_step="Make the same call with overwrite=true to replace it, or choose another folder.",
                    details={"folder": str(self.root), "path": ascii(relative)},
                ) from error

    def write_file(self, relative: str, content: bytes, *, replace: bool = False) -> None:
        """Small content in one call; see ``place``."""
        with self.typed_errors(relative), self.new_file(relative) as file:
            file.write(content)
            self.place(file, relative, replace=replace)

    def write_files(self, contents: Mapping[str, bytes], *, replace: bool = False) -> None:
        """Small files by path, each put there as by ``write_file``, in their order; of those before one that is refused, some may
        stay. Durable when it returns: waits for the disk once for neighbours in a folder, not twice for each."""
        for above, neighbours in groupby(map(split_key, contents), lambda parts: parts[:-1]):
            files = {parts[-1]: contents["/".join(parts)] for parts in neighbours}
            with self._folder.typed(above):
                placed = write_together(self._folder, above, files, replace=replace)
            for name in islice(files, placed, None):  # the first of which tells by itself what is in its way
                self.write_file("/".join((*above, name)), files[name], replace=replace)

    def typed_errors(self, relative: str) -> AbstractContextManager[None]:
        """Around blocks that use a NewFile directly: lets no OSError out."""
        return self._folder.typed(split_key(relative))

    # -- inside --

    def _files(
        self, base: Parts, takes: _Choice, passed_over: list[str] | None, closed: list[str] | None
    ) -> Iterator[Found]:
        """Holds nothing open between two files. What cannot be taken comes with its ``fault``, folders last."""
        passed_over = [] if passed_over is None else passed_over
        closed = [] if closed is None else closed
        unlisted: list[tuple[Parts, QuiltError]] = []

        def children(folder: Parts) -> list[Child]:
            self._checkpoint()
            try:
                found = [*self._folder.children(folder)]
            except QuiltError as error:
                if folder == base:
                    raise
                unlisted.append((folder, error))
                return []
            return sorted((one for one in found if takes((*folder, one.name), one)), key=attrgetter("name"))

        for folder, run in walk(base, children):
            self._checkpoint()
            files = (child for child in run if child.kind == "file")
            refused: dict[str, QuiltError] = {}
            stats = self._folder.look_at(folder, files, lambda _, fd: os.fstat(fd), refused)
            for child in run:
                parts = (*folder, child.name)
                path, relative = self._folder.absolute(parts), "/".join(parts[len(base) :])
                if child.kind == "closed":
                    closed.append(path)
                elif (found := stats.get(child.name)) is not None:
                    key = PhysicalKey(None, path)
                    yield Found(relative, key, found.st_size, self._fault(relative), _is_private(found))
                elif child.name in refused:
                    yield Found(relative, PhysicalKey(None, path), 0, refused[child.name])
                elif os.path.isfile(path):
                    try:
                        yield self._linked(parts, relative)
                    except SourceNotFound:
                        pass  # gone meanwhile
                    except CredentialPlace:
                        closed.append(path)
                elif child.kind == "special":
                    passed_over.append(f"{path} is a pipe, socket or device")
                elif child.kind == "link":
                    kind = "link to a folder" if os.path.isdir(path) else "broken link"
                    passed_over.append(f"{path} is a {kind}")
        for folder, error in unlisted:
            relative = "/".join(folder[len(base) :])
            yield Found(f"{relative}/", PhysicalKey(None, self._folder.absolute(folder)), 0, error)

    def _linked(self, parts: Parts, relative: str) -> Found:
        """The file that a link leads to. Raises SourceNotFound, CredentialPlace."""
        try:
            found = self.stat("/".join(parts))
            return replace(found, relative=relative, fault=self._fault(relative))
        except (SourceNotFound, CredentialPlace):
            raise
        except QuiltError as error:
            return Found(relative, PhysicalKey(None, self._folder.absolute(parts)), 0, error)

    def _fault(self, relative: str) -> InvalidName | None:
        if encodable(relative):
            return None
        return InvalidName(
            f"The file {relative!a} in {self.root} has a name that is not UTF-8; a logical key cannot hold it.",
            next_step="Rename the file, or list it in a .quiltignore file of the folder.",
            details={"folder": str(self.root), "path": ascii(relative)},
        )

    def _rules(self, base: Parts) -> tuple[str, ...]:
        try:
            fd = self.open_file("/".join((*base, IGNORE_FILE)))
        except SourceNotFound:
            return ()
        try:
            with self._folder.typed(base), os.fdopen(fd, encoding="utf-8") as file:
                lines = file.read(_IGNORE_SIZE).split("\n")
        except UnicodeDecodeError as error:
            raise InvalidName(
                f"{self._folder.absolute((*base, IGNORE_FILE))} is not UTF-8 text.",
                next_step="Save it as UTF-8, one pattern a line, then make the same call again.",
            ) from error
        return tuple("*/" + line for line in lines if line)

    def _real(self, parts: Parts) -> Path:
        return Path(os.path.realpath(self._folder.absolute(parts)))


def _parts(relative: str) -> Parts:
    """The names of a folder's path; '' is the folder itself."""
    return split_key(relative) if relative else ()


def _is_private(found: os.stat_result) -> bool:
    return not found.st_mode & (modes.S_IRGRP | modes.S_IROTH)
