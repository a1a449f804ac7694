"""What a scan finds, against a plain list of the rows. Ours, no outside source."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parts.manifests import opened
from quilt_mcp.domain.glob import Choice, Match
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.names import walk_key
from quilt_mcp.registry.manifests.manifest import FolderRow, Manifest
from quilt_mcp.registry.manifests.scan import SORTS, Position, Question, Scan

NAMES = st.sampled_from(
    ["a", "b", "a-b", "a.csv", "b.csv", ".b", "é.csv", "文", '"', "\\x", "[", "\n", "A.CSV"]
)
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PATTERN_NAMES = st.sampled_from(
    [
        "*",
        "**",
        "a",
        "*.csv",
        "?",
        "[ab]*",
        "[",
        "[!a]",
        "a*",
        "*-*",
        ".*",
        "é*",
        "\n",
        "[[]",
        "b.csv",
        "*b*c*v",
    ]
)
PATTERNS = st.tuples(
    st.sampled_from(["", "./", "/"]),
    st.lists(PATTERN_NAMES, min_size=1, max_size=4).map("/".join),
    st.sampled_from(["", "/"]),
).map("".join)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    keys = draw(st.lists(KEYS, max_size=12, unique=True))
    folders = {key[:at] for key in keys for at, char in enumerate(key) if char == "/"}
    records: list[dict[str, Any]] = [
        {"logical_key": f"{folder}/", "meta": {"of": folder}} for folder in sorted(folders | {"only/meta"})
    ]
    records = [one for one in records if draw(st.booleans())]
    records += [
        {
            "logical_key": key,
            "physical_keys": [f"s3://b/{number}"],
            "size": draw(st.sampled_from([0, 1, 1, 2, 10**15])),
            "hash": {"type": "SHA256", "value": "0"},
            "meta": draw(st.sampled_from([{}, {"user_meta": {"k": 1}}, {"size": 7}])),
        }
        for number, key in enumerate(keys)
        if key not in folders
    ]
    lines = [json.dumps(record, ensure_ascii=draw(st.booleans())) for record in ({}, *records)]
    return opened(
        "".join(f"{line}\n" for line in lines).encode(), block=draw(st.sampled_from([1, 400, 1 << 20]))
    )


def position(row: FolderRow) -> Position:
    return row.totals.bytes, row.path


@given(
    manifests(),
    st.sampled_from(["", "a", "a/b", "b/"]),
    st.sampled_from([1, 2, 3, None]),
    st.none() | PATTERNS,
    st.sampled_from([*SORTS]),
    st.integers(1, 4),
)
def test_a_scan_pages_through_what_a_plain_list_holds(
    manifest: Manifest, path: str, depth: int | None, pattern: str | None, sort: str, limit: int
) -> None:
    one = manifest.entry(path)
    rows = [FolderRow(path, one, Totals(1, one.size or 0))] if one else list(manifest.rows(path, depth))
    if pattern is not None:
        takes = Choice((pattern,), ()).takes
        rows = [row for row in rows if row.entry and takes(row.path)]
    rows.sort(key=lambda row: (SORTS[sort] * row.totals.bytes, walk_key(row.path.strip("/"))))
    totals = Totals(sum(row.totals.entries for row in rows), sum(row.totals.bytes for row in rows))
    question = Question(path, depth, None if pattern is None else Match(pattern), sort)
    found: list[FolderRow] = []
    known: Totals | None = None
    after: Position | None = None
    while True:
        page, sums = Scan(manifest, question, limit, after).run(known, lambda: None)
        assert sums == totals
        found += page
        if len(page) < limit:
            break
        known, after = sums, position(page[-1])
    assert found == rows


@given(manifests(), st.sampled_from([1, 2, 3, 4]))
def test_levels_of_a_folder_are_its_rows_one_level_and_those_of_its_folders_the_rest(
    manifest: Manifest, depth: int
) -> None:
    def plain(path: str, levels: int) -> list[FolderRow]:
        return [
            row
            for one in manifest.rows(path)
            for row in ([one] if one.entry or levels == 1 else plain(one.path, levels - 1))
        ]

    for path in ("", "a", "a/b"):
        rows = plain(path, depth)
        assert list(manifest.rows(path, depth)) == rows
        assert manifest.row_count(path, depth) == len(rows)
        for number, row in enumerate(rows):
            assert list(manifest.rows(path, depth, row.path)) == rows[number + 1 :]


@given(PATTERNS, st.lists(KEYS, max_size=8))
@example("[ab]*", ["a", "d/b.csv"])
@example("x?[ab]y", ["xxay"])
@example("a*b/c", ["a-b/c"])
def test_a_match_takes_what_the_same_pattern_includes(pattern: str, paths: list[str]) -> None:
    takes = Choice((pattern,), ()).takes
    assert Match(pattern).among(paths) == [number for number, path in enumerate(paths) if takes(path)]


@pytest.mark.parametrize("sort", [*SORTS])
def test_a_scan_that_is_given_up_stops(sort: str) -> None:
    class GivenUp(Exception):
        pass

    def checkpoint() -> None:
        raise GivenUp

    line = '{"logical_key": "a", "physical_keys": ["x"], "size": 1, "hash": {"type": "", "value": ""}, "meta": {}}'
    manifest = opened(f"{{}}\n{line}\n".encode())
    with pytest.raises(GivenUp):
        Scan(manifest, Question("", None, None, sort), 1, None).run(None, checkpoint)
