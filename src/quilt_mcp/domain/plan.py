"""What writing verbs are asked for, and what they answer: requests, plans, outcomes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import Any, Literal, Protocol

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.diff import FieldChange, first_fields
from quilt_mcp.domain.listing import Revision, Totals

Action = Literal["add", "replace", "remove", "rename", "metadata"]


class Unset(Enum):
    """Tells 'not given' from null. Use the one value UNSET."""

    UNSET = "unset"


UNSET = Unset.UNSET
NO_WORKFLOW = ":none"
"""A caller's word for no workflow. It can be none's id: a configuration's ids are made of letters, digits, '_' and '-'."""


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
    """Adds up what several acts at once have done, and tells it as one: bytes, and in the message how many of ``files``."""

    def __init__(self, progress: Progress, total: float, message: str, files: int = 0) -> None:
        self._progress = progress
        self._message = message
        self.total = total
        self.done = 0.0
        self.files = files
        self.files_done = 0

    async def add(self, more: float) -> None:
        self.done += more
        counted = f", {self.files_done:,} of {self.files:,} files" if self.files > 1 else ""
        await self._progress(self.done, self.total, self._message + counted)

    def of(self, *sizes: int) -> Progress:
        """For one act on files of these sizes, one after the other, which tells all bytes that it has done so far. It may tell
        less than before. A file is done with its last byte."""
        ends = list(accumulate(sizes))
        told, ended = 0.0, 0

        async def report(done: float, total: float | None, message: str) -> None:
            nonlocal told, ended
            more, told = max(done - told, 0.0), max(done, told)
            before, ended = ended, bisect_right(ends, told)
            self.files_done += ended - before
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
    """A file given in the request itself. ``form``: the name by which quilt3 knows what it is (csv, parquet), which the entry
    then says: the object's own name may have no ending to go by."""

    logical_key: str
    content: bytes
    metadata: Any = UNSET
    form: str | None = None


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """Asks for a new package, or with ``overwrite`` for a revision that replaces all files. A file or folder that stands in both
    keeps its metadata unless it is given other."""

    package: PackageUri
    sources: tuple[Source, ...] = ()
    files: tuple[InlineFile, ...] = ()
    metadata: Any = UNSET
    """UNSET keeps that of the revision overwritten; ``{}`` empties it."""
    message: str | None = None
    workflow: str | Unset | None = UNSET
    """UNSET: that of the revision it builds on, else the registry's default; None: explicitly none; str: that workflow."""
    overwrite: bool = False
    copy: bool = True
    """Copy the bytes into the registry; False refers to them in place (quilt3's ``build``)."""
    allow_empty: bool = False
    """Without it, a package of no files is refused."""
    metadata_from: str | None = None
    """The logical key of a JSON or YAML file that comes in, or such a file's address: its content is the ``metadata``."""
    agent_context: Mapping[str, Any] | None = None
    """What is noted of the program that writes (``metadata.with_agent_context``); None: nothing."""


