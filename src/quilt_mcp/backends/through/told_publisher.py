"""ToldPublisher: has a stack publish revisions. The stack checks no parent, so this looks before and after (decision 031)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import anyio

from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.backends.through.told_store import DIRECT
from quilt_mcp.catalog.packages import LEVELS, StackPackages
from quilt_mcp.catalog.told import PushParams
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.diff import is_same_json
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header
from quilt_mcp.errors import (
    Misconfigured,
    NotSupported,
    OutcomeUnknown,
    QuiltError,
    StackFailed,
    StorageUnavailable,
    TooLarge,
    WorkflowFailed,
)
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.writing.conflicts import stale_parent
from quilt_mcp.registry.writing.drafts.draft import Draft
from quilt_mcp.registry.writing.publish import COMMIT_SECONDS, Published
from quilt_mcp.storage.workers import in_thread

_A_SECOND: Final = 1.1
_KEPT: Final = frozenset({"version", "message", "user_meta", "workflow"})
"""Fields of a header that a stack writes."""


class ToldPublisher:
    """See ``author.Publishes``. Not atomic with the look at the parent: what another publishes in the moment between is not
    refused. It stays in the log, and a warning names it."""

    def __init__(self, packages: StackPackages, registry: ToldRegistry) -> None:
        self._packages = packages
        self._registry = registry
        self._bucket = registry.url.removeprefix("s3://")

    async def publish(
        self, name: str, header: Header, draft: Draft, parent: Pointer | None, *, replace_manifest: bool
    ) -> Published:
        """Raises StaleParent, NotSupported (as ``check_folders``), OutcomeUnknown, and as ``StackPackages.construct``."""
        entries = await in_thread(lambda: check_folders(name, draft.directories(), draft.entries()))
        return await self._construct(name, header, entries, parent)

    async def roll_back(self, name: str, top_hash: str, parent: Pointer | None) -> Published:
        """Publishes an earlier revision's files, metadata and message again: a stack moves no pointers. Raises as ``publish``."""
        if parent is not None and parent.top_hash == top_hash:
            return Published(top_hash, False, ())
        manifest, entries = await self.checked(name, top_hash)
        said = "published_again: a stack moves no pointer; the revision's files, metadata and message are a new line of the log."
        done = await self._construct(name, manifest.header, entries, parent, said)
        if done.top_hash == top_hash:
            return done
        other = f"other_hash: the stack made {done.top_hash}, and does not tell why; package_diff compares the two."
        return Published(done.top_hash, True, (*done.warnings, other))

    async def checked(self, name: str, top_hash: str) -> tuple[Manifest, list[Entry]]:
        """A revision that may be published again. Raises as ``check_folders``, and CorruptManifest."""
        _, manifest = await self._registry.open(PackageUri(self._registry.url, name, top_hash=top_hash))
        checking = partial(check_folders, name, manifest.directory_metas(), manifest.entries())
        return manifest, await in_thread(checking)

    async def promote(
        self, name: str, source: PackageUri, header: Header, parent: Pointer | None, entries: int
    ) -> Published:
        """``source``: pinned, with so many ``entries``. Raises as ``publish``; where the stack dies of it, with the reason that
        it mostly has."""
        assert source.top_hash is not None, "a source is pinned"
        bucket, top_hash = source.registry.removeprefix("s3://"), source.top_hash
        params = self._params(name, header)
        try:
            return await self._carried_out(
                name,
                parent,
                lambda: self._packages.promote(params, bucket, source.name, top_hash),
                header,
                entries,
            )
        except OutcomeUnknown as error:
            if isinstance(error.__cause__, StackFailed):
                error.next_step += (
                    f" A stack fails so where {source.registry} has no workflow configuration: packages go on only to the "
                    "successors that it names."
                )
            raise

    def _params(self, name: str, header: Header) -> PushParams:
        return PushParams(self._bucket, name, header.message or None, header.user_meta, _workflow(header))

    async def _construct(
        self, name: str, header: Header, entries: list[Entry], parent: Pointer | None, *warnings: str
    ) -> Published:
        act = partial(self._packages.construct, self._params(name, header), entries)
        done = await self._carried_out(name, parent, act, header, len(entries))
        lost = sorted({*header.fields} - _KEPT)
        if lost:
            warnings = (
                *warnings,
                f"header_fields: the stack does not write {', '.join(map(repr, lost))} of the header.",
            )
        return Published(done.top_hash, True, (*warnings, *done.warnings))

    async def _carried_out(
        self, name: str, parent: Pointer | None, act: Callable[[], str], header: Header, entries: int
    ) -> Published:
        """``header`` and ``entries``: what the revision is to have."""
        self._registry.forget_pointers()
        latest = await self._registry.pointers.latest(name)
        if (
            latest is not None
        ):  # a stack names lines of the log by seconds: a second one would take the first one's place
            await anyio.sleep(
                max(0.0, min(_A_SECOND, _A_SECOND - (time.time() - latest.modified.timestamp())))
            )
        if (latest and latest.top_hash) != (parent and parent.top_hash):
            raise stale_parent(name, parent and parent.top_hash, latest)
        try:
            top_hash = await in_thread(act, patience=COMMIT_SECONDS)
        except (StackFailed, StorageUnavailable) as error:
            if error.details.get("status") == 429:
                raise  # it was turned away
            raise OutcomeUnknown(
                f"Whether the stack made the revision of {name} is not known: {error.message}",
                next_step=f"Call package_log of {name} before anything is written again; a stack that hashes or copies many "
                "files may still be at work.",
                details={"package": name, "parent": parent and parent.top_hash} | error.details,
            ) from error
        except Misconfigured as error:
            if error.details.get("status") != 413:
                raise
            raise TooLarge(
                f"The stack does not take a revision of so many files at once ({entries:,}), or of so much metadata.",
                next_step=f"Make packages of fewer files. {DIRECT}",
                details={"package": name, "entries": entries},
            ) from error
        except WorkflowFailed as error:
            error.next_step = "Mend what the reason names, or pass another workflow (AWS credentials are needed to read it)."
            raise
        told = await in_thread(
            partial(self._read_back, name, top_hash, parent and parent.top_hash, header, entries)
        )
        return Published(top_hash, True, told)

    def _read_back(
        self, name: str, top_hash: str, parent: str | None, header: Header, entries: int
    ) -> tuple[str, ...]:
        """What another published in the moments around the write, and what the stack made otherwise than it was told."""
        try:
            hashes = [one.top_hash for one in self._packages.hashes(self._bucket, name).revisions]
            made = self._packages.revision(self._bucket, name, top_hash)
        except QuiltError as error:
            return (f"not_read_back: the revision is made; reading the log back failed ({error.code}).",)
        if top_hash not in hashes or made is None or made.header is None:
            return (f"not_in_log: the stack made {top_hash}, and does not tell of it in the log (yet).",)
        said: list[str] = []
        is_as_told = (made.header.message or None) == (header.message or None) and is_same_json(
            made.header.user_meta, header.user_meta
        )
        if not is_as_told or made.entries not in (None, entries):
            said.append(
                f"not_as_planned: the stack made a revision of {made.entries} files with the message {made.header.message!r}; "
                "look at it with package_browse before it is used."
            )
        at = hashes.index(top_hash)
        before = next(iter(hashes[at + 1 :]), None)
        if at:
            said.append(f"moved_on: another published {hashes[0]} right after; that is latest now.")
        if before != parent and before is not None:
            said.append(
                f"overtaken: {before} stands just before it in the log, and this revision does not build on it; package_diff "
                "compares the two."
            )
        if parent is not None and parent not in hashes:
            said.append(f"parent_gone: the log does not tell of {parent} any more, on which it builds.")
        return tuple(said)


def check_folders(name: str, folders: Iterable[DirectoryMeta], entries: Iterable[Entry]) -> list[Entry]:
    """The entries, where nothing of their folders is lost. Raises NotSupported where a folder has metadata, which a stack does
    not write, or is so deep that the stack does not tell whether it has."""
    told = list(entries)
    if any(True for _ in folders):
        raise NotSupported(
            f"Folders of {name} have metadata, which the stack does not write: it would be lost.",
            next_step=f"Take it away with entry_metadata (null for each folder), or write directly. {DIRECT}",
            details={"package": name, "way": "stack"},
        )
    deep = next((one.logical_key for one in told if one.logical_key.count("/") > LEVELS), None)
    if deep is not None:
        raise NotSupported(
            f"{deep!r} lies more than {LEVELS} folders deep, and the stack does not tell whether such folders have metadata: it "
            "would be lost.",
            next_step=DIRECT,
            details={"package": name, "path": deep, "way": "stack"},
        )
    return told


def _workflow(header: Header) -> str | None:
    """As the stack is told: None for the bucket's default, empty for none."""
    if header.workflow is None:
        return None
    return header.workflow.get("id") or ""
