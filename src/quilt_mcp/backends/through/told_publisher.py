"""ToldPublisher: has a stack publish revisions. The stack checks no parent, so this looks before and after (decision 031)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.backends.through.told_store import DIRECT
from quilt_mcp.catalog.packages import LEVELS, Pushed, StackPackages
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Header
from quilt_mcp.errors import NotSupported, OutcomeUnknown, QuiltError, StackFailed, StorageUnavailable
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.writing.conflicts import stale_parent
from quilt_mcp.registry.writing.drafts.draft import Draft
from quilt_mcp.registry.writing.publish import COMMIT_SECONDS, Published
from quilt_mcp.storage.workers import in_thread

_DEEPER: Final = (
    f"folder_metadata: the stack tells the metadata of folders {LEVELS} levels deep; what deeper ones have is not in the new "
    "revision."
)


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
        """Raises StaleParent, NotSupported (folders have metadata, which would be lost), OutcomeUnknown, and as
        ``StackPackages.construct``."""
        if any(True for _ in draft.directories()):
            raise NotSupported(
                f"Folders of {name} have metadata, which the stack does not write: it would be lost.",
                next_step=f"Take it away with entry_metadata (null for each folder), or write directly. {DIRECT}",
                details={"package": name, "way": "stack"},
            )
        entries = await in_thread(lambda: [*draft.entries()])
        pushed = Pushed(self._bucket, name, header.message, header.user_meta, _workflow(header))
        has_deep = draft.parent is not None and any(one.logical_key.count("/") > LEVELS for one in entries)
        warnings = (_DEEPER,) if has_deep else ()
        return await self._carried_out(
            name, parent, lambda: self._packages.construct(pushed, entries), warnings
        )

    async def roll_back(self, name: str, top_hash: str, parent: Pointer | None) -> Published:
        """Publishes an earlier revision's files, metadata and message again: a stack moves no pointers."""
        if parent is not None and parent.top_hash == top_hash:
            return Published(top_hash, False, ())
        _, manifest = await self._registry.open(PackageUri(self._registry.url, name, top_hash=top_hash))
        if any(True for _ in manifest.directory_metas()):
            raise NotSupported(
                f"Folders of {name} have metadata, which the stack does not write: it would be lost.",
                next_step=DIRECT,
                details={"package": name, "way": "stack"},
            )
        header = manifest.header
        pushed = Pushed(self._bucket, name, header.message, header.user_meta, _workflow(header))
        entries = await in_thread(lambda: [*manifest.entries()])
        said = "published_again: a stack moves no pointer; the revision's files, metadata and message are a new line of the log."
        done = await self._carried_out(
            name, parent, lambda: self._packages.construct(pushed, entries), (said,)
        )
        if done.top_hash == top_hash:
            return done
        other = f"other_hash: its top hash is {done.top_hash} now, as the workflow's configuration is another one."
        return Published(done.top_hash, True, (*done.warnings, other))

    async def promote(
        self, name: str, source: PackageUri, header: Header, parent: Pointer | None
    ) -> Published:
        """``source``: pinned. Raises as ``publish``; where the stack dies of it, with the reason that it mostly has."""
        assert source.top_hash is not None, "a source is pinned"
        bucket, top_hash = source.registry.removeprefix("s3://"), source.top_hash
        pushed = Pushed(self._bucket, name, header.message, header.user_meta, _workflow(header))
        try:
            return await self._carried_out(
                name, parent, lambda: self._packages.promote(pushed, bucket, source.name, top_hash)
            )
        except OutcomeUnknown as error:
            if isinstance(error.__cause__, StackFailed):
                error.next_step += (
                    f" A stack fails so where {source.registry} has no workflow configuration: packages go on only to the "
                    "successors that it names."
                )
            raise

    async def _carried_out(
        self,
        name: str,
        parent: Pointer | None,
        act: Callable[[], str],
        warnings: tuple[str, ...] = (),
    ) -> Published:
        self._registry.forget_pointers()
        latest = await self._registry.pointers.latest(name)
        if (latest and latest.top_hash) != (parent and parent.top_hash):
            raise stale_parent(name, parent and parent.top_hash, latest)
        try:
            top_hash = await in_thread(act, patience=COMMIT_SECONDS)
        except (StackFailed, StorageUnavailable) as error:
            raise OutcomeUnknown(
                f"Whether the stack made the revision of {name} is not known: {error.message}",
                next_step=f"Call package_log of {name} before anything is written again.",
                details={"package": name, "parent": parent and parent.top_hash} | error.details,
            ) from error
        told = await self._read_back(name, top_hash, parent and parent.top_hash)
        return Published(top_hash, True, (*warnings, *told))

    async def _read_back(self, name: str, top_hash: str, parent: str | None) -> tuple[str, ...]:
        """What another published in the moments around the write."""
        try:
            log = await in_thread(partial(self._packages.log, self._bucket, name))
        except QuiltError as error:
            return (f"not_read_back: the revision is made; reading the log back failed ({error.code}).",)
        hashes = [one.top_hash for one in log.revisions]
        if top_hash not in hashes:
            return (f"not_in_log: the stack made {top_hash}, and does not tell of it in the log (yet).",)
        at = hashes.index(top_hash)
        before = next(iter(hashes[at + 1 :]), None)
        said: list[str] = []
        if at:
            said.append(f"moved_on: another published {hashes[0]} right after; that is latest now.")
        if before != parent:
            said.append(
                f"overtaken: another published {before} just before, and this revision does not build on it; package_diff "
                "compares the two."
            )
        return tuple(said)


def _workflow(header: Header) -> str | None:
    """As the stack is told: None for the bucket's default, empty for none."""
    if header.workflow is None:
        return None
    return header.workflow.get("id") or ""
