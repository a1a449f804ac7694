"""Planning: which parts of a publication stay, and which revisions are written together as new ones. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from quilt_mcp.publishing.held import HeldRevision
from quilt_mcp.publishing.state import PublishedPart

MOST: Final = 2_000_000
"""Units of a part: its rows, or what its metadata weighs where that is much."""
_BYTES_A_UNIT: Final = 16
_TIERS: Final = (4_000, 32_000, 256_000)
"""Parts below each are alike. What is above all of them is never written again, but when a revision of it is deleted."""
_ALIKE: Final = 8
"""So many that are alike become one: a row is written four times at most, and there are few parts that are small."""


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part that is published, with the revisions in it."""

    part: PublishedPart
    hashes: frozenset[str]

    def fits(self, held: Mapping[str, HeldRevision]) -> bool:
        """Whether it has as many rows as its revisions, as far as these are known."""
        if self.part.revisions != len(self.hashes):
            return False
        return not self.hashes <= held.keys() or self.part.rows == sum(held[one].rows for one in self.hashes)


@dataclass(frozen=True, slots=True)
class PartPlan:
    """``kept``: parts that stay as they are. ``written``: the revisions of each new part. ``added`` and ``removed`` count
    revisions; ``overdue`` those that are gone and stay, as others of their part cannot be read now."""

    kept: tuple[KnownPart, ...]
    written: tuple[tuple[str, ...], ...]
    added: int
    removed: int
    overdue: int


def plan_parts(
    published: Sequence[KnownPart], named: Collection[str], held: Mapping[str, HeldRevision]
) -> PartPlan:
    """``named``: the revisions that the registry has now, of which ``held`` can be written."""
    seen: set[str] = set()
    kept: list[KnownPart] = []
    waiting: list[str] = []
    overdue = 0
    for one in published:
        live = {top_hash for top_hash in one.hashes if top_hash in named}
        dead = len(one.hashes) - len(live)
        is_double = not seen.isdisjoint(one.hashes)  # of two that nobody kept apart
        if (dead or is_double) and all(top_hash in held for top_hash in live):
            waiting += live - seen
        else:
            kept.append(one)
            overdue += dead
        seen |= live
    before = set[str]().union(*(one.hashes for one in published))
    added = [top_hash for top_hash in held if top_hash in named and top_hash not in before]
    written = list(_groups(dict.fromkeys((*added, *waiting)), held))
    for tier in range(len(_TIERS)):
        alike = [one for one in kept if _tier(_units_of(one.part)) == tier and one.hashes <= held.keys()]
        fresh = [one for one in written if _tier(sum(_units(held[each]) for each in one)) == tier]
        if len(alike) + len(fresh) >= _ALIKE:
            kept = [one for one in kept if one not in alike]
            hashes = [
                *(each for one in alike for each in sorted(one.hashes)),
                *(e for one in fresh for e in one),
            ]
            written = [one for one in written if one not in fresh] + list(_groups(hashes, held))
    removed = len(before - set(named)) - overdue
    return PartPlan(tuple(kept), tuple(written), len(added), removed, overdue)


def _groups(hashes: Iterable[str], held: Mapping[str, HeldRevision]) -> Iterator[tuple[str, ...]]:
    """Those of one part of the catalog stand together, so that each part is read by few groups."""
    group: list[str] = []
    units = 0
    for one in sorted(hashes, key=lambda one: (held[one].part, held[one].number)):
        more = _units(held[one])
        if group and units + more > MOST:
            yield tuple(group)
            group, units = [], 0
        group.append(one)
        units += more
    if group:
        yield tuple(group)


def _units(one: HeldRevision) -> int:
    return max(one.rows, 1, one.weight // _BYTES_A_UNIT)


def _units_of(part: PublishedPart) -> int:
    return max(part.rows, part.revisions, part.weight // _BYTES_A_UNIT)


def _tier(units: int) -> int:
    return next((tier for tier, most in enumerate(_TIERS) if units < most), len(_TIERS))