@dataclass(frozen=True, slots=True)
class Rename:
    """``old`` is a logical key, a folder prefix ending in '/', or a pattern (as ``PatchRequest.remove``). ``new`` is a logical
    key for a file, and a folder prefix for all three ('' is the root): what a pattern matches keeps its path below the folder
    that the pattern begins with."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """Asks for changes on an expected parent.

    ``expected_top_hash`` full or short; None: whatever latest is when the plan is made. ``remove``: logical keys, folder
    prefixes ending in '/', or patterns (``glob.Choice``) where no file has that very name. Order: remove, rename, add.
    ``entry_metadata`` changes the user metadata of entries (key: logical key, or a pattern as in ``remove``, which means each
    entry that it takes) or directories (key ends in '/') that stay; null removes it. Where several keys mean one entry, patterns
    count in their order and its own path last. A file that is replaced keeps its metadata unless it is given other. A message
    alone makes a revision.
    """

    package: PackageUri
    expected_top_hash: str | None = None
    add: tuple[Source, ...] = ()
    files: tuple[InlineFile, ...] = ()
    remove: tuple[str, ...] = ()
    rename: tuple[Rename, ...] = ()
    metadata: Any = UNSET
    metadata_mode: Literal["merge", "replace"] = "merge"
    """Of package and entries alike. merge: an RFC 7396 merge patch on what is there; replace: the whole value."""
    entry_metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    message: str | None = None
    workflow: str | Unset | None = UNSET
    merge: bool = False
    """On a stale parent, redo disjoint changes on the new latest instead of raising StaleParent."""
    copy: bool = True
    metadata_from: str | None = None
    """As in CreateRequest."""
    agent_context: Mapping[str, Any] | None = None


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
    """UNSET: within one registry the source's, else the registry's default."""
    agent_context: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One line of a plan. ``old_path`` only for renames. ``fields``: of the entry's user metadata, of what was there before."""

    path: str
    action: Action
    size: int | None = None
    origin: str | None = None
    old_path: str | None = None
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowFault:
    """A rule of the registry's workflow that the revision breaks.

    ``rule``: is_workflow_required, is_message_required, handle_pattern, metadata_schema or entries_schema. ``pointer`` (RFC 6901)
    is where in the value the schema refuses: the package metadata, or the list of entries, whose ``path`` is the logical key.
    ``schema`` is the schema's id, ``schema_url`` its address, ``keyword`` a pointer to the part of it that refuses.
    """

    rule: str
    message: str
    pointer: str | None = None
    path: str | None = None
    schema: str | None = None
    schema_url: str | None = None
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What others published between the parent that a patch expects and latest. Each list is cut at a bound."""

    changes: tuple[PlannedChange, ...]
    changes_total: int
    metadata: tuple[FieldChange, ...]
    """Of the package."""
    revisions: tuple[Revision, ...]
    """Newest first."""

    def told(self) -> dict[str, Any]:
        """As JSON, in a conflict as in an outcome."""
        return {
            "changes": [
                {"path": one.path, "action": one.action}
                | ({} if one.old_path is None else {"old_path": one.old_path})
                | first_fields("fields", one.fields, *FIELDS_OF_ENTRY)
                for one in self.changes
            ],
            "changes_total": self.changes_total,
            "metadata": [one.told(FIELDS_OF_PACKAGE[1]) for one in self.metadata],
            "messages": [revision.message for revision in self.revisions],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What a write will do. Nothing has been written yet.

    ``actions``: how many entries each action concerns (of ``metadata`` folders too), and their bytes; what stays as it is, a file
    given again with the very same content included, is in none. ``changes`` is cut at a bound, ``changes_total`` is not.

    What is known without sending bytes is exact. Of files whose hash is not known yet (those of a bucket, and local ones above
    ``HASHED_AHEAD``) ``replace`` and ``bytes_to_copy`` are upper bounds: what they replace may turn out to be the same, and what
    is stored already is not copied again.
    """

    package: PackageUri
    parent: str | None
    actions: Mapping[Action, Totals]
    totals: Totals
    """Of the revision that comes out."""
    metadata_changed: bool
    bytes_to_copy: int
    changes: tuple[PlannedChange, ...]
    top_hash: str | None = None
    """Of the revision that comes out; None where it cannot be known without sending bytes."""
    workflow: Mapping[str, Any] | None = None
    faults: tuple[WorkflowFault, ...] = ()
    """All that the workflow has against it. The write raises WorkflowFailed for them."""
    changed_meanwhile: Meanwhile | None = None
    """What others published since the expected parent, which the plan builds on."""
    warnings: tuple[str, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    """Of package metadata, those that differ from the revision that it builds on; none where there is no such."""

    @property
    def added(self) -> int:
        return self.actions["add"].entries

    @property
    def replaced(self) -> int:
        return self.actions["replace"].entries

    @property
    def removed(self) -> int:
        return self.actions["remove"].entries

    @property
    def renamed(self) -> int:
        return self.actions["rename"].entries

    @property
    def metadata(self) -> int:
        """Entries and folders of which the metadata alone changes, as ``DiffTotals`` counts entries."""
        return self.actions["metadata"].entries

    @property
    def kept(self) -> int:
        """Entries whose path and content stay, those with other metadata included."""
        return self.totals.entries - self.added - self.replaced - self.renamed

    @property
    def changes_total(self) -> int:
        return sum(totals.entries for totals in self.actions.values())


HASHED_AHEAD = Totals(10_000, 256 << 20)
"""Up to so many files that come in, and bytes of those that lie on this machine, a plan reads them to know their hashes."""
CHANGES_SHOWN = 20
"""How many single changes a plan lists."""
FIELDS_OF_PACKAGE, FIELDS_OF_ENTRY = (20, 200), (5, 100)
"""How many fields of metadata that differ are shown, and how many characters of each value. package_diff shows all."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A revision that was written and read back. ``parent`` is what latest pointed to before (None: a new package)."""

    plan: Plan
    """As it was carried out: exact in all it says."""
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
    revisions: tuple[Revision, ...] = ()
    """Those whose pointers go, newest first, cut at a bound."""
    revisions_total: int = 0
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
    changes: tuple[PlannedChange, ...] = ()
    """The first of what is brought, ``add`` or ``replace``."""


@dataclass(frozen=True, slots=True)
class PutOutcome:
    uri: str
    size: int
    done: bool
    replaced: bool


Record = Mapping[str, Any]
"""What a stack keeps of one thing that is administered (a user, a bucket's configuration), as JSON in the words of the tools."""


@dataclass(frozen=True, slots=True)
class AdminChange:
    """One act of administration: ``action`` on the thing of a ``kind`` that ``name`` names, with what was ``given`` for it."""

    kind: str
    action: str
    name: str
    given: Record
    expected: str | None = None
    """The ``state`` that an earlier answer told: the thing has to be in it still."""


@dataclass(frozen=True, slots=True)
class AdminOutcome:
    """How the thing is (None: there is none) and how it is to be, or was made. Equal: nothing was sent."""

    before: Record | None
    after: Record | None
    done: bool
    state: str
    """Marks ``before``, for a guard in the call that follows a dry run."""
    warnings: tuple[str, ...] = ()
