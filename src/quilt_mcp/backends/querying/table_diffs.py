"""TableDiffs: two files of packages compared as tables, in a child of their own, as a query's files are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from anyio import to_thread

from quilt_mcp.backends.querying.file_tables import FileTables
from quilt_mcp.backends.querying.named import NamedPackages, Reach
from quilt_mcp.backends.querying.opening import Brought, HeldFiles
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import Progress
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.table_diff import (
    CellChange,
    ChangedRow,
    OneSidedRow,
    RowCounts,
    TableDiff,
    TableDiffRequest,
)
from quilt_mcp.errors import (
    ColumnNotFound,
    DuplicateKey,
    InvalidSql,
    QuiltError,
    TooCostly,
    Undecodable,
)
from quilt_mcp.sql import faults
from quilt_mcp.sql.child import Child, FilesView
from quilt_mcp.sql.spare import Spare

LONGEST_CELL: Final = 300
"""Letters of one value."""
_SHOWN: Final = 8
"""Columns that an error names."""
_OF_QUERIES: Final = re.compile(r"[;,] (?:unless [^;,]* of )?(?:files\(\.\.|cast it where)[^;]*$", re.DOTALL)
_NO_TABLE: Final = "Put the table into the package anew (package_patch), or compare another path."
_LESS: Final = "sql_query compares some columns alone: FROM 'ns/name@hash/path' a FULL JOIN 'ns/name/path' b USING (key)."
_OTHERWISE: Final = (
    "object_read shows what stands there. sql_query reads each side with files('ns/name@hash', 'path', encoding := 'latin-1') "
    "where letters are no UTF-8, with null_padding := true where lines have fewer or more cells, with all_varchar := true where "
    "a value is not of its column's type. What leaves out lines (skip, ignore_errors) loses rows."
)


class TableDiffs:
    def __init__(self, reach: Reach, spare: Spare, seconds: float) -> None:
        self._reach = reach
        self._spare = spare
        self._seconds = seconds

    async def compare(self, request: TableDiffRequest, progress: Progress) -> TableDiff:
        """See ``ops.SupportsSql``. The files are brought before the child has its turn."""
        held, brought = HeldFiles(), Brought(0, {})
        files = FileTables(self._reach, NamedPackages(self._reach, ()), held, brought, frozenset(), progress)
        try:
            views: list[FilesView] = []
            for side, address in (("before", request.before), ("after", request.after)):
                view = await files.table(str(address), ())
                name = f"{address.path} ({side})"
                views.append(replace(view, name=name))
                files.names[len(held.files) - 1] = name
                if not held.files[-1].size:
                    raise Undecodable(f"{name} is empty: it has no columns.", next_step=_NO_TABLE)
            async with self._spare.turns() as turns, turns.turn(is_last=True) as child:
                found = await self._run(child, request, views, held)
            notes = [
                faults.named(_without_sql(str(one)[:1_000]), files.names) for one in found.get("notes", ())
            ]
            return _told(request, found, (*brought.warnings, *notes))
        except QuiltError as error:
            raise _helped(faults.with_names(error, files.names))  # noqa: B904 - it is the same
        finally:
            held.close()
            self._spare.prepare()

    async def _run(
        self, child: Child, request: TableDiffRequest, views: Sequence[FilesView], held: HeldFiles
    ) -> dict[str, Any]:
        """Raises as the child does, HashMismatch where a file changed meanwhile, whatever the child made of it."""
        tolerance = request.tolerance
        asked = {
            "keys": request.keys,
            "tolerance": None if tolerance is None else [tolerance.amount, tolerance.is_relative],
            "samples": request.samples,
            "passed": request.passed,
            "cells": request.cells,
            "longest": LONGEST_CELL,
        }
        try:
            return await child.run("compare", held.files, views, self._seconds, comparison=asked)
        finally:
            await to_thread.run_sync(held.require_unchanged)


def _without_sql(note: str) -> str:
    """What is told of a file, without what a query would do about it."""
    kept = _OF_QUERIES.sub("", note)
    return kept if kept.endswith(".") else f"{kept}."


def _helped(error: QuiltError) -> QuiltError:
    """With a next step for who compares, and has no query to mend."""
    if isinstance(error, Undecodable | InvalidSql) and error.next_step != _NO_TABLE:
        error.next_step = _OTHERWISE
    elif isinstance(error, TooCostly):
        error.next_step = _LESS
    return error


def _told(request: TableDiffRequest, found: Mapping[str, Any], warnings: Sequence[str]) -> TableDiff:
    path, old_path = request.after.path or "", request.before.path or ""
    if (why := found.get("refused")) is not None:
        raise _refused(str(why), path, found)
    rows = RowCounts(*(int(found[one]) for one in ("before", "after", "added", "removed", "changed")))
    columns, samples = found["columns"], found["samples"]
    keys = tuple(str(one) for one in found["keys"])
    return TableDiff(
        path,
        old_path,
        keys,
        rows,
        {str(name): int(count) for name, count in found["cells"].items()},
        tuple(map(str, columns["added"])),
        tuple(map(str, columns["dropped"])),
        tuple((str(name), str(one), str(other)) for name, one, other in columns["retyped"]),
        tuple(_changed(one) for one in samples.get("changed", ())),
        tuple(_of_one_side(one) for one in samples.get("added", ())),
        tuple(_of_one_side(one) for one in samples.get("removed", ())),
        {str(name): float(f"{most:.12g}") for name, most in found.get("largest", {}).items()},
        int(found.get("unlike", rows.changed + rows.added + rows.removed)),
        (*warnings, *_warnings(request, found, rows)),
    )


def _changed(row: Sequence[Any]) -> ChangedRow:
    key, cells, count = row
    return ChangedRow(tuple(key), tuple(CellChange(str(one[0]), one[1], one[2]) for one in cells), int(count))


def _of_one_side(row: Sequence[Any]) -> OneSidedRow:
    key, values, columns, *count = row
    return OneSidedRow(tuple(key), dict(values), int(columns), *map(int, count))


def _warnings(request: TableDiffRequest, found: Mapping[str, Any], rows: RowCounts) -> list[str]:
    path = request.after.path
    said: list[str] = []
    if not found["keys"] and rows.before and rows.after:
        said.append(
            f"no_key: no column of {path}, and no two, tell all rows apart in both files, so whole rows were compared, as often "
            "as each is there: a changed row counts as one removed and one added. Name columns to match by in keys."
        )
        if request.tolerance is not None:
            said.append(f"no_tolerance: rows of {path} without a key are equal only where all numbers are.")
    said += _of_keys(path or "", found, rows)
    for side, names in zip(("before", "after"), found.get("twice", ()), strict=False):
        if names:
            shown = ", ".join(map(str, names[:_SHOWN]))
            said.append(
                f"renamed_columns: {shown} of {path} {side} stand there several times; the later ones are called name_1 and "
                "so on."
            )
    if request.tolerance is None:
        floats = [one[0] for one in found["columns"]["retyped"] if _is_shorter(str(one[1]), str(one[2]))]
        if floats:
            said.append(
                f"float_precision: {', '.join(map(str, floats[:_SHOWN]))} of {path} hold fewer digits on one side; "
                "tolerance='0.0001%' passes over that."
            )
    for name, value in found.get("not_near", ())[:_SHOWN]:
        said.append(
            f"no_tolerance: {name[:100]} of {path} is text, as {value!r} is no number: its cells are compared as texts."
        )
    if long := [str(one)[:100] for one in found.get("rounded", ())]:
        said.append(
            f"long_numbers: {', '.join(long[:_SHOWN])} of {path} hold numbers beyond 2^53 beside fractions, of which about 16 "
            "digits are compared: what differs behind those is not seen."
        )
    if cased := found.get("cased"):
        names = ", ".join(f"{one!s:.100} and {other!s:.100}" for one, other in cased[:_SHOWN])
        said.append(f"other_case: columns of {path} that differ in case alone are matched: {names}.")
    columns = found["columns"]
    if request.tolerance is None and not (
        rows.added or rows.removed or rows.changed or any(columns.values())
    ):
        order = " and ".join(f"the order of {one}" for one in found.get("order", ()))
        said.append(
            f"same_cells: no cell of {path} differs; its bytes do by {order or 'line ends, quotes, spelling or compression'}."
        )
    if blank := [str(one)[:100] for one in found.get("blank", ())]:
        said.append(
            f"empty_text: {', '.join(blank[:_SHOWN])} of {path} hold empty texts on one side; the other is a CSV, in which those "
            "and NULL are the same, so they count as equal."
        )
    if found.get("cells_cut"):
        said.append(f"cells_cut: values of more than {LONGEST_CELL} letters are cut in samples of {path}.")
    return said


def _of_keys(path: str, found: Mapping[str, Any], rows: RowCounts) -> list[str]:
    """Where rows may have been matched by what is no key."""
    keys = ", ".join(map(str, found["keys"][:_SHOWN]))
    matched = rows.before - rows.removed
    said: list[str] = []
    if found["keys"] and 2 * matched < min(rows.before, rows.after):
        said.append(
            f"few_matched: {matched:,} of {counted(min(rows.before, rows.after), 'row')} of {path} are matched by {keys}; where "
            "that is no key, changed rows count as removed and added. Name another in keys."
        )
    match found.get("doubt"):
        case "running" if 2 * rows.changed > matched:
            said.append(
                f"running_number: rows of {path} were matched by {keys}, which numbers them on both sides, and most differ: "
                "where rows were put in or left out, name another column in keys."
            )
        case "number" if rows.added or rows.removed:
            said.append(
                f"guessed_key: rows of {path} were matched by {keys}, a number that tells them apart and by its name is no "
                "id: where it was measured, a changed one counts as a row removed and one added. Name columns in keys."
            )
        case _:
            pass
    return said


def _is_shorter(one: str, other: str) -> bool:
    """Whether one is of floats of few digits, and the other of more."""
    return (
        one != other
        and "FLOAT" in (one, other)
        and any(each.startswith(("DOUBLE", "DECIMAL")) for each in (one, other))
    )


def _refused(why: str, path: str, found: Mapping[str, Any]) -> QuiltError:
    match why:
        case "no_column":
            return _no_column(path, found)
        case "repeated":
            return _repeated(path, found)
        case "wide":
            return TooCostly(
                f"{path} has {found['columns']:,} columns, and {found['most']:,} are compared at most."
            )
        case _:
            return faults.died()


def _no_column(path: str, found: Mapping[str, Any]) -> ColumnNotFound:
    column = str(found["column"])
    sides = {side: [str(one) for one in found[side]] for side in ("before", "after")}
    common = [one for one in sides["before"] if one in sides["after"]]
    lacking = [side for side, names in sides.items() if column not in names]
    where = "on either side" if len(lacking) > 1 else lacking[0]
    near = suggest(column, common) or [one for one in common if one.casefold() == column.casefold()]
    meant = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    more = f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else ""
    there = f"{', '.join(common[:_SHOWN])}{more}" or "none"
    return ColumnNotFound(
        f"{path} has no column {column[:200]!r} {where}, so rows cannot be matched by it.",
        next_step=f"{meant}Columns of both: {there[:600]}. Without keys one is looked for.",
        details={"column": column[:200], "near": [*near], "path": path},
    )


def _repeated(path: str, found: Mapping[str, Any]) -> DuplicateKey:
    doubled = {side: one for side in ("before", "after") if (one := found.get(side)) is not None}
    counts = "; ".join(
        f"{counted(one['keys'], 'key')} in {one['rows']:,} of {counted(one['of'], 'row')} {side}"
        for side, one in doubled.items()
    )
    [side, first], *_ = doubled.items()
    example = ", ".join("NULL" if one is None else str(one) for one in first["example"])
    unique = [str(one) for one in found["unique"]]
    better = f"Unique on both sides: keys={unique!r}. " if unique else "Add a column that tells them apart. "
    return DuplicateKey(
        f"The keys do not tell the rows of {path} apart: {counts}. One of them {side}: {example[:200]}.",
        next_step=f"{better}Without keys, one is looked for, and where there is none whole rows are compared.",
        details={"path": path, **doubled, "unique": unique},
    )
