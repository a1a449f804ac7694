"""Keys of a local store, as the names of folders and files."""

from __future__ import annotations

from typing import Final

from quilt_mcp.errors import InvalidName
from quilt_mcp.storage.local.confined import Parts, split_key

TEMP: Final[Parts] = (".quilt", "tmp")
LOCKS: Final[Parts] = (".quilt", "locks")
OWN: Final = {TEMP, LOCKS}
"""Folders of the store itself."""


def key_parts(key: str) -> Parts:
    """The names of a key. Raises InvalidName, for the store's own folders too."""
    parts = split_key(key)
    if parts[:2] in OWN:
        raise InvalidName(
            f"The key {key!r} lies in a folder that the registry keeps for itself.",
            next_step="Use a key outside .quilt/tmp and .quilt/locks.",
            details={"key": ascii(key)},
        )
    return parts


def folder_prefix(folder: Parts) -> str:
    return "".join(f"{name}/" for name in folder)


def folder_parts(prefix: str) -> Parts:
    """The names of a folder. Raises InvalidName for a prefix that ends in the middle of a name."""
    if prefix and not prefix.endswith("/"):
        raise InvalidName(
            f"{prefix!r} does not name a folder.", next_step="Make the same call with a '/' at its end."
        )
    return key_parts(prefix[:-1]) if prefix else ()
