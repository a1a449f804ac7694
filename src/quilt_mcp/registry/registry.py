"""Registry: packages over a store, read side. Authors and deletion stand on it and write."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio

from quilt_mcp.domain.address import PackageUri, PhysicalKey, browse_call
from quilt_mcp.domain.entry import Entry, Header
from quilt_mcp.domain.listing import Item, Totals
from quilt_mcp.domain.manifest.codec import MAX_RECORD_BYTES, decode_header
from quilt_mcp.domain.names import validate_package_name
from quilt_mcp.domain.printable import counted
from quilt_mcp.errors import (
    AmbiguousHash,
    CorruptManifest,
    EntryNotFound,
    InvalidUri,
    NotAFile,
    ObjectNotFound,
    PackageNotFound,
    QuiltError,
    RevisionNotFound,
)
from quilt_mcp.registry.damage import UNREADABLE, way_past_damage
from quilt_mcp.registry.layout import LATEST, MANIFESTS, is_top_hash, manifest_key
from quilt_mcp.registry.manifests.cache import ManifestCache, missing_manifest
from quilt_mcp.registry.manifests.manifest import FolderRow, Manifest
from quilt_mcp.registry.named import NamedRevisions
from quilt_mcp.registry.pointers import Pointers
from quilt_mcp.storage.store import ObjectStat, Place, Store, Stores

_SHORT_HASH = re.compile(r"[0-9a-f]{6,63}")
_CANDIDATES_SHOWN = 10
_HEADER_FIRST_READ = 16 << 10


Recall = Callable[[str, Mapping[str, ObjectStat]], Awaitable[Mapping[str, tuple[str, Header]]]]
"""Of a registry's URL and the latest pointers of packages as they are listed: the revisions that these are known to name, by
package, with their headers."""


class Registry:
    """The packages of one registry. ``stores`` finds the bytes that physical keys point to."""

    def __init__(
        self,
        store: Store,
        stores: Stores,
        manifests: ManifestCache,
        named: NamedRevisions,
        recall: Recall | None = None,
    ) -> None:
        """``recall``: what a catalog that was made for a search knows of packages."""
        self.store = store
        self.url = store.url
        self.stores = stores
        self.manifests = manifests
        self.named = named
        self.pointers = Pointers(store)
        self.recall = recall
        self.recalled: dict[str, Header] = {}
        """Headers by top hash, which need not be read: message and metadata alone."""

    def uri(self, name: str, top_hash: str | None = None, path: str | None = None) -> str:
        return str(PackageUri(self.url, name, top_hash=top_hash, path=path))

    # -- names and revisions --

    async def resolve(self, package: PackageUri) -> str:
        """The full top hash that a URI means. At most three requests, none of which lists more than it must."""
        validate_package_name(package.name)
        if package.top_hash is not None:
            return await self._resolve_hash(package)
        tag = package.tag or LATEST
        pointer = await self.pointers.read(package.name, tag)
        if pointer is None:
            await self.require_package(package.name)
            tags = await self.pointers.tags(package.name)
            raise RevisionNotFound(
                f"Package {package.name} has no tag {tag!r} in {self.url}.",
                next_step=f"Use one of its tags ({shown(tags)}), or call package_log for its revisions.",
                details={"package": package.name, "tags": [*tags][:_CANDIDATES_SHOWN]},
            )
        if pointer.top_hash is None:
            raise CorruptManifest(
                f"The pointer {package.name}:{tag} in {self.url} does not hold a top hash.",
                next_step="Call package_log for the revisions that can be read, and name one by its hash.",
                details={"package": package.name, "tag": tag},
            )
        return pointer.top_hash

    async def _resolve_hash(self, package: PackageUri) -> str:
        short = package.top_hash or ""
        if is_top_hash(short):
            return short
        if not _SHORT_HASH.fullmatch(short):
            raise InvalidUri(
                f"{short!r} is not a top hash: it takes 6 to 64 lower-case hex digits.",
                next_step=f"Give at least 6 digits of the hash; package_log lists the revisions of {package.name}.",
            )
        found: list[str] = []
        async for stat in self.store.list(f"{MANIFESTS}{short}"):
            found.append(stat.key[len(MANIFESTS) :])
            if len(found) > _CANDIDATES_SHOWN:
                break
        if len(found) > 1:
            # Manifests are shared by all packages of a registry: those of this package decide.
            own = {p.top_hash for p in await self.pointers.read_all(package.name) if p.top_hash}
            found = [top_hash for top_hash in found if top_hash in own] or found
        if not found:
            await self.require_package(package.name)
            raise RevisionNotFound(
                f"No revision in {self.url} has a hash that starts with {short}.",
                next_step=f"Call package_log for the revisions of {package.name}.",
                details={"package": package.name, "hash": short},
            )
        if len(found) > 1:
            raise AmbiguousHash(
                f"The short hash {short} fits {len(found)} revisions in {self.url}.",
                next_step="Give more digits; details.candidates lists the full hashes.",
                details={"hash": short, "candidates": found},
            )
        return found[0]

    async def require_revision(self, package: PackageUri) -> str:
        """``resolve``, for a full hash too only when there is such a revision."""
        top_hash = await self.resolve(package)
        if top_hash != package.top_hash:
            return top_hash
        try:
            await self.store.stat(manifest_key(top_hash))
        except ObjectNotFound as error:
            await self.require_package(package.name)
            raise missing_manifest(self.url, top_hash) from error
        return top_hash

    async def notices(self, package: PackageUri, top_hash: str) -> tuple[str, ...]:
        """A warning for a revision that was asked for by its hash and is none of the package's. Raises nothing of its own."""
        if package.top_hash is None or await self.named.is_named(self.store, package.name, top_hash):
            return ()
        return (
            f"unnamed_revision: no revision of {package.name} has the hash {top_hash} (any more): its manifest stands in "
            f"{self.url}, and no pointer of this package names it.",
        )

    async def require_package(self, name: str) -> None:
        """Raises PackageNotFound, with names close to it, when no pointer of ``name`` exists."""
        if await self.pointers.tags(name):
            return
        close = await self.pointers.near(name)
        hint = f"Did you mean {shown(close)}? " if close else ""
        raise PackageNotFound(
            f"There is no package {name} in {self.url}.",
            next_step=f"{hint}Call packages_list for the packages there are.",
            details={"package": name, "registry": self.url, "suggestions": close},
        )

    async def header(
        self, top_hash: str, note_read: Callable[[int], None] = lambda size: None
    ) -> Header | QuiltError:
        """The first line of a manifest; where it cannot be read, why. ``note_read`` is told the bytes of each read."""
        if top_hash in self.recalled:
            return self.recalled[top_hash]
        try:
            for length in (_HEADER_FIRST_READ, MAX_RECORD_BYTES + 1):
                _, line = await self.store.get(manifest_key(top_hash), length=length)
                note_read(len(line))
                head, newline, _ = line.partition(b"\n")
                if newline or len(line) < length:
                    return decode_header(head)
        except QuiltError as error:
            return error
        return CorruptManifest(
            f"The first line of manifest {top_hash} has over {MAX_RECORD_BYTES} bytes.",
            next_step="Call package_verify for that revision.",
        )

    # -- contents --

    async def open(self, package: PackageUri) -> tuple[PackageUri, Manifest]:
        """The revision, pinned to its full hash, and its manifest, which has that hash. Raises CorruptManifest for another."""
        return await self._open(package, self.manifests.open)

    async def open_ahead(self, package: PackageUri) -> tuple[PackageUri, Manifest]:
        """As ``open``, for what only shows it: the first answer from a large manifest comes ahead of the verdict on it."""
        return await self._open(package, self.manifests.open_ahead)

    async def read_anew(self, package: PackageUri) -> tuple[PackageUri, Manifest]:
        """As ``open``, from the store and whatever hash the manifest has."""
        return await self._open(package, self.manifests.read)

    async def _open(
        self, package: PackageUri, open_manifest: Callable[[Store, str], Awaitable[Manifest]]
    ) -> tuple[PackageUri, Manifest]:
        try:
            top_hash = await self.resolve(package)
            pinned = PackageUri(self.url, package.name, top_hash=top_hash, path=package.path)
            return pinned, await open_manifest(self.store, top_hash)
        except UNREADABLE as error:
            if isinstance(error, RevisionNotFound):
                await self.require_package(package.name)
            if package.top_hash is None and package.tag in (None, LATEST):
                error.next_step = await self.way_past_damage(package.name)
            raise

    async def way_past_damage(self, name: str) -> str:
        """The next step when the latest revision of a package is damaged."""
        return await way_past_damage(self.store, self.manifests, name)

    async def stat(self, package: PackageUri) -> Item:
        pinned, manifest = await self.open_ahead(package)
        return await anyio.to_thread.run_sync(self.item, pinned, manifest, package.path or "")

    def item(self, pinned: PackageUri, manifest: Manifest, path: str) -> Item:
        """The file or folder at ``path``. Blocks as ``Manifest`` does. Raises EntryNotFound."""
        totals = manifest.folder_totals(path)
        if totals is not None:
            folder = f"{path.strip('/')}/" if path.strip("/") else ""
            metadata = manifest.directory_meta(folder) if folder else manifest.header.user_meta
            return self._folder(pinned, folder, totals, metadata)
        entry = manifest.entry(path)
        if entry is None:
            raise self._no_such_path(pinned, manifest, path)
        return self._file(pinned, entry)

    def row(self, pinned: PackageUri, row: FolderRow) -> Item:
        """A row of that revision's manifest."""
        if row.entry is not None:
            return self._file(pinned, row.entry)
        return self._folder(pinned, row.path, row.totals, row.metadata)

    def _file(self, pinned: PackageUri, entry: Entry) -> Item:
        return Item(
            path=entry.logical_key,
            type="file",
            size=entry.size or 0,
            hash=entry.hash,
            metadata=entry.user_meta,
            physical_key=entry.physical_key,
            uri=self.uri(pinned.name, pinned.top_hash, entry.logical_key),
        )

    def _folder(self, pinned: PackageUri, path: str, totals: Totals, metadata: Any) -> Item:
        return Item(
            path=path,
            type="folder",
            size=totals.bytes,
            hash=None,
            metadata=metadata,
            physical_key=None,
            uri=self.uri(pinned.name, pinned.top_hash, path or None),
            entries=totals.entries,
        )

    def _no_such_path(self, pinned: PackageUri, manifest: Manifest, path: str) -> EntryNotFound:
        close = manifest.suggest(path)
        hint = f"Did you mean {shown(close)}? " if close else ""
        return EntryNotFound(
            f"There is no {path!r} in {pinned.name}@{(pinned.top_hash or '')[:10]}.",
            next_step=f"{hint}Call package_browse for what the package holds.",
            details={"package": self.uri(pinned.name, pinned.top_hash), "path": path, "suggestions": close},
        )

    def locate(self, pinned: PackageUri, entry: Entry) -> Place:
        """Where the bytes of an entry of that revision lie. A manifest is data: one in a bucket names no files of this machine.

        Raises CorruptManifest, OutsideRoots, NotSupported, PermissionDenied (a bucket outside the allow-list).
        """
        try:
            key = PhysicalKey.parse(entry.physical_key)
        except InvalidUri as error:
            raise CorruptManifest(
                f"The physical key of {entry.logical_key!r} cannot be read: {error.message}",
                next_step="Package the file anew; this revision's manifest is broken.",
                details={"path": entry.logical_key, "physical_key": entry.physical_key},
            ) from error
        if key.bucket is None and self.store.local_files is None:
            raise CorruptManifest(
                f"{entry.logical_key!r} points to a file of some machine ({entry.physical_key}); "
                f"that is not read for a package in {self.url}.",
                next_step="Ask whoever pushed the package to push it with its files.",
                details={"path": entry.logical_key, "physical_key": entry.physical_key},
            )
        if self.store.entries is not None:
            return self.store.entries.place(pinned, entry)
        store, path = self.stores.locate(key)
        return Place(store, path, key.version_id)

    async def file(self, package: PackageUri) -> tuple[PackageUri, Entry]:
        """The entry at ``package.path``. Raises NotAFile for a folder, EntryNotFound."""
        pinned, manifest = await self.open(package)
        path = package.path or ""
        entry = await anyio.to_thread.run_sync(manifest.entry, path)
        if entry is not None:
            return pinned, entry
        item = await anyio.to_thread.run_sync(self.item, pinned, manifest, path)
        raise NotAFile(
            f"{repr(path) if path else 'The root'} of {package.name} is a folder of {counted(item.entries or 0, 'file')}.",
            next_step=f"{browse_call(pinned)}, then object_read with the same package and the path of a row.",
            details={"uri": item.uri},
        )


def shown(names: Iterable[str]) -> str:
    """A few of some names, for a sentence."""
    listed = list(names)
    text = ", ".join(listed[:_CANDIDATES_SHOWN])
    return f"{text}, ..." if len(listed) > _CANDIDATES_SHOWN else text
