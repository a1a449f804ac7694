"""Pages of a result: what they say beside their rows, and what of them is kept."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from sql_lab import ask

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.querying import kept
from quilt_mcp.backends.querying.kept import KeptResults
from quilt_mcp.errors import InvalidArgument

pytestmark = pytest.mark.anyio


async def test_every_page_says_what_is_to_be_known_of_all_rows(lab_ops: LocalOps) -> None:
    query = "SELECT logical_key FROM package_entry ORDER BY ALL"
    page = await ask(lab_ops, query, limit=3)
    assert [one.partition(":")[0] for one in page.warnings] == ["latest_only"]
    while page.next_cursor:
        page = await ask(lab_ops, query, limit=10, cursor=page.next_cursor)
        assert [one.partition(":")[0] for one in page.warnings] == ["latest_only"]


async def test_what_is_cut_is_told_with_the_page_that_it_is_cut_on(lab_ops: LocalOps) -> None:
    """The second row is looked at for the first page, and does not fit."""
    query = "SELECT repeat('x', n) AS t FROM (VALUES (1900), (5000), (10)) AS rows (n)"
    told: list[tuple[int, list[str]]] = []
    cursor = None
    while True:
        page = await ask(lab_ops, query, limit=10, room=3_000, cursor=cursor)
        told.append((len(page.rows), [one for one in page.warnings if one.startswith("cells_cut: 1 ")]))
        if (cursor := page.next_cursor) is None:
            break
    assert [(count, bool(said)) for count, said in told] == [(1, False), (2, True)]


async def test_a_row_that_is_cut_to_the_room_says_to_how_many_letters(lab_ops: LocalOps) -> None:
    found = await ask(
        lab_ops, "SELECT " + ", ".join(f"repeat('x', 200) AS c{n}" for n in range(50)), room=4_000
    )
    [said] = found.warnings
    shown = found.rows[0][0].partition("...")[0]
    assert said.startswith("cells_cut: 50 ") and f"({len(shown)} letters)" in said


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
async def test_a_cursor_goes_on_in_whatever_order_the_parameters_come(
    lab_ops: LocalOps, names: tuple[str, ...]
) -> None:
    given: dict[str, Any] = {"a": 3, "b": {"x": 1, "y": 2}}
    query = "SELECT range + $a AS n, $b AS s FROM range(5)"
    first = await ask(lab_ops, query, limit=2, parameters=given)
    again = {name: given[name] for name in names}
    again["b"] = dict(reversed(again["b"].items()))
    assert (await ask(lab_ops, query, limit=9, parameters=again, cursor=first.next_cursor)).rows[0][0] == 5


def test_names_of_results_that_were_pushed_out_are_not_kept(tmp_path: Path) -> None:
    results = KeptResults()
    (path := tmp_path / "rows.parquet").write_bytes(b"rows")
    names = [results.add(os.open(path, os.O_RDONLY), (), ()) for _ in range(3 * kept.MOST)]
    assert len(results._own) <= kept.MOST
    assert results.open(names[0]) is None
    opened = results.open(names[-1])
    assert opened is not None
    os.close(opened.descriptor)


@pytest.mark.parametrize("offset", [1 << 63, 10**30, -1, 1.0, True, "1"])
async def test_a_cursor_with_a_place_that_there_cannot_be_is_none_of_ours(
    lab_ops: LocalOps, offset: Any
) -> None:
    query = "SELECT * FROM range(10)"
    cursor = (await ask(lab_ops, query, limit=3)).next_cursor
    assert cursor is not None
    mark, name, _ = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    forged = base64.urlsafe_b64encode(json.dumps([mark, name, offset]).encode()).decode().rstrip("=")
    with pytest.raises(InvalidArgument):
        await ask(lab_ops, query, cursor=forged)


async def test_a_cursor_of_rows_is_none_of_the_plan(lab_ops: LocalOps) -> None:
    query = "SELECT * FROM range(10)"
    page = await ask(lab_ops, query, limit=3)
    with pytest.raises(InvalidArgument):
        await ask(lab_ops, query, cursor=page.next_cursor, explain=True)
