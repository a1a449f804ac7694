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

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from quilt_mcp.domain.glob import Glob
from quilt_mcp.errors import AlreadyExists, InvalidName, OutsideRoots, SourceNotFound
from quilt_mcp.storage.local.confined import Child, ConfinedFolder, Parts, split_key
from quilt_mcp.storage.local.errors import storage_error, typed_errors
from quilt_mcp.storage.local.new_file import NewFile, sweep
from quilt_mcp.storage.local.syscalls import KERNEL, Syscalls

IGNORE_FILE = ".quiltignore"
_IGNORE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be read. ``relative`` is its '/'-separated path below the folder scanned (or globbed); ``path`` is
    where its bytes really lie: absolute, and with a symbolic link resolved, as quilt3's physical keys are."""

    relative: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which files a walk takes. ``rules``: quilt3's ignore patterns; ``glob``: what is looked for;
    ``passed_over`` collects what is left out though no rule says so."""

    rules: tuple[str, ...] = ()
    glob: Glob | None = None
    passed_over: list[str] = field(default_factory=list[str])

    def takes(self, path: str, *, is_folder: bool) -> bool:
        """quilt3's rule: a pattern covers the whole absolute path, and '*' crosses slashes; a folder is matched with and
        without a slash at its end."""
        return not any(
            fnmatch(path, rule) or (is_folder and fnmatch(path + "/", rule)) for rule in self.rules
        )


class LocalFolder:
    """One folder. ``roots``: the folders that a symbolic link to a file may lead into (the folder itself always is one)."""

    def __init__(self, root: Path, *, roots: Sequence[Path] = (), kernel: Syscalls = KERNEL) -> None:
        self._folder = ConfinedFolder(root, kernel=kernel, missing=SourceNotFound, create=True)
        self.root = self._folder.root
        self._swept: set[Parts] = set()
        self._roots = (self.root, *(Path(os.path.realpath(other)) for other in roots))

    # -- reading --

    def scan(
        self, relative: str = "", *, ignore: bool = True, passed_over: list[str] | None = None
    ) -> Iterator[FoundFile]:
        """Every file below ``relative`` ('' is the folder itself) in walk order, chosen as quilt3's ``set_dir`` chooses:
        hidden files too; folders that are links are not entered; broken links, pipes and devices are passed over; rules
        of a ``.quiltignore`` in the scanned folder apply (``ignore``). ``passed_over`` collects a sentence on each thing
        passed over that no rule asked for.

        Raises OutsideRoots for a link to a file outside the roots, SourceNotFound when ``relative`` is no folder,
        InvalidName for a name that is not UTF-8 (no logical key can hold it).
        """
        base = split_key(relative) if relative else ()
        self._require_folder(base)
        rules = self._rules(base) if ignore else ()
        choice = _Choice(rules, passed_over=[] if passed_over is None else passed_over)
        yield from self._walk(base, (), choice)

    def glob(self, pattern: str, *, below: str = "") -> Iterator[FoundFile]:
        """Files below a folder that match a ``Glob``, in walk order. ``relative`` is below that folder, as ``pattern`` is."""
        split_key(pattern)
        base = split_key(below) if below else ()
        glob = Glob(pattern)
        for found in self._walk(base, (), _Choice(glob=glob)):
            if glob.matches(found.relative):
                yield found

    def stat(self, relative: str) -> FoundFile:
        """Raises SourceNotFound, NotAFile for a folder, OutsideRoots."""
        fd = self.open_file(relative)
        try:
            return FoundFile(relative, os.fstat(fd).st_size, self._real(split_key(relative)))
        finally:
            self._folder.kernel.close(fd)

    def is_folder(self, relative: str) -> bool:
        try:
            with self._typed(relative), self._folder.directory(split_key(relative) if relative else ()):
                return True
        except (SourceNotFound, AlreadyExists):
            return False

    def open_file(self, relative: str) -> int:
        """A read-only descriptor; the caller closes it. A link is followed only to a file inside the roots, and that
        file is then opened without following any. Raises as ``stat``."""
        parts = split_key(relative)
        with self._typed(relative):
            try:
                return self._folder.open_file(parts)
            except OutsideRoots:
                target = self._real(parts)
                for root in self._roots:
                    if target.is_relative_to(root) and target != root:
                        inside = ConfinedFolder(root, kernel=self._folder.kernel, missing=SourceNotFound)
                        return inside.open_file(target.relative_to(root).parts)
                raise self._outside(relative, target) from None

    def names(self, relative: str = "") -> list[str]:
        """What is in a folder, sorted, folders with a '/' at the end: for suggestions. Empty when there is no such folder."""
        with self._typed(relative):
            found = self._folder.children(split_key(relative) if relative else ())
            return sorted(child.name + "/" * (child.kind == "folder") for child in found)

    # -- writing --

    def new_file(self, relative: str) -> NewFile:
        """A file in the making beside its place (a context manager; missing folders are made). See ``place``. What a killed
        writer left in that folder is swept first, once for each folder."""
        beside = split_key(relative)[:-1]
        if beside not in self._swept:
            self._swept.add(beside)
            with self._typed(relative):
                sweep(self._folder, beside)
        return NewFile(self._folder, beside)

    def place(self, file: NewFile, relative: str, *, replace: bool = False) -> None:
        """Puts a whole file at ``relative``, durably and in one step. Raises AlreadyExists when something is there and
        ``replace`` was not asked for, NotAFile for a folder or device there, OutsideRoots for a link there."""
        parts = split_key(relative)
        with self._typed(relative):
            if replace:
                file.place(parts)
                return
            try:
                if not file.place_new(parts):
                    with self._folder.directory(parts[:-1]) as above:
                        if self._folder.entry(above, parts) is not None:
                            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                    file.place(parts)
            except FileExistsError as error:
                raise AlreadyExists(
                    f"{relative!r} already exists in {self.root}.",
                    next_step="Make the same call with overwrite=true to replace it, or choose another folder.",
                    details={"folder": str(self.root), "path": ascii(relative)},
                ) from error

    def write_file(self, relative: str, content: bytes, *, replace: bool = False) -> None:
        """Small content in one call; see ``place``."""
        with self._typed(relative), self.new_file(relative) as file:
            file.write(content)
            self.place(file, relative, replace=replace)

    def typed_errors(self, relative: str) -> AbstractContextManager[None]:
        """Around blocks that use a NewFile directly: lets no OSError out."""
        return self._typed(relative)

    # -- inside --

    def _typed(self, relative: str) -> AbstractContextManager[None]:
        return typed_errors(
            repr(relative) if relative else "The folder", str(self.root), missing=SourceNotFound
        )

    def _walk(self, base: Parts, below: Parts, choice: _Choice) -> Iterator[FoundFile]:
        with self._typed("/".join(base + below)):
            children = sorted(self._folder.children(base + below), key=lambda child: child.name)
            children = [child for child in children if self._takes(base + below, child, choice)]
            files = [child.name for child in children if child.kind == "file"]
            sizes = self._folder.sizes(base + below, files)
        for child in children:
            here = (*below, child.name)
            if child.name in sizes:
                yield self._found_file(base + here, "/".join(here), sizes[child.name])
            elif child.kind == "folder":
                if choice.glob is None or choice.glob.may_hold("/".join(here)):
                    yield from self._walk(base, here, choice)
            elif child.kind == "special":
                choice.passed_over.append(f"{self._absolute(base + here)} is a pipe, socket or device")
            else:
                found = self._found(base + here, "/".join(here), choice)
                if found is not None:
                    yield found

    def _takes(self, folder: Parts, child: Child, choice: _Choice) -> bool:
        path = self._absolute((*folder, child.name))
        return choice.takes(path, is_folder=child.kind == "folder")

    def _found_file(self, parts: Parts, relative: str, size: int) -> FoundFile:
        """One that was reached without following a link, so that its path is where it really lies."""
        _require_utf8(relative, self.root)
        return FoundFile(relative, size, Path(self._absolute(parts)))

    def _found(self, parts: Parts, relative: str, choice: _Choice) -> FoundFile | None:
        """None for what quilt3 passes over: a broken link, a link to a folder, a file that has just gone."""
        _require_utf8(relative, self.root)
        path = self._absolute(parts)
        if os.path.islink(path) and not os.path.isfile(path):
            kind = "link to a folder" if os.path.isdir(path) else "broken link"
            choice.passed_over.append(f"{path} is a {kind}")
            return None
        try:
            found = self.stat("/".join(parts))
        except SourceNotFound:
            return None
        return FoundFile(relative, found.size, found.path)

    def _rules(self, base: Parts) -> tuple[str, ...]:
        try:
            fd = self.open_file("/".join((*base, IGNORE_FILE)))
        except SourceNotFound:
            return ()
        try:
            with os.fdopen(fd, encoding="utf-8") as file:
                lines = file.read(_IGNORE_BYTES).split("\n")
        except UnicodeDecodeError as error:
            raise InvalidName(
                f"{self._absolute((*base, IGNORE_FILE))} is not UTF-8 text.",
                next_step="Save it as UTF-8, one pattern a line, then make the same call again.",
            ) from error
        return tuple("*/" + line for line in lines if line)

    def _require_folder(self, base: Parts) -> None:
        relative = "/".join(base)
        try:
            with self._folder.directory(base):
                pass
        except NotADirectoryError as error:
            missing = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            raise storage_error(
                missing, f"The folder {relative!r}", str(self.root), missing=SourceNotFound
            ) from error
        except OSError as error:
            raise storage_error(
                error, f"The folder {relative!r}", str(self.root), missing=SourceNotFound
            ) from error

    def _absolute(self, parts: Parts) -> str:
        return "/".join((str(self.root).rstrip("/"), *parts))

    def _real(self, parts: Parts) -> Path:
        return Path(os.path.realpath(self._absolute(parts)))

    def _outside(self, relative: str, target: Path) -> OutsideRoots:
        return OutsideRoots(
            f"{relative!r} in {self.root} is a symbolic link to {target}, outside the folders this server may read.",
            next_step=f"Start the server with --root {target.parent}, or replace the link by the file itself.",
            details={"folder": str(self.root), "link": ascii(relative), "target": str(target)},
        )


def _require_utf8(relative: str, root: Path) -> None:
    try:
        relative.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidName(
            f"The file {relative!a} in {root} has a name that is not UTF-8; a logical key cannot hold it.",
            next_step="Rename the file, or list it in a .quiltignore file of the folder.",
            details={"folder": str(root), "path": ascii(relative)},
        ) from error
