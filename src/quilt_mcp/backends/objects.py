"""ObjectOps: the verbs of QuiltOps for plain objects, and the bounds of what one call answers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from quilt_mcp.domain.address import parse_object
from quilt_mcp.domain.checksums import SHA256
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.listing import Archive, Content, ContentHash, Link, ObjectListing, Page, UploadLink
from quilt_mcp.domain.media_types import media_type
from quilt_mcp.domain.plan import Progress, PutOutcome
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidArgument,
    NotSupported,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    ReadOnly,
    StorageUnavailable,
    TooLarge,
)
from quilt_mcp.registry.layout import is_registrys_own
from quilt_mcp.storage.objects import hash_object
from quilt_mcp.storage.store import ObjectStat, Place, Store, Stores

READ_AT_ONCE = 16 << 20
"""The most bytes one read answers."""
UPLOADED_AT_ONCE = 5 << 30
"""The most bytes that S3 takes in one request."""
HASHED_AT_ONCE = 8 << 30
"""The most bytes that are hashed for one answer."""
PAGE_LIMIT = 1000


class ObjectOps:
    """See ``ops.QuiltOps``."""

    def __init__(self, stores: Stores, writable: bool) -> None:
        self._stores = stores
        self.writable = writable

    def _require_writes(self, verb: str) -> None:
        if not self.writable:
            raise ReadOnly(
                f"This server is read-only: {verb} would write.",
                next_step="Start it with --allow-write or QUILT_ALLOW_WRITE=1; dry_run=true, where there is one, shows the plan.",
            )

    def _page(self, uri: str) -> str | None:
        """The page of a catalog that shows it."""
        return None

    async def _link(self, place: Place, uri: str, expires_in: int = 3600, *, download: bool = False) -> Link:
        """No request is made, so that a listing can have one for each object. A page of the catalog does not expire, and who
        opens it signs in there."""
        page = None if download else self._page(uri)
        if page is not None:
            return Link(page, "catalog", None, uri)
        if place.store.local_files is not None:
            return Link(str(place.store.physical_key(place.key)), "file", None, uri)
        if place.store.signer is not None:
            url, expires = await place.store.signer.sign(
                place.key, version=place.version, expires_in=expires_in
            )
            return Link(url, "presigned", expires, uri)
        raise NotSupported(
            f"{place.store.url} cannot sign links.", next_step="Call object_read for the file's bytes."
        )

    async def list_objects(
        self, location: str, *, links: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[ObjectListing]:
        store, prefix = self._stores.locate_folder(parse_object(location))
        call = ("objects", store.url, prefix)
        after = decode_cursor(cursor, call, str)[0] if cursor else ""
        listing = await store.list_folder(prefix, after=after, limit=checked_limit(limit))
        items: list[ObjectListing] = []
        for stat in listing.objects:
            uri = str(store.physical_key(stat.key, stat.version))
            link = await self._link(Place(store, stat.key, stat.version), uri) if links else None
            items.append(_object(store, stat, link))
        items += [ObjectListing(_folder_uri(store, folder), "folder") for folder in listing.folders]
        items.sort(key=lambda item: item.uri)
        next_cursor = encode_cursor(call, listing.next_after) if listing.next_after is not None else None
        warnings = (f"credentials_not_shown: {', '.join(listing.closed)}.",) if listing.closed else ()
        return Page(tuple(items), next_cursor, None, warnings)

    async def stat_object(self, uri: str) -> ObjectListing:
        place = self._place(uri)
        if place.store.archive is None:
            return _object(place.store, await _stat(place))
        try:
            stat, archive = await place.store.archive.stat(place.key, version=place.version)
        except ObjectNotFound:
            await _require_bucket(place)
            raise
        return replace(_object(place.store, stat), archive=archive)

    async def read_object(self, uri: str, *, offset: int = 0, length: int | None = None) -> Content:
        place = self._place(uri)
        wanted = checked_length(offset, length, (await _stat(place)).size, uri)
        stat, data = await place.store.get(place.key, offset=offset, length=wanted, version=place.version)
        return Content(
            uri=str(place.store.physical_key(place.key, place.version)),
            data=data,
            offset=offset,
            size=stat.size,
            media_type=media_type(place.key),
            modified=stat.modified,
        )

    async def put_object(
        self, uri: str, body: bytes, *, overwrite: bool = False, dry_run: bool = False
    ) -> PutOutcome:
        store, path = self._new_object(uri)
        try:
            await store.stat(path)
            exists = True
        except ObjectNotFound:
            exists = False
        if exists and not overwrite:
            raise _object_exists(uri)
        if not dry_run:
            self._require_writes("object_put")
            try:
                await store.put(path, body, if_absent=not overwrite)
            except PreconditionFailed:
                raise _object_exists(uri) from None
        return PutOutcome(str(store.physical_key(path)), len(body), done=not dry_run, replaced=exists)

    async def upload_link(self, uri: str, *, size: int, expires_in: int = 3600) -> UploadLink:
        self._require_writes("object_link with upload=true")
        if size < 0:
            raise InvalidArgument(f"size is {size} bytes.", next_step="Give the size of the file in bytes.")
        if size > UPLOADED_AT_ONCE:
            raise TooLarge(
                f"{size} bytes do not fit into one upload, which takes at most {UPLOADED_AT_ONCE} (5 GiB).",
                next_step="Split the file, or send it in parts with AWS credentials (`aws s3 cp`); then name its s3:// address "
                "as a source in package_create or package_patch.",
                details={"size": size, "limit": UPLOADED_AT_ONCE},
            )
        store, path = self._new_object(uri)
        if not path or path.endswith("/"):
            raise InvalidArgument(
                f"{uri} names a folder, and an upload makes one object.",
                next_step=f"Add the name of the file: {uri.rstrip('/')}/NAME.",
            )
        if store.signer is None:
            raise NotSupported(
                f"{uri} lies on this machine, where no uploads are signed.",
                next_step="Copy the file there, or name its path as a source in package_create or package_patch.",
            )
        with suppress(ObjectNotFound, PermissionDenied):  # of a role that may write and not read
            await _stat(Place(store, path))
            raise _object_exists(uri, "Choose another key: an upload replaces nothing.")
        signed = await store.signer.sign_upload(path, size=size, expires_in=expires_in)
        said = (
            f"not_known_to_keep: {store.url} is not known to refuse an upload where an object is by then; send it at once, and "
            "once.",
        )
        warnings = () if signed.keeps_others else said
        return UploadLink(
            signed.url, signed.headers, size, signed.expires, str(store.physical_key(path)), warnings
        )

    def _new_object(self, uri: str) -> tuple[Store, str]:
        """Where an object that a caller names is written. Raises InvalidArgument for a version and in a registry's own folder."""
        key = parse_object(uri)
        if key.version_id is not None:
            raise InvalidArgument(
                f"{uri} names a version, and a version cannot be written anew.",
                next_step=f"Write to {replace(key, version_id=None)}: in a bucket that keeps versions it gets a new one.",
            )
        store, path = self._stores.locate(key)
        if is_registrys_own(path):
            raise InvalidArgument(
                f"{uri} lies in a registry's own folder (.quilt), which only package tools write.",
                next_step="Call package_create or package_patch to change packages, or put the object elsewhere.",
            )
        return store, path

    def _place(self, uri: str) -> Place:
        key = parse_object(uri)
        return Place(*self._stores.locate(key), key.version_id)


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= PAGE_LIMIT:
        raise InvalidArgument(
            f"limit is {limit}; a page has 1 to {PAGE_LIMIT} items.",
            next_step=f"Set limit between 1 and {PAGE_LIMIT}, and go on with next_cursor.",
        )
    return limit


