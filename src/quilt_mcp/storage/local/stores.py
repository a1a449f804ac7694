"""LocalStores: which local folders may be read and written, and the store of each."""

from __future__ import annotations

import difflib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey, parse_registry
from quilt_mcp.domain.glob import has_wildcard, parse_glob_url, split_glob
from quilt_mcp.errors import (
    InvalidArgument,
    InvalidUri,
    NotAFile,
    NotSupported,
    ObjectNotFound,
    OutsideRoots,
    RegistryNotFound,
    SourceNotFound,
)
from quilt_mcp.storage.local.errors import typed_errors
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.store import Found, FoundFiles, Store

_SHOWN = 5
_PAGE = 1000


class LocalStores:
    """``registries``: folders of registries, made on the first write when ``create``. ``roots``: the other folders given
    by ``--root``. Relative paths are below ``working_folder`` (the process's own by default). Roots are resolved once."""

    def __init__(
        self,
        registries: Sequence[Path],
        roots: Sequence[Path] = (),
        *,
        create: bool = True,
        working_folder: Path | None = None,
    ) -> None:
        self._registries = tuple(dict.fromkeys(_real(path) for path in registries))
        self._roots = tuple(dict.fromkeys((*self._registries, *(_real(path) for path in roots))))
        self._working_folder = _real(working_folder or Path.cwd())
        self._create = create
        self._stores: dict[Path, LocalStore] = {}

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every folder in reach, registries first."""
        return self._roots

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        """The path is resolved as quilt3 resolves it, so a link counts by where it leads."""
        path = self._local_path(physical_key)
        real = _resolved(path)
        root = self._root_of(real, path)
        key = real.relative_to(root).as_posix()
        if key == "." or path.endswith("/"):
            raise NotAFile(
                f"{path} is a folder.",
                next_step="List it with object_list and name a file in it.",
                details={"path": ascii(path)},
            )
        return self._store(root), key

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        path = self._local_path(physical_key)
        real = _resolved(path)
        root = self._root_of(real, path)
        if not os.path.isdir(real):
            if os.path.lexists(real):
                raise InvalidArgument(
                    f"{path} is a file.",
                    next_step="Read it with object_read, or list the folder it is in.",
                    details={"path": ascii(path)},
                )
            raise ObjectNotFound(
                f"There is no folder {path}.",
                next_step="List the folder above it with object_list.",
                details={"path": ascii(path)},
            )
        key = real.relative_to(root).as_posix()
        return self._store(root), "" if key == "." else f"{key}/"

    def registry(self, url: str) -> Store:
        canonical = parse_registry(url)
        if not canonical.startswith("file:"):
            raise NotSupported(
                f"{canonical} is not a local registry, and this server has no credentials for any other.",
                next_step="Call status to see which backend was chosen and why, and how to sign in.",
                details={"registry": canonical},
            )
        path = PhysicalKey.parse(canonical).path
        real = _resolved(path)
        if real not in self._registries:
            self._root_of(real, path)
            if not os.path.isdir(real):
                raise RegistryNotFound(
                    f"The folder {real} does not exist.",
                    next_step="Check the path (bucket_list shows the registries in reach), or make the folder first.",
                    details={"registry": canonical},
                )
        return self._store(real)

    async def find(self, origin: str) -> FoundFiles:
        return await to_thread.run_sync(self._find, origin)

    def folder(self, path: str, *, must_exist: bool = True) -> tuple[LocalFolder, str]:
        """The root that holds a local path, and the path below it ('' for the root itself). Links on the way are resolved
        here; the folder then follows none. Raises OutsideRoots."""
        real = _resolved(os.path.join(self._working_folder, os.path.expanduser(path)))
        root = self._root_of(real, path)
        relative = real.relative_to(root).as_posix()
        return LocalFolder(root, roots=self._roots), "" if relative == "." else relative

    # -- inside --

    def _store(self, root: Path) -> LocalStore:
        store = self._stores.get(root)
        if store is None:
            store = LocalStore(root, create=self._create and root in self._registries)
            self._stores[root] = store
        return store

    def _root_of(self, real: Path, named: str) -> Path:
        inside = [root for root in self._roots if real.is_relative_to(root)]
        if not inside:
            folder = real if os.path.isdir(real) else real.parent
            raise OutsideRoots(
                f"{named} lies outside the folders this server may use.",
                next_step=f"Start the server with --root {folder} to allow it, or use a path below "
                f"{' or '.join(str(root) for root in self._roots[:3])}.",
                details={
                    "path": ascii(named),
                    "folder": str(folder),
                    "roots": [str(root) for root in self._roots],
                },
            )
        return max(inside, key=lambda root: len(root.parts))

    def _local_path(self, physical_key: PhysicalKey) -> str:
        if physical_key.bucket is not None:
            raise NotSupported(
                f"{physical_key} is in a bucket, and this server has no credentials for any.",
                next_step="Call status to see which backend was chosen and why, and how to sign in.",
                details={"physical_key": str(physical_key)},
            )
        return physical_key.path

    def _find(self, origin: str) -> FoundFiles:
        path, is_glob = self._origin_path(origin)
        with typed_errors(repr(origin), "the local file system", missing=SourceNotFound):
            if is_glob and not os.path.lexists(self._working_folder / path):
                return self._find_glob(path)
            folder, relative = self.folder(path)
            if not relative or folder.is_folder(relative):
                passed_over: list[str] = []
                found = folder.scan(relative, passed_over=passed_over)
                files = [Found(f.relative, PhysicalKey(None, str(f.path)), f.size) for f in found]
                return FoundFiles(False, _pages(files), _warnings(passed_over))
            try:
                file = folder.stat(relative)
            except SourceNotFound as error:
                raise self._not_found(origin, folder, relative) from error
            name = Path(path).name
            return FoundFiles(True, _pages([Found(name, PhysicalKey(None, str(file.path)), file.size)]))

    def _find_glob(self, path: str) -> FoundFiles:
        above, pattern = split_glob(Path(os.path.expanduser(path)).as_posix())
        folder, relative = self.folder(above)
        found = folder.glob(pattern, below=relative)
        files = [Found(f.relative, PhysicalKey(None, str(f.path)), f.size) for f in found]
        return FoundFiles(False, _pages(files))

    def _origin_path(self, origin: str) -> tuple[str, bool]:
        """The path that an origin names, and whether it may be a glob."""
        _require_possible(origin)
        is_glob = has_wildcard(origin)
        if origin.startswith("file:"):
            return (parse_glob_url(origin) if is_glob else PhysicalKey.parse(origin)).path, is_glob
        if "://" in origin:
            return self._local_path(PhysicalKey.parse(origin)), False
        return origin, is_glob

    def _not_found(self, origin: str, folder: LocalFolder, relative: str) -> SourceNotFound:
        above, _, name = relative.rpartition("/")
        close = difflib.get_close_matches(name, folder.names(above), n=3)
        hint = f" Close to it: {', '.join(close)}." if close else ""
        return SourceNotFound(
            f"{origin} does not exist.{hint}",
            next_step="Check the path with object_list, then make the same call again.",
            details={"source": ascii(origin), "suggestions": close},
        )


async def _pages(files: list[Found]) -> AsyncIterator[Sequence[Found]]:
    for start in range(0, len(files), _PAGE):
        yield files[start : start + _PAGE]


def _warnings(passed_over: list[str]) -> list[str]:
    if not passed_over:
        return []
    more = f" and {len(passed_over) - _SHOWN} more" if len(passed_over) > _SHOWN else ""
    return [f"passed_over: {'; '.join(passed_over[:_SHOWN])}{more}: not taken, as quilt3 does not."]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _resolved(path: str) -> Path:
    _require_possible(path)
    return _real(Path(path))


def _require_possible(path: str) -> None:
    """Raises InvalidUri for a text that no path of this machine can be."""
    try:
        is_possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise InvalidUri(
            f"{path!a} cannot be a path: it holds a NUL character or half of a surrogate pair.",
            next_step="Make the same call with another path.",
        )
