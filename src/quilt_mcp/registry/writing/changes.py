"""Changes: what is asked of a draft, in the words of the request, and what that means for a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from quilt_mcp.domain.names import validate_logical_key
from quilt_mcp.domain.plan import Rename
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.registry.writing.arrivals import Arrivals


class Changes:
    """Order of effect: remove, rename, entry metadata, add. Keys end in '/' where a folder is meant.

    ``moved_bytes``: files whose entries stay and whose bytes are stored anew, all of the parent's (a copy to another registry).
    ``keep_parent`` False: only what comes in stays (a package written anew).
    """

    def __init__(
        self,
        incoming: Arrivals,
        *,
        moved_bytes: Arrivals | None = None,
        removed: Iterable[str] = (),
        renamed: Iterable[Rename] = (),
        entry_metadata: Mapping[str, Any] | None = None,
        keep_parent: bool = True,
    ) -> None:
        """Raises InvalidName, InvalidArgument for what no parent could make sense of."""
        self.incoming = incoming
        self.moved_bytes = moved_bytes
        self.removed = dict.fromkeys(map(_checked, removed))
        """In the order of the request."""
        self.renamed: dict[str, str] = {}
        """The new names by the old."""
        self.entry_metadata = entry_metadata or {}
        self.keep_parent = keep_parent
        for rename in renamed:
            self._rename(rename)
        for key in self.entry_metadata:
            if _checked(key) in incoming:
                raise InvalidArgument(
                    f"{key!r} is added, and its metadata is set apart from that.",
                    next_step="Give the metadata with the file that is added.",
                    details={"path": key},
                )

    def _rename(self, rename: Rename) -> None:
        old, new = _checked(rename.old), rename.new
        if old.endswith("/") != new.endswith("/") and new:
            raise InvalidArgument(
                f"Cannot rename {old!r} to {new!r}: one is a folder and the other is not.",
                next_step="End both with '/' to rename a folder, or neither to rename a file.",
            )
        if old in self.renamed:
            raise InvalidArgument(
                f"{old!r} is renamed twice.",
                next_step="Rename it once; a copy of a file is added, with the file's URI as the source.",
                details={"path": old},
            )
        self.renamed[old] = _checked(new) if new or not old.endswith("/") else new

    def removes_folder_of(self, key: str) -> bool:
        """Whether a folder is removed that ``key`` is or lies in."""
        return any(folder in self.removed for folder in _folders_of(key))

    def rename_of(self, key: str) -> str | None:
        """The rename that ``key`` falls under, by its old name: the most exact wins."""
        if key in self.renamed:
            return key
        return next((folder for folder in _folders_of(key) if folder in self.renamed), None)

    def new_key(self, key: str) -> str:
        old = self.rename_of(key)
        return key if old is None else self.renamed[old] + key[len(old) :]


def _folders_of(key: str) -> Iterator[str]:
    """The folders that ``key`` lies in, itself if it is one, from the innermost."""
    at = len(key)
    while (at := key.rfind("/", 0, at)) >= 0:
        yield key[: at + 1]


def _checked(key: str) -> str:
    """The key, which must be spelled as a manifest has it: compared with others, another spelling would pass unseen."""
    validate_logical_key(key.removesuffix("/"))
    return key
