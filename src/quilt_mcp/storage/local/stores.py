"""LocalStores: which local folders may be read and written, and the store of each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from anyio import to_thread
from anyio.from_thread import check_cancelled

from quilt_mcp.domain.address import PhysicalKey, names_package, names_revision, parse_object, parse_registry
from quilt_mcp.domain.glob import has_wildcard, parse_glob_url, split_glob
from quilt_mcp.domain.names import suggest
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
from quilt_mcp.storage.local.confined import ConfinedFolder, can_be_path, split_key
from quilt_mcp.storage.local.credentials import CredentialPlaces
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.secret_file import SecretFile
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.widening import may_be_opened
from quilt_mcp.storage.private import OURS
from quilt_mcp.storage.store import Found, FoundFiles, Store
from quilt_mcp.storage.workers import in_pages

_SHOWN = 5
_PAGE = 1000


class LocalStores:
    """``registries``: folders of registries, made on the first write when ``create``. ``roots``: the other folders given
    by ``--root``. Relative paths are below ``working_folder`` (the process's own by default). ``closed``: what CredentialPlaces
    closes beside its own. Roots are resolved once."""

    def __init__(
        self,
        registries: Sequence[Path],
        roots: Sequence[Path] = (),
        *,
        create: bool = True,
        working_folder: Path | None = None,
        closed: Iterable[Path] = (),
    ) -> None:
        self._registries = tuple(dict.fromkeys(_real(path) for path in registries))
        self._roots = tuple(dict.fromkeys((*self._registries, *(_real(path) for path in roots))))
        self._working_folder = _real(working_folder or Path.cwd())
        self._create = create
        self._closed = CredentialPlaces(closed)
        self._stores: dict[Path, LocalStore] = {}

    def locate(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        path = self._local_path(physical_key)
        root, key = self._below_root(path)
        if not key or path.endswith("/"):
            raise NotAFile(
                f"{path} is a folder.",
                next_step="List it with object_list and name a file in it.",
                details={"path": ascii(path)},
            )
        return self._store(root), key

    def locate_folder(self, physical_key: PhysicalKey) -> tuple[Store, str]:
        path = self._local_path(physical_key)
        root, key = self._below_root(path)
        if os.path.isdir(root / key):
            return self._store(root), f"{key}/" if key else ""
        if os.path.lexists(root / key):
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

    def registry(self, url: str) -> Store:
        canonical = parse_registry(url)
        if not canonical.startswith("file:"):
            raise _no_credentials(f"{canonical} is not a local registry", {"registry": canonical})
        path = PhysicalKey.parse(canonical).path
        real = self._resolved(path)
        if real not in self._registries:
            self._below_root(path)
            if not os.path.isdir(real):
                raise RegistryNotFound(
                    f"The folder {real} does not exist.",
                    next_step="Check the path (registry_list shows the registries in reach), or make the folder first.",
                    details={"registry": canonical},
                )
        return self._store(real)

    async def find(self, origin: str) -> FoundFiles:
        return await to_thread.run_sync(self._find, origin)

    def folder(self, path: str) -> tuple[LocalFolder, str]:
        """The root that holds a local path, and the path below it ('' for the root itself). Links on the way are resolved
        here; the folder then follows none, and is gone through in worker threads only. Raises OutsideRoots."""
        root, relative = self._below_root(path)
        folder = LocalFolder(root, roots=self._roots, checkpoint=check_cancelled, closed=self._closed)
        return folder, relative

    def new_secret(self, path: str) -> SecretFile:
        """A place for a secret at a local path, to which an ending is added that closes it to every tool. Raises OutsideRoots,
        CredentialPlace, InvalidArgument for what names no file."""
        root, relative = self._below_root(path.removesuffix(OURS))
        if not relative or path.endswith("/"):
            raise InvalidArgument(
                f"{path} names a folder, and a new file is meant.",
                next_step="Name a file in it that is still to come.",
            )
        return SecretFile(
            ConfinedFolder(root, missing=SourceNotFound, closed=self._closed), split_key(relative)
        )

    # -- inside --

    def _store(self, root: Path) -> LocalStore:
        if root not in self._stores:
            self._stores[root] = LocalStore(
                root, create=self._create and root in self._registries, closed=self._closed
            )
        return self._stores[root]

    def _below_root(self, path: str) -> tuple[Path, str]:
        """The innermost root that holds a path, and the path below it. The path is resolved as quilt3 resolves it, so a link
        counts by where it leads. Raises CredentialPlace, OutsideRoots, and InvalidUri for what no path can be."""
        real = self._resolved(path)
        self._closed.require_outside(real)
        inside = [root for root in self._roots if real.is_relative_to(root)]
        if not inside:
            folder = real if os.path.isdir(real) else real.parent
            roots = [str(root) for root in self._roots]
            below = f"a path below {' or '.join(roots[:3])}."
            is_proposed = may_be_opened(folder)
            raise OutsideRoots(
                f"{path} lies outside the folders this server may use.",
                next_step=f"Start the server with --root {folder} to allow it, or use {below}"
                if is_proposed
                else f"Use {below}",
                details={
                    "path": ascii(path),
                    **({"folder": str(folder)} if is_proposed else {}),
                    "roots": roots,
                },
            )
        root = max(inside, key=lambda root: len(root.parts))
        return root, "/".join(real.relative_to(root).parts)

    def _resolved(self, path: str) -> Path:
        _require_path(path)
        return _real(self._working_folder / os.path.expanduser(path))

    def _local_path(self, physical_key: PhysicalKey) -> str:
        if physical_key.bucket is not None:
            raise _no_credentials(f"{physical_key} is in a bucket", {"physical_key": str(physical_key)})
        return physical_key.path

    def _find(self, origin: str) -> FoundFiles:
        path, is_glob = self._origin_path(origin)
        passed_over: list[str] = []
        closed: list[str] = []
        if is_glob and not os.path.lexists(self._working_folder / path):
            above, pattern = split_glob(Path(os.path.expanduser(path)).as_posix())
            folder, relative = self.folder(above)
            return _found(folder.glob(pattern, below=relative, closed=closed), passed_over, closed)
        folder, relative = self.folder(path)
        if not relative or folder.is_folder(relative):
            files = folder.scan(relative, passed_over=passed_over, closed=closed)
            return _found(files, passed_over, closed)
        try:
            file = folder.stat(relative)
        except SourceNotFound as error:
            raise self._not_found(origin, folder, relative) from error
        return _found(iter([replace(file, relative=Path(path).name)]), passed_over, closed, is_single=True)

    def _origin_path(self, origin: str) -> tuple[str, bool]:
        """The path that an origin names, and whether it may be a glob. Raises InvalidUri."""
        _require_path(origin)
        is_glob = has_wildcard(origin)
        if origin.startswith("file:") or "://" in origin:
            return self._local_path(parse_glob_url(origin) if is_glob else parse_object(origin)), is_glob
        return origin, is_glob

    def _not_found(self, origin: str, folder: LocalFolder, relative: str) -> SourceNotFound:
        above, _, name = relative.rpartition("/")
        close = suggest(name, folder.names(above))
        hint = f" Close to it: {', '.join(close)}." if close else ""
        named = ""
        if names_package(origin) and not names_revision(origin):
            space, name, *path = origin.strip("/").split("/")
            meant = "/".join((space, f"{name}@latest", *path))
            named = f" If a package is meant, name its revision: {meant}."
        return SourceNotFound(
            f"{origin} does not exist.{hint}",
            next_step=f"Check the path with object_list, then make the same call again.{named}",
            details={"source": ascii(origin), "suggestions": close},
        )


def _found(
    files: Iterator[Found], passed_over: list[str], closed: list[str], *, is_single: bool = False
) -> FoundFiles:
    warnings: list[str] = []

    async def pages() -> AsyncIterator[Sequence[Found]]:
        async for page in in_pages(files, _PAGE):
            yield page
        if passed_over:
            warnings.append(f"passed_over: {_some(passed_over)}: not taken, as quilt3 does not.")
        if closed:
            warnings.append(
                f"credentials_left_out: {_some(closed)}: places of credentials are never packaged."
            )

    return FoundFiles(is_single, pages(), warnings)


def _some(sentences: list[str]) -> str:
    more = f" and {len(sentences) - _SHOWN} more" if len(sentences) > _SHOWN else ""
    return f"{'; '.join(sentences[:_SHOWN])}{more}"


def _require_path(text: str) -> None:
    if not can_be_path(text):
        raise InvalidUri(
            f"{text!a} cannot be a path: it holds a NUL character or half of a surrogate pair.",
            next_step="Make the same call with another path.",
        )


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _no_credentials(what: str, details: dict[str, str]) -> NotSupported:
    return NotSupported(
        f"{what}, and this server has no credentials for any.",
        next_step="If the bucket is public, start the server with --anonymous (or QUILT_ANONYMOUS=1). Otherwise call status: it "
        "tells which credentials were looked for, why none serves, and what mends it.",
        details=details,
    )
