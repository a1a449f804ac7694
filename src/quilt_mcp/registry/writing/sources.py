"""Sources: turns what a request names (files, folders, globs, objects, other packages, inline text) into incoming files."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from glob import escape
from typing import Any

import anyio
import anyio.lowlevel

from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.glob import Choice
from quilt_mcp.domain.metadata import MAX_METADATA, parse_metadata, with_user_meta
from quilt_mcp.domain.names import validate_logical_key
from quilt_mcp.domain.plan import UNSET, CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.errors import InvalidArgument, InvalidName, QuiltError, SourceNotFound, TooLarge
from quilt_mcp.registry.recorded import check_content
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.storage.store import Stores
from quilt_mcp.storage.workers import in_pages

_PAGE = 1000
_SHOWN = 5
_PRIVATE = re.compile(r"(?:.*?/)?(?:\.git|\.hg|\.svn|\.env(?:\.[^/]+)?|\.envrc)(?=/|\Z)", re.IGNORECASE)
"""The path of what rarely is meant for a package: secrets of programs, and a repository with all its history."""


class Sources:
    """Expands one request's sources. ``registries`` opens the registry of a quilt+ URI."""

    def __init__(self, stores: Stores, registries: Callable[[str], Registry]) -> None:
        self._stores = stores
        self._registries = registries
        self._private: dict[str, None] = {}
        self.warnings: list[str] = []

    async def expand(
        self, sources: Iterable[Source], files: Iterable[InlineFile], arrivals: Arrivals
    ) -> None:
        """Adds the files to ``arrivals``, a page at a time. Raises SourceNotFound, OutsideRoots, InvalidName, and DuplicateKey
        when two claim one key."""
        for source in sources:
            await self._expand(source, arrivals)
        if self._private:
            more = f" and {len(self._private) - _SHOWN} more" if len(self._private) > _SHOWN else ""
            self.warnings.append(
                f"private_files: {', '.join(list(self._private)[:_SHOWN])}{more} would be seen by whoever may read the package; "
                "leave out with exclude what is not meant for them."
            )
        for file in files:
            key = validate_logical_key(file.logical_key)
            meta = with_user_meta({"format": {"name": file.form}} if file.form else {}, file.metadata)
            arrivals.add([Incoming(key, len(file.content), meta, content=file.content)], f"inline {key!r}")

    async def metadata(self, request: CreateRequest | PatchRequest, arrivals: Arrivals) -> Any:
        """The package metadata that the request gives, in itself or in a file. Raises InvalidMetadata for a file that holds none,
        SourceNotFound, TooLarge."""
        wanted = request.metadata_from
        if wanted is None:
            return request.metadata
        if request.metadata is not UNSET:
            raise InvalidArgument(
                "The metadata is given twice, by metadata and by metadata_from.",
                next_step="Leave out one of the two.",
            )
        item = arrivals.get(wanted)
        if item is not None and item.content is not None:
            return parse_metadata(wanted, item.content)
        place, recorded = await self._file(wanted) if item is None else (item.physical_key, item.unread())
        assert place is not None, "what has no content lies somewhere"
        store, key = self._stores.locate(place)
        stat, content = await store.get(key, length=MAX_METADATA + 1, version=place.version_id)
        if stat.size > MAX_METADATA:
            raise TooLarge(
                f"{wanted} has {stat.size:,} bytes; metadata is read up to {MAX_METADATA:,}.",
                next_step="Leave it as a file of the package, and give metadata that names what it holds.",
                details={"source": wanted},
            )
        if recorded is not None and recorded.hash is not None:
            check_content(recorded, content)
        return parse_metadata(recorded.logical_key if recorded else place.path, content)

    async def _file(self, address: str) -> tuple[PhysicalKey, Entry | None]:
        """Where the one file lies that an address names, and what a package records of it."""
        if address.startswith("quilt+"):
            uri = PackageUri.parse(address)
            registry = self._registries(uri.registry)
            pinned, entry = await registry.file(uri)
            registry.locate(pinned, entry)
            return PhysicalKey.parse(entry.physical_key), entry
        found = await self._stores.find(address)
        if found.is_single:
            [file] = [file async for page in found.pages for file in page]
            if file.fault is not None:
                raise file.fault
            return file.physical_key, None
        raise SourceNotFound(
            f"{address} names no single file to read metadata from.",
            next_step="Give the path that a JSON or YAML file has in the package, or the file's address.",
            details={"source": address},
        )

    async def _expand(self, source: Source, arrivals: Arrivals) -> None:
        is_package = source.origin.startswith("quilt+")
        choice = Choice(source.include, source.exclude)
        pages = self._from_package(source, choice) if is_package else self._from_files(source, choice)
        registry = PackageUri.parse(source.origin).registry if is_package else None
        count = 0
        async with aclosing(pages):
            async for page in pages:
                count += arrivals.add(page, source.origin, registry)
                await anyio.lowlevel.checkpoint()
        chosen = source.include or source.exclude
        if not count and (chosen or not is_package):
            raise SourceNotFound(
                f"{source.origin} names no file{' that include and exclude leave' if chosen else ''}.",
                next_step="Check the path and the patterns with object_list.",
                details={"source": source.origin},
            )
        if unmatched := choice.unmatched:
            self.warnings.append(
                f"no_match: in {source.origin} nothing matches {_some(unmatched, len(unmatched))}."
            )

    async def _from_files(self, source: Source, choice: Choice) -> AsyncGenerator[list[Incoming]]:
        """Raises the fault of a file that is to be taken, not of one that ``exclude`` names."""
        found = await self._stores.find(source.origin)
        meta = with_user_meta({}, source.metadata)
        owners_only, owners_only_count = list[str](), 0
        async for page in found.pages:
            incoming: list[Incoming] = []
            for file in page:
                is_folder = file.relative.endswith("/") and file.fault is not None
                if not choice.passes_over(file.relative) if is_folder else choice.takes(file.relative):
                    if file.fault is not None:
                        raise _with_way_out(file.fault, file.relative)
                    if file.is_private:
                        owners_only_count += 1
                        owners_only = [*owners_only, file.relative][:_SHOWN]
                    key = _logical_key(source, file.relative, found.is_single)
                    if private := _PRIVATE.match(file.relative):
                        self._private[private[0]] = None
                    incoming.append(Incoming(key, file.size, meta, file.physical_key))
            yield incoming
        self.warnings += found.warnings
        if owners_only:
            shown = _some(owners_only, owners_only_count)
            self.warnings.append(
                f"private: in {source.origin} only the owner may read {shown}; who may read the registry can read the copy "
                "there, and an installed one is made as the umask says."
            )

    async def _from_package(self, source: Source, choice: Choice) -> AsyncGenerator[list[Incoming]]:
        uri = PackageUri.parse(source.origin)
        registry = self._registries(uri.registry)
        pinned, manifest = await registry.open(uri)
        item = await anyio.to_thread.run_sync(registry.item, pinned, manifest, uri.path or "")
        skipped = item.path.rfind("/") + 1
        async for page in in_pages(manifest.entries(item.path), _PAGE):
            incoming: list[Incoming] = []
            for entry in page:
                relative = entry.logical_key[skipped:]
                if choice.takes(relative):
                    registry.locate(pinned, entry)
                    key = _logical_key(source, relative, item.type == "file")
                    meta = with_user_meta(entry.meta, source.metadata)
                    address = PhysicalKey.parse(entry.physical_key)
                    incoming.append(Incoming(key, entry.size or 0, meta, address, hash=entry.hash))
            yield incoming


