"""``diff --content``: what changed in tables, as a person reads it, or a row for each changed cell."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from quilt_mcp.cli import exits
from quilt_mcp.cli.people import columns, cut
from quilt_mcp.cli.screen import Screen, paged, screen_of
from quilt_mcp.cli.verbs.errand import Errand
from quilt_mcp.cli.verbs.rows import JsonLines, Row, Separated, json_of, next_cursor, short_address
from quilt_mcp.cli.verbs.words import for_people
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.printable import counted
from quilt_mcp.tools.results.envelope import Reply

_SHOWN: Final = 100
"""Rows of an answer that are shown where none say how many."""
_MOST: Final = 1_000
_MOST_ROWS: Final = 100_000
"""Of one table; for each thousand it is compared anew."""
_LEAST: Final = 10
"""Columns of the screen that a cell has in any case."""
_CELLS: Final = ("path", "change", "key", "column", "before", "after", "count")


async def show_tables(errand: Errand) -> int:
    """Answers the exit code: that of bad data where a table could not be compared, and its error was told in its place; that of
    an error on the way. Programs get all rows that differ, or ``-n`` of each table."""
    form, is_json = errand.options.form, errand.options.json
    is_program = is_json or form is not None or screen_of().width is None
    pages = [page async for page in _pages(errand, _MOST if is_program else _SHOWN)]
    last = pages[-1]
    if last.is_error:
        if is_json:
            sys.stdout.write(json_of(last.structured, screen_of()) + "\n")
        return errand.failed(last)
    told = Told(errand, pages)
    if is_json:
        for one in told.tables:
            async for more in told.others(one):
                _add_rows(one, more)
        sys.stdout.write(json_of(told.whole(), screen_of()) + "\n")
    elif is_program:
        await _write_cells(errand, form, told)
    else:
        with paged(wanted=not errand.is_quiet) as screen:
            _show(errand, pages[0], told.tables, screen)
    errand.tell_warnings({"warnings": told.warnings})
    if told.failed is not None:
        return errand.failed(told.failed)
    return exits.CHECK_DATA if any("error" in one for one in told.tables) else exits.OK


class Told:
    """What was compared: ``tables``, and ``failed`` where rows of one could not be read to their end."""

    def __init__(self, errand: Errand, pages: Sequence[Reply]) -> None:
        self._errand = errand
        self._pages = pages
        self.tables: list[dict[str, Any]] = [
            one for page in pages for one in page.structured["data"]["tables"]
        ]
        said = dict.fromkeys(one for page in pages for one in page.structured.get("warnings", ()))
        self.warnings = [one for one in said if not one.startswith(("more_tables:", "more_rows:"))]
        self.failed: Reply | None = None

    def whole(self) -> dict[str, Any]:
        first, last = self._pages[0].structured, self._pages[-1].structured
        page = {**last["page"], "next_cursor": None}
        whole = {**first, "data": {**first["data"], "tables": self.tables}, "page": page}
        return {**whole, "warnings": self.warnings} if self.warnings else whole

    async def others(self, table: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The same table with the rows of its further pages, each compared anew; as many as were asked for. Tells what was left
        out."""
        most = self._errand.options.most or _MOST_ROWS
        shown, total = _count(table), table.get("samples_total", 0)
        cursor = self._cursor_of_one()
        sides: dict[str, Any] = {}
        while shown < min(total, most):
            if cursor:
                reply = await self._errand.call(**sides, limit=min(_MOST, most - shown), cursor=cursor)
            else:
                sides = dict[str, Any](self._sides(table), path="")
                reply = await self._errand.call(**sides, limit=min(_MOST, most))
            if reply.is_error:
                self.failed = reply
                return
            [found] = reply.structured["data"]["tables"]
            if not cursor:
                found = _without_first(found, table)
            cursor = next_cursor(reply.structured)
            shown += _count(found)
            yield found
            if cursor is None:
                break
        self._tell_rest(table, shown, total)

    def _cursor_of_one(self) -> str | None:
        """Where its rows go on, where it was compared alone."""
        return next_cursor(self._pages[-1].structured) if len(self.tables) == 1 else None

    def _tell_rest(self, table: Mapping[str, Any], shown: int, total: int) -> None:
        if shown < total and self._errand.options.most is None:
            self.warnings.append(
                f"not_all: {shown:,} of {total:,} rows of {table['path']} that differ are written; "
                "sql compares tables of many changes: FROM 'ns/name@hash/path' a FULL JOIN 'ns/name/path' b USING (key)."
            )

    def _sides(self, table: Mapping[str, Any]) -> dict[str, str]:
        """Both files by their pinned addresses."""
        first = self._pages[0].structured
        old = table.get("old_path", table["path"])
        return {
            side: str(replace(PackageUri.parse(uri), path=path))
            for side, uri, path in (
                ("before", first["data"]["before"], old),
                ("after", first["uri"], table["path"]),
            )
        }


