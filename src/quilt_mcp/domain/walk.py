"""Walk order: how a manifest's records follow each other, and what cannot stand side by side.

Walk order is depth first, siblings by code point, files and folders mixed: the order of ``logical_key.split('/')``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from quilt_mcp.domain.entry import DirectoryMeta
from quilt_mcp.domain.names import walk_key
from quilt_mcp.errors import CorruptManifest, DuplicateKey


def directory_order(directories: Iterable[DirectoryMeta]) -> Iterator[DirectoryMeta]:
    """The directories that have metadata, as quilt3 writes them before every entry: in walk order, a folder before its
    sub-folders. Of directories given twice the last wins, and empty metadata is left out."""
    by_key = {directory.logical_key: directory for directory in directories}
    for key in sorted(by_key, key=directory_walk_key):
        if by_key[key].meta:
            yield by_key[key]


def directory_walk_key(logical_key: str) -> str:
    """``walk_key`` of a directory's key without its trailing '/', so that a folder comes before what it holds."""
    return walk_key(logical_key.removesuffix("/"))


def duplicate_key(logical_key: str) -> DuplicateKey:
    return DuplicateKey(
        f"Two files claim the logical key {logical_key!r}.",
        next_step="Give one of them another logical key, or leave it out.",
        details={"logical_key": logical_key},
    )


def file_and_folder(logical_key: str) -> DuplicateKey:
    return DuplicateKey(
        f"{logical_key!r} is a file, and also a folder with files below it; a package holds one or the other.",
        next_step="Rename or leave out the file, or move what is below the folder.",
        details={"logical_key": logical_key},
    )


def corrupt_duplicate(logical_key: str) -> CorruptManifest:
    """A manifest that has an entry twice."""
    clash = duplicate_key(logical_key[:200])
    return corrupt_manifest(clash.message, clash.details)


def corrupt_file_and_folder(walk_key: bytes) -> CorruptManifest:
    """A manifest in which the entry of that walk key is also a folder."""
    clash = file_and_folder(walk_key.decode(errors="replace").replace("\0", "/")[:200])
    return corrupt_manifest(clash.message, clash.details)


def corrupt_manifest(why: str, details: Mapping[str, Any] | None = None) -> CorruptManifest:
    """``why``: a sentence."""
    return CorruptManifest(
        f"The manifest is corrupt. {why}",
        next_step="Choose another revision with package_log, or ask who wrote this one to push it again.",
        details=details,
    )
