"""What writing verbs are asked for, and what they answer: requests, plans, outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

from quilt_mcp.domain.address import PackageUri


class Unset(Enum):
    """Tells 'not given' from null. Use the one value UNSET."""

    UNSET = "unset"


UNSET = Unset.UNSET


class Progress(Protocol):
    """Called as long work goes on. ``done`` never decreases; ``total`` None while unknown. Units: bytes or entries,
    as ``message`` says. Awaiting it is where a cancelled call stops."""

    async def __call__(self, done: float, total: float | None, message: str) -> None: ...


async def no_progress(done: float, total: float | None, message: str) -> None:
    """The Progress of callers that do not watch."""


def share(progress: Progress, begin: float, share: float) -> Progress:
    """For one of several passes over the same bytes: what it has done counts as ``share`` of itself, after ``begin``."""

    async def report(done: float, total: float | None, message: str) -> None:
        await progress(begin + done * share, total, message)

    return report


class Tally:
    """Adds up what several acts at once have done, and tells it as one."""

    def __init__(self, progress: Progress, total: float, message: str) -> None:
        self._progress = progress
        self._message = message
        self.total = total
        self.done = 0.0

    async def add(self, more: float) -> None:
        self.done += more
        await self._progress(self.done, self.total, self._message)

    def of_one(self) -> Progress:
        """For one act, which tells all that it has done so far. It may tell less than before."""
        told = 0.0

        async def report(done: float, total: float | None, message: str) -> None:
            nonlocal told
            more, told = max(done - told, 0.0), max(done, told)
            await self.add(more)

        return report


@dataclass(frozen=True, slots=True)
class Source:
    """Where files of a new revision come from.

    ``origin``: a local path or glob, a file:/s3: object URI, or a quilt+ URI (a file or folder of another package).
    ``to``: a logical key when ``origin`` is one file; a folder prefix ('' is the root) when it is more than one,
    or when ``to`` ends in '/'. ``metadata`` becomes each file's user metadata (UNSET: keep the source's own).
    ``include`` and ``exclude``: globs of paths below ``origin`` (``glob.Choice``): ``*.csv`` and ``node_modules`` are names of
    files or folders at any depth, ``build/`` a folder with all below it, ``data/raw`` a path from ``origin`` on.
    """

    origin: str
    to: str = ""
    metadata: Any = UNSET
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file given in the request itself."""

    logical_key: str
    content: bytes
    metadata: Any = UNSET


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Asks for a new package, or with ``overwrite`` for a revision that replaces everything."""

    package: PackageUri
    sources: tuple[Source, ...] = ()
    files: tuple[InlineFile, ...] = ()
    metadata: Any = UNSET
    message: str | None = None
    workflow: str | Unset | None = UNSET
    """UNSET: the registry's default; None: explicitly none; str: that workflow (quilt3's own three cases)."""
    overwrite: bool = False
    copy: bool = True
    """Copy the bytes into the registry; False refers to them in place (quilt3's ``build``)."""


@dataclass(frozen=True, slots=True)
class Rename:
    """``old`` and ``new`` are logical keys, or both folder prefixes ending in '/'."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """Asks for changes on an expected parent.

    ``expected_top_hash`` full or short; None: whatever latest is when the plan is made. ``remove``: logical keys,
    or folder prefixes ending in '/'. Order: remove, rename, add. ``entry_metadata`` sets the user metadata of
    entries (key: logical key) or directories (key ends in '/') that stay; null removes it.
    """

    package: PackageUri
    expected_top_hash: str | None = None
    add: tuple[Source, ...] = ()
    files: tuple[InlineFile, ...] = ()
    remove: tuple[str, ...] = ()
    rename: tuple[Rename, ...] = ()
    metadata: Any = UNSET
    metadata_mode: Literal["merge", "replace"] = "merge"
    """merge: an RFC 7396 merge patch on the package metadata; replace: the whole value."""
    entry_metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    message: str | None = None
    workflow: str | Unset | None = UNSET
    merge: bool = False
    """On a stale parent, redo disjoint changes on the new latest instead of raising StaleParent."""
    copy: bool = True


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """Asks for a revision to stand under another name or in another registry. ``destination`` names no revision.

    A revision that is copied onto its own name becomes latest again (quilt3's rollback): its pointer moves and nothing else is
    written, so ``message`` and ``workflow`` may only say what it has.
    """

    source: PackageUri
    destination: PackageUri
    message: str | Unset | None = UNSET
    """UNSET keeps the source's message (and so, data copied, the very same top hash)."""
    overwrite: bool = False
    copy: bool = True
    workflow: str | Unset | None = UNSET


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One line of a plan. ``old_path`` only for renames."""

    path: str
    action: Literal["add", "replace", "remove", "rename", "metadata"]
    size: int | None = None
    origin: str | None = None
    old_path: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a write will do. Nothing has been written yet.

    ``changes`` is cut at a bound (``changes_total`` is not); counts are of entries. ``bytes_to_copy`` is an upper bound:
    what is referred to in place is not in it, and bytes that are already stored are not copied again.
    """

    package: PackageUri
    parent: str | None
    added: int
    replaced: int
    removed: int
    renamed: int
    kept: int
    metadata_changed: bool
    bytes_to_copy: int
    changes: tuple[PlannedChange, ...]
    changes_total: int
    workflow: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """A revision that was written and read back. ``parent`` is what latest pointed to before (None: a new package)."""

    plan: Plan
    uri: str
    top_hash: str
    bytes_copied: int
    merged_onto: str | None = None
    """The top hash that disjoint changes were redone on, when that was not the expected parent."""
    created: bool = True
    """False: the very same revision was already the latest; nothing was written."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    """``removed`` are the revision pointers deleted (or that would be); a latest that moves to another revision is not among
    them. Data and manifests stay, as with quilt3."""

    package: PackageUri
    removed: tuple[str, ...]
    latest: str | None
    """Top hash that latest points to afterwards; None: the package is gone."""
    done: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstallOutcome:
    """Files stand in ``dest`` with sizes and hashes verified. ``unchanged`` files were there already, byte for byte."""

    uri: str
    dest: str
    installed: int
    unchanged: int
    bytes_copied: int
    done: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PutOutcome:
    uri: str
    size: int
    done: bool
    replaced: bool