def _logical_key(source: Source, relative: str, is_single: bool) -> str:
    if is_single and source.to and not source.to.endswith("/"):
        key = source.to
    else:
        key = f"{source.to.rstrip('/')}/{relative}" if source.to else relative
        try:
            validate_logical_key(relative)
        except InvalidName as error:
            fault = InvalidName(
                f"A file of {source.origin} cannot be in a package by its name: {error.message}",
                next_step="Rename it, or take it by a source of its own with to=.",
                details={"source": source.origin, "path": relative[:200]},
            )
            raise _with_way_out(fault, relative) from error
    try:
        return validate_logical_key(key)
    except InvalidName as error:
        raise InvalidName(
            f"{source.origin} cannot stand at {key!r}: {error.message}",
            next_step="Set `to` to a relative logical key or folder prefix, such as 'data/'.",
            details={"source": source.origin, "to": source.to},
        ) from error


def _with_way_out(fault: QuiltError, relative: str) -> QuiltError:
    """The fault of one file of many, which need not keep the others away."""
    pattern = escape(f"/{relative}").encode("utf-8", "replace").decode()
    return type(fault)(
        fault.message,
        next_step=f'{fault.next_step} Or leave it out: give the source exclude=["{pattern}"].',
        details={**fault.details, "exclude": pattern},
    )


def _some(names: list[str], count: int) -> str:
    more = f", and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