def _count(table: Mapping[str, Any]) -> int:
    return sum(map(len, table.get("samples", {}).values()))


def _without_first(found: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of the first page that were not shown yet."""
    own = shown.get("samples", {})
    return {
        **found,
        "samples": {sort: rows[len(own.get(sort, ())) :] for sort, rows in found["samples"].items()},
    }


def _add_rows(table: dict[str, Any], more: Mapping[str, Any]) -> None:
    samples = table.setdefault("samples", {})
    for sort, rows in more.get("samples", {}).items():
        samples[sort] = [*samples.get(sort, ()), *rows]
    if _count(table) >= table["samples_total"]:
        del table["samples_total"]


async def _pages(errand: Errand, usual: int) -> AsyncIterator[Reply]:
    """Of tables. ``-n`` counts the rows that are shown of a page."""
    limit = min(errand.options.most or usual, _MOST)
    cursor: str | None = None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        reply = await errand.call(limit=limit, **more)
        yield reply
        tables = () if reply.is_error else reply.structured["data"]["tables"]
        is_of_rows = not reply.is_error and reply.structured["page"]["total"] == 1 and tables
        cursor = None if reply.is_error or is_of_rows else next_cursor(reply.structured)
        if cursor is None:
            return


# -- for programs --


async def _write_cells(errand: Errand, form: str | None, told: Told) -> None:
    screen = screen_of()
    mark = None if form == "csv" else "\t"
    writer = (
        JsonLines(screen)
        if form == "nl"
        else Separated(
            errand.tool, screen, mark, head=form is not None, addresses=True, columns=_CELLS, tells_null=True
        )
    )
    writer.write([])
    for one in told.tables:
        if "error" in one:
            errand.tell_warnings({"warnings": [f"{one['error']['code']}: {one['error']['message']}"]})
            continue
        writer.write([*_columns(one), *_cells(one, told.warnings)])
        async for more in told.others(one):
            writer.write(_cells(more, told.warnings))


def _columns(table: Mapping[str, Any]) -> list[Row]:
    """A row for each column of one side, or of another type."""
    found, path = table.get("columns", {}), table["path"]
    own = [
        {"path": path, "change": f"column {sort}", "column": name}
        for sort in ("added", "dropped")
        for name in found.get(sort, ())
    ]
    return [*own, *({"path": path, "change": "column retyped", **one} for one in found.get("retyped", ()))]


def _cells(table: Mapping[str, Any], warnings: list[str]) -> list[Row]:
    """A row for each cell of changed rows, and for each row of one side, whose values are an object."""
    samples, path = table.get("samples", {}), table["path"]
    own: list[Row] = []
    for row in samples.get("changed", ()):
        for one in row["cells"]:
            own.append({"path": path, "change": "changed", "key": _alone(row["key"]), **one})
        _tell_cut(path, len(row["cells"]), row.get("cells_total"), warnings)
    for change, side in (("added", "after"), ("removed", "before")):
        for row in samples.get(change, ()):
            key = {"key": _alone(row["key"])} if "key" in row else {}
            values = {"path": path, "change": change, **key, side: row["values"]}
            own.append({**values, "count": row.get("count", 1)})
            _tell_cut(path, len(row["values"]), row.get("columns_total"), warnings)
    return own


def _tell_cut(path: str, shown: int, total: int | None, warnings: list[str]) -> None:
    if total is None or any(one.startswith(f"cells_left_out: {path}: ") for one in warnings):
        return
    warnings.append(
        f"cells_left_out: {path}: {shown:,} of {total:,} cells of a row are written, of others, too."
    )


def _alone(key: Sequence[Any]) -> Any:
    return key[0] if len(key) == 1 else list(key)


# -- for people --


def _show(errand: Errand, first: Reply, tables: Sequence[Mapping[str, Any]], screen: Screen) -> None:
    if not errand.is_quiet:
        for side, uri in (("before", first.structured["data"]["before"]), ("after", first.structured["uri"])):
            screen.line(f"{screen.bold(side)}{' ' * (8 - len(side))}{short_address(uri)}")
    for one in tables:
        old = f"  (was {one['old_path']})" if "old_path" in one else ""
        screen.line("")
        screen.line(screen.bold(f"{one['path']}{old}"))
        if "error" in one:
            screen.line(f"not compared  {for_people(one['error']['message'], errand.verb)}")
            screen.line(f"next          {for_people(one['error']['next_step'], errand.verb)}")
            continue
        for name, said in _facts(one):
            screen.line(f"{name:<8}  {said}")
        _show_rows(one, screen)


def _facts(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows, keys = table["rows"], table["keys"]
    counts = [f"{rows[name]:,} {name}" for name in ("added", "removed", "changed", "unchanged") if rows[name]]
    facts = [("rows", f"{rows['before']:,} before, {rows['after']:,} after: {', '.join(counts) or 'none'}")]
    near = f", numbers within {table['tolerance']} as equal" if "tolerance" in table else ""
    facts.append(("matched", f"by {', '.join(keys)}{near}" if keys else "as whole rows"))
    found = table.get("columns", {})
    parts = [
        f"{sort}: {', '.join(_column(one) for one in found[sort])}{_more(found, sort)}"
        for sort in ("added", "dropped", "retyped")
        if sort in found
    ]
    if parts:
        facts.append(("columns", "; ".join(parts)))
    if table["cells_changed"]:
        largest = table.get("largest", {})
        by = ", ".join(
            f"{name} {count:,}" + (f" (by {largest[name]:g} at most)" if name in largest else "")
            for name, count in table["changed_by_column"].items()
        )
        total = table.get("changed_by_column_total")
        more = f", and {total - len(table['changed_by_column'])} columns more" if total else ""
        facts.append(("cells", f"{table['cells_changed']:,} changed: {by}{more}"))
    return facts


def _column(one: Any) -> str:
    return one if isinstance(one, str) else f"{one['column']} ({one['before']} to {one['after']})"


def _more(found: Mapping[str, Any], sort: str) -> str:
    total = found.get(f"{sort}_total")
    return f" and {total - len(found[sort])} more" if total else ""


def _show_rows(table: Mapping[str, Any], screen: Screen) -> None:
    samples, keys = table.get("samples", {}), table["keys"]
    changed = samples.get("changed", ())
    if changed:
        rows = [[*row["key"], *cell.values()] for row in changed for cell in row["cells"]]
        _show_grid("changed", [*keys, "column", "before", "after"], rows, len(changed), table, screen)
    for sort in ("removed", "added"):
        if found := samples.get(sort, ()):
            names = [*keys, *found[0]["values"]]
            rows = [[*row.get("key", ()), *row["values"].values()] for row in found]
            if any("count" in row for row in found):
                names, rows = (
                    [*names, "times"],
                    [[*one, row.get("count", 1)] for one, row in zip(rows, found, strict=True)],
                )
            _show_grid(sort, names, rows, sum(row.get("count", 1) for row in found), table, screen)


def _show_grid(
    sort: str,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    shown: int,
    table: Mapping[str, Any],
    screen: Screen,
) -> None:
    total = table["rows"][sort]
    more = f", {shown:,} of {counted(total, 'row')}" if shown < total else ""
    screen.line(screen.bold(f"{sort}{more}"))
    numeric = [all(_is_number(row[at]) for row in rows) for at in range(len(names))]
    cells = [list(names), *([_text(value) for value in row] for row in rows)]
    widths = [max(columns(line[at]) for line in cells) for at in range(len(names))]
    room = None if screen.width is None else screen.width - 2 * len(names)
    while room is not None and sum(widths) > room and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    for number, line in enumerate(cells):
        parts = [_placed(text, widths[at], is_right=numeric[at]) for at, text in enumerate(line)]
        said = "  " + "  ".join(parts).rstrip()
        screen.line(said if number else screen.dim(said))


def _placed(text: str, width: int, *, is_right: bool) -> str:
    shown = cut(text, width)
    space = " " * (width - columns(shown))
    return space + shown if is_right else shown + space


def _text(value: Any) -> str:
    """As it is in the table; what is absent, and spaces at an end, are told from what looks the same."""
    if value is None:
        return "NULL"
    if isinstance(value, str) and (value in ("", "NULL") or value != value.strip()):
        return json.dumps(value, ensure_ascii=False)
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(said.split("\n"))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
