"""Intake: brings the bytes of a new revision's files into a registry, several at once, with progress.

Every file is hashed as it is stored, so a manifest never names bytes that nobody read; bytes from another package are
checked against the hash it recorded. How and where they are stored is the placement's part.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.plan import Progress, Tally
from quilt_mcp.errors import ObjectArchived
from quilt_mcp.registry.reach import with_others
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.by_content import ContentPlacement
from quilt_mcp.registry.writing.by_key import KeyPlacement
from quilt_mcp.registry.writing.house_rules import HouseRules
from quilt_mcp.storage.s3.store import S3Store
from quilt_mcp.storage.store import Place, Store, Stores
from quilt_mcp.storage.workers import for_each, groups
from quilt_mcp.storage.wrappers import ReadOnlyStore

FILES_AT_ONCE = 16


Survey = Callable[[Incoming], int]


class Placement(Protocol):
    """Stores files, several at once."""

    async def survey(self) -> Survey:
        """What answers how many bytes storing a file takes, at most, and raises what storing it would raise, as far as that is
        known without its bytes: a plan refuses what the write would. Asks the server once at most; the answer does not block.
        """
        ...

    async def hash_type(self) -> str:
        """Of the entries of files that bring no hash with them."""
        ...

    async def notices(self, stored: int) -> tuple[str, ...]:
        """What the caller should know about how its files were stored (``stored`` bytes newly): warnings of the outcome."""
        ...

    async def is_stored(self, item: Incoming, before: Entry | None, found: Hash) -> bool:
        """Whether ``place`` will find the bytes of a file that ``survey`` counts stored already. ``found`` is their hash."""
        ...

    def place(
        self, items: Sequence[Incoming], before: Mapping[str, Entry], progress: Progress
    ) -> AsyncGenerator[tuple[Entry, int]]:
        """Stores one group, item by item; yields each finished entry, and how many bytes were newly stored. A large file is
        alone in its group, and ``progress`` is told how far it is.

        ``before`` holds what the parent has at the same keys. Raises HashMismatch for bytes that are not what their
        package recorded.
        """
        ...


def placement_in(
    store: Store,
    stores: Stores,
    name: str,
    scratch: Path,
    arrivals: Arrivals,
    rules: HouseRules,
    *,
    copy: bool,
) -> Placement:
    """The placement of one call for the package ``name`` and its ``arrivals``: by key in a bucket, by content where the store
    takes files in. ``stores`` finds the sources; ``scratch`` is a local folder for copies on their way."""
    if isinstance(store, S3Store):
        return KeyPlacement(store, stores, name, copy, arrivals, rules)
    assert store.intake is not None, "neither a bucket nor a store that takes files in"
    return ContentPlacement(store, store.intake, stores, scratch, copy)


def planned_in(
    store: Store,
    stores: Stores,
    name: str,
    scratch: Path,
    arrivals: Arrivals,
    rules: HouseRules,
    *,
    copy: bool,
) -> Placement:
    """The placement that a write would use, for its answers alone: in a registry that may only be read too."""
    behind = store.read_from if isinstance(store, ReadOnlyStore) else store
    return placement_in(behind, stores, name, scratch, arrivals, rules, copy=copy)


async def take_in(
    arrivals: Arrivals, placement: Placement, stores: Stores, progress: Progress
) -> tuple[int, tuple[str, ...]]:
    """Stores the bytes of every file and finishes its entry. Answers how many bytes were newly stored, and the notices.

    Stops at the first failure. What was stored by then stays, harmless since no manifest names it, and a second try
    finds it again.
    """
    stored = 0
    tally = Tally(progress, arrivals.size, "bytes read", len(arrivals))

    async def store_group(group: Sequence[Incoming]) -> None:
        nonlocal stored
        done, report = 0, tally.of(*(item.size for item in group))
        finished: list[Entry] = []
        before = arrivals.replaced(*(item.logical_key for item in group))
        async with aclosing(placement.place(group, before, report)) as placed:
            async for entry, copied in placed:
                finished.append(entry)
                stored += copied
                done += entry.size or 0
                await report(done, None, "")
        arrivals.finish(*finished)

    grouped = groups(arrivals, len(arrivals), FILES_AT_ONCE, lambda item: item.size)
    try:
        await for_each(grouped, FILES_AT_ONCE, store_group)
    except ObjectArchived as refusal:
        look = await placement.survey()
        objects = (item.physical_key for item in arrivals if item.physical_key is not None and look(item))
        places = (Place(*stores.locate(key), key.version_id) for key in objects)
        raise await with_others(refusal, places) from refusal
    return stored, await placement.notices(stored)
