"""Small files of this machine, read and hashed many at a time on one thread, for a placement that sends them on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from anyio import from_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import OutsideRoots
from quilt_mcp.registry.arrivals import Incoming
from quilt_mcp.storage.s3_uploads import MULTIPART_FROM
from quilt_mcp.storage.store import HasLocalFiles, Stores


@dataclass(frozen=True, slots=True)
class Read:
    """A file's bytes. ``hash`` is of type sha2-256-chunked."""

    content: bytes
    hash: Hash


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder no part of whose path is a link, as its store knows it."""

    store: HasLocalFiles
    prefix: str


def read_small_files(stores: Stores, items: Sequence[Incoming]) -> dict[str, Read]:
    """By logical key; left out are files that have grown large by now. Blocks: for a worker thread."""
    found: dict[str, Read] = {}
    folders: dict[str, _Folder] = {}
    for item in items:
        from_thread.check_cancelled()
        descriptor = None if item.physical_key is None else _open(stores, item.physical_key, folders)
        if descriptor is None:
            continue
        try:
            content = os.pread(descriptor, MULTIPART_FROM, 0)
        finally:
            os.close(descriptor)
        if len(content) < MULTIPART_FROM:
            found[item.logical_key] = Read(content, hash_bytes(content))
    return found


def _open(stores: Stores, physical_key: PhysicalKey, folders: dict[str, _Folder]) -> int | None:
    """Neighbours share the look at their folder's path: ``open_file`` follows no link, so that a link among them is met, and
    looked at by itself."""
    above, _, name = physical_key.path.rpartition("/")
    folder = folders.get(above)
    if folder is not None:
        try:
            return folder.store.open_file(f"{folder.prefix}{name}")
        except OutsideRoots:
            pass
    store, key = stores.locate(physical_key)
    if not isinstance(store, HasLocalFiles):
        return None
    if store.physical_key(key) == physical_key:
        folders[above] = _Folder(store, key[: -len(name)])
    return store.open_file(key)
