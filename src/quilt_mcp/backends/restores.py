"""Restores: archived objects are looked at and restored, by S3 or by a Quilt stack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.listing import MOST_DAYS, STANDARD, Archive, RestoreOutcome
from quilt_mcp.errors import InvalidArgument, NotSupported
from quilt_mcp.storage.store import ArchiveKeeper, Place
from quilt_mcp.storage.workers import in_thread

_BY_OWN_KEYS: Final = (
    "by_own_keys: this stack's release restores no objects, so S3 was asked with the user's own AWS keys.",
)


class AskStack(Protocol):
    """Asks a stack, and answers whether nothing was under way. Blocks. Raises NotSupported."""

    def __call__(self, place: PhysicalKey, *, tier: str, days: int) -> bool: ...


class Restores:
    """See ``ops.SupportsRestore``. ``ask_stack``: who restores in place of S3, where there is a stack."""

    def __init__(
        self,
        locate: Callable[[str], Awaitable[tuple[str, Place]]],
        require_writes: Callable[[str], None],
        ask_stack: AskStack | None = None,
    ) -> None:
        self._locate = locate
        self._require_writes = require_writes
        self._ask_stack = ask_stack

    async def look(self, uri: str) -> Archive | None:
        _, place = await self._locate(uri)
        if place.store.archive is None:
            return None
        _, archive = await place.store.archive.stat(place.key, version=place.version)
        return archive

    async def restore(
        self, uri: str, *, tier: str = STANDARD, days: int = 1, dry_run: bool = False
    ) -> RestoreOutcome:
        """Two requests, three where a copy is kept for longer."""
        _check(days)
        _, place = await self._locate(uri)
        keeper = place.store.archive
        if keeper is None:
            raise NotSupported(
                f"{uri} lies on this machine, where nothing is archived.",
                next_step="Call object_read for its bytes.",
            )
        address = str(place.store.physical_key(place.key, place.version))
        stat = partial(keeper.stat, place.key, version=place.version)
        _, archive = await stat()
        if archive is None:
            return RestoreOutcome(address, "plain", False)
        wait = archive.wait(tier)
        if wait is None:
            raise InvalidArgument(
                f"{address} is in {archive.storage_class}, from which nothing is restored by tier {tier}.",
                next_step="Set tier to standard or bulk.",
                details=archive.told(),
            )
        if archive.restoring:
            return RestoreOutcome(address, "restoring", False, archive)
        if archive.until is not None and archive.until - datetime.now(UTC) >= timedelta(days=days):
            return RestoreOutcome(address, "restored", False, archive, archive.until)
        if dry_run:
            told = None if archive.is_readable else wait
            return RestoreOutcome(address, archive.state, False, archive, archive.until, told)
        self._require_writes("object_restore")
        is_new, warnings = await self._ask(place, keeper, archive, tier, days)
        if archive.until is not None:
            _, now = await stat()
            return RestoreOutcome(address, "restored", True, archive, now and now.until, warnings=warnings)
        if not is_new:
            return RestoreOutcome(address, "restoring", False, archive, warnings=warnings)
        return RestoreOutcome(address, "asked", True, archive, wait=wait, warnings=warnings)

    async def _ask(
        self, place: Place, keeper: ArchiveKeeper, archive: Archive, tier: str, days: int
    ) -> tuple[bool, tuple[str, ...]]:
        warnings = ()
        if self._ask_stack is not None:
            key = place.store.physical_key(place.key, place.version)
            try:
                return await in_thread(partial(self._ask_stack, key, tier=tier, days=days)), ()
            except NotSupported:
                warnings = _BY_OWN_KEYS
        restore = partial(keeper.restore, place.key, version=place.version)
        return await restore(archive=archive, tier=tier, days=days), warnings


def _check(days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        raise InvalidArgument(
            f"A restored copy is kept 1 to {MOST_DAYS} days, not {days}.",
            next_step="Set days so, and call again to extend it.",
        )
