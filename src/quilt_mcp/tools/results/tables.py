"""The answer of package_diff with content: the tables that changed, cell by cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.diff import EntryChange
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.table_diff import OneSidedRow, TableDiff, TableDiffRequest, Tolerance, same_tables
from quilt_mcp.errors import AuthenticationError, EntryNotFound, NotATable, QuiltError, RetryableError
from quilt_mcp.sql.formats import ENDINGS, kind_of
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import present

MOST_TABLES: Final = 20
"""Tables of one answer."""
MOST_CHANGES: Final = 20_000
"""Changed files among which tables are looked for."""
SECONDS: Final = 45.0
"""No further table is begun after so long."""
_PAGE: Final = 1_000
_ENVELOPE: Final = 2_000
"""Bytes of an answer beside its tables."""
_NAMES: Final = (50, 10, 3)
"""Columns that are named of each sort, as there is room; a total stands beside where there are more."""
_LONGEST_NAME: Final = 200
_ROOMY: Final = 1 << 20
"""Bytes of an answer that no model reads: of each table all columns are named, of each row many cells shown."""
_MANY: Final = 2_000
_CELLS: Final = 30, 300


@dataclass(frozen=True, slots=True)
class _Asked:
    keys: tuple[str, ...]
    tolerance: Tolerance | None
    said: str
    """The tolerance as it was given."""
    limit: int
    is_roomy: bool


@dataclass(frozen=True, slots=True)
class _Page:
    """``next``: where the next one begins: the table by its number, and of it how many rows that changed, were added and were
    removed were shown. None: nowhere."""

    tables: list[dict[str, Any]]
    warnings: list[str]
    next: tuple[int, int, int, int] | None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """``pairs``: paths before and after; ``is_one``: the one that was asked for, whose failure is the call's."""

    pairs: Sequence[tuple[str, str]]
    is_one: bool = False
    warnings: tuple[str, ...] = ()


async def table_diffs(
    call: Call,
    before: PackageUri,
    after: PackageUri,
    *,
    keys: Sequence[str],
    tolerance: str,
    limit: int,
    cursor: str | None,
) -> Answer:
    """Pages are of tables, of one alone they are of its rows; ``limit`` counts the rows that are shown on a page. Raises as
    ``SupportsSql.compare`` where one table is asked for; of several, each says itself what it failed of."""
    near = Tolerance.parse(tolerance) if tolerance else None
    asked = _Asked(
        tuple(keys),
        near,
        tolerance if near else "",
        limit,
        call.settings.response_bytes() > _ROOMY,
    )
    paths = before.path or "", after.path or ""
    marks = ("table diff", before.registry, before.name, after.registry, after.name, *paths, *keys, tolerance)
    start = (0, 0, 0, 0)
    if cursor:
        one, other, *places = decode_cursor(cursor, marks, str, str, int, int, int, int)
        start = (places[0], places[1], places[2], places[3])
        before, after = (
            replace(side, top_hash=pinned, tag=None) for side, pinned in ((before, one), (after, other))
        )
    before, after = await call.ops.resolve(before), await call.ops.resolve(after)
    chosen = await _chosen(call, before, after)
    page = await _tables(call, before, after, chosen, asked, start)
    following = None
    if page.next is not None:
        following = encode_cursor(marks, before.top_hash or "", after.top_hash or "", *page.next)
    return Answer(
        {"before": str(before), "tables": page.tables},
        uri=str(after),
        records=("tables",),
        next_cursor=following,
        total=len(chosen.pairs),
        warnings=(*(() if cursor else chosen.warnings), *page.warnings),
    )


