"""Refusals: what a draft says of changes that its parent, or one another, leave no room for."""

from __future__ import annotations

from itertools import islice

from quilt_mcp.errors import DuplicateKey, EntryNotFound, NotAFile
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.writing.drafts.changes import Pattern

_NEAR = 3
"""Paths named to who asked for others."""


def nothing_at(parent: Manifest, key: str, pattern: Pattern | None = None) -> EntryNotFound | NotAFile:
    """Of a key, or a ``pattern`` spelled so, that meets nothing in the parent."""
    if not key.endswith("/") and parent.folder_totals(key) is not None:
        return NotAFile(
            f"{key!r} is a folder.",
            next_step=f"Write it as {key + '/'!r} to mean the folder and all that lies below it.",
            details={"path": key},
        )
    close = parent.suggest(key)
    if pattern is not None and not close:
        close = [row.path for row in islice(parent.rows(pattern.folder), _NEAR)]
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    what = f"There is no {key!r}" if pattern is None else f"Nothing matches {key!r}"
    return EntryNotFound(
        f"{what} in the parent revision.",
        next_step=f"{hint}Call package_browse for what it holds.",
        details={"path": key, "suggestions": close},
    )


def rename_meets(key: str, other: str) -> DuplicateKey:
    return DuplicateKey(
        f"A rename ends at {key!r}, where {other}.",
        next_step="Choose another logical key, leave one of the two out, or remove a file that is there in the same call.",
        details={"path": key},
    )


def asked_twice(key: str, what: str) -> EntryNotFound:
    return EntryNotFound(what, next_step="Leave out one of the two.", details={"path": key})