def checked_length(offset: int, length: int | None, size: int, uri: str) -> int:
    """How many bytes to read from ``offset`` on of a thing that has ``size``; ``length`` None: all of them."""
    if offset < 0 or (length is not None and length < 0):
        raise InvalidArgument(
            "offset and length count bytes and cannot be negative.", next_step="Set them to 0 or more."
        )
    if offset > size:
        raise InvalidArgument(
            f"offset {offset} lies past the end of {uri}, which has {size} bytes.",
            next_step=f"Set offset to at most {size}.",
            details={"size": size},
        )
    wanted = size - offset if length is None else min(length, size - offset)
    if wanted > READ_AT_ONCE:
        raise TooLarge(
            f"{wanted} bytes of {uri} were asked for; one read answers at most {READ_AT_ONCE}.",
            next_step=f"Set length to at most {READ_AT_ONCE} and go on with offset, or call package_install.",
            details={"size": size, "limit": READ_AT_ONCE},
        )
    return wanted


async def hash_place(place: Place, recorded: Hash | None, progress: Progress) -> ContentHash:
    """By the type of the ``recorded`` hash. See ``QuiltOps.hash``."""
    stat = await _stat(place)
    uri = str(place.store.physical_key(place.key, place.version))
    if stat.size > HASHED_AT_ONCE:
        raise TooLarge(
            f"{uri} has {stat.size} bytes; at most {HASHED_AT_ONCE} are hashed for one answer.",
            next_step="Call package_create with it as a source: a package records the hash of any file, and package_verify "
            "compares it.",
            details={"size": stat.size, "limit": HASHED_AT_ONCE},
        )
    found = await hash_object(
        place.store,
        place.key,
        recorded.type if recorded else SHA256,
        size=stat.size,
        version=place.version,
        progress=progress,
    )
    return ContentHash(uri, stat.size, found)


async def _stat(place: Place) -> ObjectStat:
    """Raises RegistryNotFound where there is not even the bucket, which S3 does not say of a single object."""
    try:
        return await place.store.stat(place.key, version=place.version)
    except ObjectNotFound:
        await _require_bucket(place)
        raise


async def _require_bucket(place: Place) -> None:
    with suppress(PermissionDenied, StorageUnavailable):
        await place.store.list_folder(limit=1)


def _folder_uri(store: Store, folder: str) -> str:
    uri = str(store.physical_key(folder))
    return uri if uri.endswith("/") else f"{uri}/"


def _object(store: Store, stat: ObjectStat, link: Link | None = None) -> ObjectListing:
    uri = str(store.physical_key(stat.key, stat.version))
    archive = stat.archive_class and Archive(stat.archive_class)
    return ObjectListing(uri, "object", stat.size, stat.modified, stat.version, link, archive or None)


def _object_exists(
    uri: str, next_step: str = "Set overwrite=true to replace it, or choose another name."
) -> AlreadyExists:
    return AlreadyExists(
        f"{uri} already exists.",
        next_step=next_step,
        details={"uri": uri},
    )
