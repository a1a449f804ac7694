"""Changes: what is asked of a draft, in the words of the request, and what that means for a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from quilt_mcp.domain.glob import Choice, has_wildcard, split_glob
from quilt_mcp.domain.names import validate_logical_key
from quilt_mcp.domain.plan import Rename
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.writing.arrivals import Arrivals


@dataclass(frozen=True, slots=True)
class Pattern:
    """Of ``remove``, ``rename`` and ``entry_metadata``. ``folder`` is what every match lies in ('' or ending in '/')."""

    folder: str
    choice: Choice

    @classmethod
    def parse(cls, text: str) -> Pattern:
        folder = split_glob(text)[0].removeprefix("./").lstrip("/")
        return cls(folder, Choice((), (text,)))

    def takes(self, key: str) -> bool:
        """The file at ``key``, or all that can lie in the folder."""
        return self.choice.passes_over(key) if key.endswith("/") else not self.choice.takes(key)


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
        metadata_mode: Literal["merge", "replace"] = "merge",
        keep_parent: bool = True,
    ) -> None:
        """Raises InvalidName, InvalidArgument for what no parent could make sense of."""
        self.incoming = incoming
        self.moved_bytes = moved_bytes
        self.removed = dict.fromkeys(map(_checked, removed))
        """In the order of the request."""
        self.renamed: dict[str, str] = {}
        """The new names by the old."""
        self.patterns: dict[str, Pattern] = {}
        """Those of ``removed``, of the old names and of the keys of ``entry_metadata`` that are patterns."""
        self.entry_metadata = entry_metadata or {}
        self.merges_metadata = metadata_mode == "merge"
        self.keep_parent = keep_parent
        for rename in renamed:
            self._rename(rename)
        for key in self.entry_metadata:
            self.require_stays(_checked(key))

    def require_stays(self, key: str) -> None:
        """Raises InvalidArgument for a file that metadata is set on and that comes in."""
        if key in self.incoming:
            raise InvalidArgument(
                f"{key!r} is added, and its metadata is set apart from that.",
                next_step="Give the metadata with the file that is added.",
                details={"path": key},
            )

    def _rename(self, rename: Rename) -> None:
        old, new = _checked(rename.old), rename.new
        if old.endswith("/") and new and not new.endswith("/"):
            raise InvalidArgument(
                f"Cannot rename {old!r} to {new!r}: one is a folder and the other is not.",
                next_step="End both with '/' to rename a folder.",
            )
        if old in self.renamed:
            raise InvalidArgument(
                f"{old!r} is renamed twice.",
                next_step="Rename it once; a copy of a file is added, with the file's URI as the source.",
                details={"path": old},
            )
        many = old.endswith("/") or has_wildcard(old)
        self.renamed[old] = _spelled(new) if new or not many else new

    def meet(self, parent: Manifest) -> None:
        """Tells patterns from names of ``parent``'s that have such characters. Raises InvalidArgument."""
        wildcards = [key for key in (*self.removed, *self.renamed, *self.entry_metadata) if has_wildcard(key)]
        self.patterns = {key: Pattern.parse(key) for key in wildcards if not parent.has(key)}
        for old, new in self.renamed.items():
            if old in self.patterns and new and not new.endswith("/"):
                raise InvalidArgument(
                    f"Cannot rename all that matches {old!r} to {new!r}, which is no folder.",
                    next_step=f"Write {new + '/'!r} to move them into that folder, or '' for the root.",
                    details={"path": old},
                )
            if old not in self.patterns and new.endswith("/") and not old.endswith("/"):
                self.renamed[old] = new + old.rpartition("/")[2]

    def removes_folder_of(self, key: str) -> bool:
        """Whether a folder is removed that ``key`` is or lies in, or a pattern takes it."""
        return any(folder in self.removed for folder in _folders_of(key)) or any(
            name in self.removed and pattern.takes(key) for name, pattern in self.patterns.items()
        )

    def metadata_of(self, key: str) -> list[Any]:
        """What is given for the entry at ``key``, in the order of effect: by patterns in the order of the request, then by its
        own path."""
        by_pattern = [
            given
            for name, given in self.entry_metadata.items()
            if name in self.patterns and self.patterns[name].takes(key)
        ]
        return [*by_pattern, self.entry_metadata[key]] if key in self.entry_metadata else by_pattern

    def rename_of(self, key: str) -> str | None:
        """The rename that ``key`` falls under, by its old name: the most exact wins, a pattern last."""
        if key in self.renamed:
            return key
        patterns = (
            name for name, pattern in self.patterns.items() if name in self.renamed and pattern.takes(key)
        )
        return next((folder for folder in _folders_of(key) if folder in self.renamed), next(patterns, None))

    def new_key(self, key: str) -> str:
        old = self.rename_of(key)
        if old is None:
            return key
        return self.renamed[old] + key[len(self.patterns[old].folder if old in self.patterns else old) :]


def _folders_of(key: str) -> Iterator[str]:
    """The folders that ``key`` lies in, itself if it is one, from the innermost."""
    at = len(key)
    while (at := key.rfind("/", 0, at)) >= 0:
        yield key[: at + 1]


def _checked(key: str) -> str:
    """A key of the parent's, or a pattern of such."""
    return key if has_wildcard(key) else _spelled(key)


def _spelled(key: str) -> str:
    """The key, which must be spelled as a manifest has it: compared with others, another spelling would pass unseen."""
    validate_logical_key(key.removesuffix("/"))
    return key
