"""Small files of this machine, read and hashed many at a time on one thread, for a placement that sends them on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from anyio import from_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.checksums import SHA256_CHUNKED, hash_bytes
from quilt_mcp.domain.entry import Hash
from quilt_mcp.errors import OutsideRoots
from quilt_mcp.registry.writing.arrivals import Incoming
from quilt_mcp.storage.hashing import require_unchanged
from quilt_mcp.storage.s3.uploads import MULTIPART_FROM
from quilt_mcp.storage.store import LocalFiles, Store, Stores


@dataclass(frozen=True, slots=True)
class Read:
    """A file's bytes and their hash."""

    content: bytes
    hash: Hash


def read_small_files(
    stores: Stores, items: Sequence[Incoming], hash_type: str = SHA256_CHUNKED
) -> dict[str, Read]:
    """Reads and hashes the files, and answers them by logical key, without those that grow or have grown large by now.

    Opens a folder once for all neighbours in it. Blocks: for a worker thread.
    """
    found: dict[str, Read] = {}
    for folder, neighbours in groupby(items, lambda item: _path(item).rpartition("/")[0]):
        with _opener(stores, folder) as open_file:
            for item in neighbours:
                from_thread.check_cancelled()
                descriptor = open_file(_path(item))
                try:
                    before = os.fstat(descriptor)
                    content = os.pread(descriptor, min(before.st_size + 1, MULTIPART_FROM), 0)
                    is_whole = len(content) < MULTIPART_FROM and len(content) <= before.st_size
                    if is_whole:
                        require_unchanged(descriptor, before, len(content))
                finally:
                    os.close(descriptor)
                if is_whole:
                    found[item.logical_key] = Read(content, hash_bytes(content, hash_type))
    return found


@contextmanager
def _opener(stores: Stores, folder: str) -> Generator[Callable[[str], int]]:
    """Yields what opens the files of one folder by their paths. The folder follows no link; a link is located by itself."""
    store, prefix = stores.locate_folder(PhysicalKey(None, folder or "/"))
    with _local(store).files_in(prefix) as open_name:

        def open_file(path: str) -> int:
            try:
                return open_name(path[len(folder) + 1 :])
            except OutsideRoots:
                store, key = stores.locate(PhysicalKey(None, path))
                return _local(store).open_file(key)

        yield open_file


def _path(item: Incoming) -> str:
    assert item.physical_key is not None and item.physical_key.bucket is None, "a file of this machine"
    return item.physical_key.path


def _local(store: Store) -> LocalFiles:
    assert store.local_files is not None, "a local path leads to local files"
    return store.local_files
