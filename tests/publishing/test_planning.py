"""Which parts stay and which are written, over histories made at random: nothing is lost or doubled, little is written again."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.publishing.held import HeldRevision
from quilt_mcp.publishing.planning import MOST, KnownPart, PartPlan, plan_parts
from quilt_mcp.publishing.state import PublishedFile, PublishedPart


def file(rows: int) -> PublishedFile:
    return PublishedFile("k", rows, 1, "")


def after(plan: PartPlan, held: dict[str, HeldRevision]) -> list[KnownPart]:
    """What is published once a plan was carried out."""
    made = list(plan.kept)
    for group in plan.written:
        rows, weight = sum(held[one].rows for one in group), sum(held[one].weight for one in group)
        part = PublishedPart(file(len(group)), file(rows) if rows else None, file(len(group)), weight)
        made.append(KnownPart(part, frozenset(group)))
    return made


def holding(parts: list[KnownPart]) -> Counter[str]:
    return Counter(one for part in parts for one in part.hashes)


SIZES = st.sampled_from([0, 1, 90, 5_000, 400_000, 3_000_000])
STEPS = st.lists(
    st.tuples(st.lists(SIZES, max_size=12), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=12
)


@given(STEPS)
def test_every_revision_that_is_named_is_published_once(steps: list[tuple[list[int], int, int]]) -> None:
    named: dict[str, HeldRevision] = {}
    parts: list[KnownPart] = []
    for number, (added, dropped, hidden) in enumerate(steps):
        for at, rows in enumerate(added):
            named[f"{number}-{at}"] = HeldRevision(number, at, rows, rows % 700)
        for one in [*named][: dropped * 2 : 2]:
            del named[one]
        before = holding(parts)
        unread = [*named][:hidden]
        held = {one: found for one, found in named.items() if one not in unread}
        plan = plan_parts(parts, named.keys(), held)
        parts = after(plan, named)
        now = holding(parts)
        assert all(count == 1 for count in now.values())
        assert now.keys() >= held.keys()
        assert now.keys() - held.keys() <= before.keys(), "what cannot be read is there only if it was"
        assert {one for one in unread if one in before} <= now.keys(), "and stays, as it is named"
        dead = now.keys() - named.keys()
        assert len(dead) == plan.overdue
        if not hidden:
            assert not dead
        assert plan.added == len(now.keys() - before.keys())
        assert plan.removed == len(before.keys() - now.keys())
    again = plan_parts(parts, named.keys(), named)
    settled = plan_parts(after(again, named), named.keys(), named)
    assert (settled.written, settled.added, settled.removed) == ((), 0, 0)


def test_a_thousand_publications_of_one_revision_leave_few_parts_and_write_little() -> None:
    named: dict[str, HeldRevision] = {}
    parts: list[KnownPart] = []
    written = 0
    for number in range(1_000):
        named[str(number)] = HeldRevision(number // 50, number, 100, 300)
        plan = plan_parts(parts, named.keys(), named)
        written += sum(named[one].rows for group in plan.written for one in group)
        parts = after(plan, named)
        assert len(parts) <= 22
    assert written <= 100_000 * 8
    assert holding(parts) == Counter([*named])


def test_a_part_has_no_more_rows_than_engines_and_this_one_bear() -> None:
    held = {str(number): HeldRevision(0, number, 700_000, 10) for number in range(10)}
    heavy = {f"h{number}": HeldRevision(1, number, 1, 20 << 20) for number in range(10)}
    plan = plan_parts([], held.keys() | heavy.keys(), held | heavy)
    for group in plan.written:
        assert sum((held | heavy)[one].rows for one in group) <= MOST
        assert sum((held | heavy)[one].weight for one in group) <= 32 << 20
    [alone] = plan_parts([], {"x"}, {"x": HeldRevision(0, 0, MOST * 2, 1)}).written
    assert alone == ("x",)