async def _tables(
    call: Call,
    before: PackageUri,
    after: PackageUri,
    chosen: _Chosen,
    asked: _Asked,
    start: tuple[int, int, int, int],
) -> _Page:
    """As many as fit. A table that was compared and does not is the first of the next page."""
    offset, *passed = start
    pairs = chosen.pairs[offset : offset + MOST_TABLES]
    is_alone = len(chosen.pairs) == 1
    samples = max(asked.limit // max(len(pairs), 1), min(asked.limit, 1))
    room = max(call.settings.response_bytes() - _ENVELOPE, 1_000)
    for_rows = room * 2 // 3
    told: list[dict[str, Any]] = []
    warnings: list[str] = []
    cut: list[str] = []
    until = anyio.current_time() + SECONDS
    for number, (old, new) in enumerate(pairs):
        if told and (anyio.current_time() > until or for_rows < 0):
            break
        request = TableDiffRequest(
            replace(before, path=old), replace(after, path=new), asked.keys, asked.tolerance, samples,
            (passed[0], passed[1], passed[2]) if is_alone else (0, 0, 0), _CELLS[asked.is_roomy],
        )  # fmt: skip
        said: Sequence[str] = ()
        try:
            found = await call.ops.sql.compare(request, call.progress)
        except AuthenticationError:
            raise
        except QuiltError as error:
            if chosen.is_one or (not told and isinstance(error, RetryableError)):
                raise
            one = {
                "path": new,
                "error": {"code": error.code, "message": error.message, "next_step": error.next_step},
            }
        else:
            one = _fitted(found, samples, max(for_rows, 0) // (len(pairs) - number), asked, is_alone=is_alone)
            said = found.warnings
            if is_alone and (after_it := _after(one, found, passed)) is not None:
                return _Page([one], [*said], (offset, *after_it))
            if samples and found.unlike > _shown(one):
                cut.append(new)
        room -= _size(one)
        if told and room < 0:
            break
        told.append(one)
        warnings += said
        for_rows -= _size(one)
    if cut := [one for one in cut if one in {table["path"] for table in told}]:
        others = f" and {len(cut) - 3} more" if len(cut) > 3 else ""
        named = ", ".join(name[:_LONGEST_NAME] for name in cut[:3])
        warnings.insert(
            0,
            f"more_rows: not all rows that differ are shown of {named}{others}; path=one of them has pages of all.",
        )
    end = offset + len(told)
    left = len(chosen.pairs) - end
    if left <= 0:
        return _Page(told, warnings, None)
    more = f"more_tables: {left} more tables changed; go on with cursor=page.next_cursor."
    return _Page(told, [more, *warnings], (end, 0, 0, 0))


def _after(table: Mapping[str, Any], found: TableDiff, passed: Sequence[int]) -> tuple[int, int, int] | None:
    """How many rows of each kind were shown by now; None where these are all, or none is shown."""
    counts = [len(table.get("samples", {}).get(kind, ())) for kind in ("changed", "added", "removed")]
    if not sum(counts) or sum(passed) + sum(counts) >= found.unlike:
        return None
    changed, added, removed = (one + count for one, count in zip(passed, counts, strict=True))
    return changed, added, removed


def _shown(table: Mapping[str, Any]) -> int:
    return sum(map(len, table.get("samples", {}).values()))


# -- which tables --


async def _chosen(call: Call, before: PackageUri, after: PackageUri) -> _Chosen:
    old, new = (one.path.strip("/") if one.path else "" for one in (before, after))
    if old and new and old != new:
        return _Chosen([(old, new)], is_one=True)
    path = new or old
    changes, warnings = await _changes(call, before, after)
    own = [one for one in changes if path and path in (one.path, one.old_path)]
    if own:
        return await _one(call, before, after, own[0])
    pairs, others = _pairs(changes)
    if not changes and not warnings:
        warnings = ("no_changes: no file's content changed.",)
    elif not pairs and changes:
        warnings = (*warnings, f"no_tables: none of the changed files is a table on both sides ({ENDINGS}).")
    elif others:
        said = f"left_out: {counted(others, 'changed file')} beside these: no tables by their names, or in one revision alone."
        warnings = (*warnings, said)
    return _Chosen(pairs, warnings=warnings)


async def _changes(
    call: Call, before: PackageUri, after: PackageUri
) -> tuple[list[EntryChange], tuple[str, ...]]:
    """Those of content."""
    found: list[EntryChange] = []
    warnings: tuple[str, ...] = ()
    cursor: str | None = None
    seen = 0
    while True:
        page = await call.ops.diff(before, after, limit=_PAGE, cursor=cursor)
        seen += len(page.changes)
        found += [one for one in page.changes if one.kind != "metadata"]
        warnings = (*warnings, *page.warnings)
        cursor = page.next_cursor
        if cursor is None:
            return found, warnings
        if seen >= MOST_CHANGES:
            return found, (
                *warnings,
                f"not_all: tables are looked for among the first {seen:,} changed files; path names a folder.",
            )


def _pairs(changes: Sequence[EntryChange]) -> tuple[list[tuple[str, str]], int]:
    """Tables of both sides, and how many other files came, went or changed. A table that went and one that came are one where
    they have the same path but for the ending."""
    came, went = (
        [one.path for one in changes if one.kind == kind and kind_of(one.path)]
        for kind in ("added", "removed")
    )
    same = same_tables(went, came)
    pairs: list[tuple[str, str]] = []
    for one in changes:
        if one.kind == "modified" and kind_of(one.path):
            pairs.append((one.path, one.path))
        elif one.kind == "added" and one.path in same:
            pairs.append((same[one.path], one.path))
    others = sum(1 for one in changes if one.kind != "renamed") - sum(1 if a == b else 2 for a, b in pairs)
    return pairs, others


async def _one(call: Call, before: PackageUri, after: PackageUri, change: EntryChange) -> _Chosen:
    """The table of a path that a call names."""
    path = change.path
    if change.kind == "modified":
        return _Chosen([(path, path)], is_one=True)
    if kind_of(path) is None:
        raise NotATable(
            f"{path} is no table, by its name.",
            next_step=f"Tables are files that end in {ENDINGS}, also with .gz or .zst.",
        )
    folder = path.rpartition("/")[0] or None
    around, _ = await _changes(call, replace(before, path=None), replace(after, path=folder))
    for one in around:
        if one.kind == "renamed" and path in (one.path, one.old_path):
            return _Chosen([(one.old_path or path, one.path)], is_one=True)
    for pair in _pairs(around)[0]:
        if path in pair:
            return _Chosen([pair], is_one=True)
    has, lacks = (after, before) if change.kind == "added" else (before, after)
    raise EntryNotFound(
        f"{path} is in {has.name}@{(has.top_hash or '')[:10]} alone, and there is no table of its name on the other side.",
        next_step="Name both files: before and after each with its path, as "
        f"{replace(lacks, path=None, top_hash=(lacks.top_hash or '')[:10]).spelling}/path/of/table.csv.",
        details={"path": path},
    )


# -- as JSON --


def _fitted(found: TableDiff, most: int, room: int, asked: _Asked, *, is_alone: bool) -> dict[str, Any]:
    """With so many rows as ``room`` bytes hold, one of them at least where the table is alone, and names of columns by that."""
    names = _MANY if asked.is_roomy else _NAMES[0]
    told = table_json(found, most, names, asked.said)
    while most > is_alone and _size(told) > room:
        most = most * 2 // 3
        told = table_json(found, most, names, asked.said)
    for fewer in _NAMES[1:]:
        if _size(told) <= room:
            break
        told = table_json(found, most, fewer, asked.said)
    return told


def table_json(found: TableDiff, most: int, names: int, tolerance: str) -> dict[str, Any]:
    """``most``: rows that are shown, some of each kind; ``names``: columns of each sort."""
    rows = found.rows
    changed, added, removed = _shares((len(found.changed), len(found.added), len(found.removed)), most)
    cells = sorted(found.cells.items(), key=lambda one: -one[1])
    far = found.largest
    largest = {name[:_LONGEST_NAME]: far[name] for name, _ in cells[:names] if name in far}
    retyped = [
        {"column": name[:_LONGEST_NAME], "before": one, "after": other} for name, one, other in found.retyped
    ]
    columns = {
        **_some("added", [name[:_LONGEST_NAME] for name in found.added_columns], names),
        **_some("dropped", [name[:_LONGEST_NAME] for name in found.dropped_columns], names),
        **_some("retyped", retyped, names),
    }
    samples = present(
        changed=[
            present(
                key=list(one.key),
                cells=[present_cell(cell.column, cell.before, cell.after) for cell in one.cells],
                cells_total=one.count if one.count > len(one.cells) else None,
            )
            for one in found.changed[:changed]
        ]
        or None,
        added=[_row(one) for one in found.added[:added]] or None,
        removed=[_row(one) for one in found.removed[:removed]] or None,
    )
    return present(
        path=found.path,
        old_path=found.old_path if found.old_path != found.path else None,
        keys=list(found.keys),
        tolerance=tolerance if tolerance and found.keys else None,
        rows={
            "before": rows.before, "after": rows.after, "added": rows.added, "removed": rows.removed,
            "changed": rows.changed, "unchanged": rows.unchanged,
        },
        cells_changed=sum(found.cells.values()),
        changed_by_column={name[:_LONGEST_NAME]: count for name, count in cells[:names]} or None,
        largest=largest or None,
        changed_by_column_total=len(cells) if len(cells) > names else None,
        columns=columns or None,
        samples=samples or None,
        samples_total=found.unlike if most and found.unlike > changed + added + removed else None,
    )  # fmt: skip


def present_cell(column: str, before: Any, after: Any) -> dict[str, Any]:
    """NULL is null: both sides are always there."""
    return {"column": column, "before": before, "after": after}


def _row(one: OneSidedRow) -> dict[str, Any]:
    return present(
        key=list(one.key) or None,
        values=dict(one.values),
        columns_total=one.columns if one.columns > len(one.values) else None,
        count=one.count if one.count > 1 else None,
    )


def _some(name: str, items: Sequence[Any], most: int) -> dict[str, Any]:
    total = {f"{name}_total": len(items)} if len(items) > most else {}
    return {name: list(items[:most]), **total} if items else {}


def _shares(counts: Sequence[int], most: int) -> list[int]:
    """Of ``most`` in all, to each in turn, the first of them first."""
    shares = [0] * len(counts)
    while most and any(share < count for share, count in zip(shares, counts, strict=True)):
        for at, count in enumerate(counts):
            if most and shares[at] < count:
                shares[at] += 1
                most -= 1
    return shares


def _size(value: Mapping[str, Any]) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
