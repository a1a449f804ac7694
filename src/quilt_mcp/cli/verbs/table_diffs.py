"""``diff --content [PATH]``: what changed in tables, as a person reads it, or a row for each changed cell."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from quilt_mcp.cli import exits
from quilt_mcp.cli.people import columns, cut
from quilt_mcp.cli.screen import Screen, paged, screen_of
from quilt_mcp.cli.verbs.errand import Errand
from quilt_mcp.cli.verbs.rows import JsonLines, Row, Separated, json_of, next_cursor, short_address
from quilt_mcp.cli.verbs.words import for_people
from quilt_mcp.domain.printable import counted
from quilt_mcp.tools.results.envelope import Reply

_SHOWN: Final = 100
"""Rows of an answer that are shown where none say how many."""
_MOST: Final = 1_000
_LEAST: Final = 10
"""Columns of the screen that a cell has in any case."""
_CELLS: Final = ("path", "change", "key", "column", "before", "after")


async def show_tables(errand: Errand) -> int:
    """Answers the exit code: that of bad data where a table could not be compared, and its error was told in its place."""
    form, is_json = errand.options.form, errand.options.json
    pages = [page async for page in _pages(errand, _MOST if form or is_json else _SHOWN)]
    last = pages[-1]
    if last.is_error:
        if is_json:
            sys.stdout.write(json_of(last.structured, screen_of()) + "\n")
        return errand.failed(last)
    tables = [one for page in pages for one in page.structured["data"]["tables"]]
    warnings = list(dict.fromkeys(one for page in pages for one in page.structured.get("warnings", ())))
    warnings = [one for one in warnings if not one.startswith("more_tables:")]
    if is_json:
        first = pages[0].structured
        whole = {**first, "data": {**first["data"], "tables": tables}, "page": last.structured["page"]}
        sys.stdout.write(json_of({**whole, "warnings": warnings} if warnings else whole, screen_of()) + "\n")
    elif form is not None or screen_of().width is None:
        _write_cells(errand, form, tables)
    else:
        with paged(wanted=not errand.is_quiet) as screen:
            _show(errand, pages[0], tables, screen)
    errand.tell_warnings({"warnings": warnings})
    return exits.CHECK_DATA if any("error" in one for one in tables) else exits.OK


async def _pages(errand: Errand, usual: int) -> AsyncIterator[Reply]:
    """``-n`` counts the rows that are shown of a page."""
    limit = min(errand.options.most or usual, _MOST)
    cursor: str | None = None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        reply = await errand.call(limit=limit, **more)
        yield reply
        cursor = None if reply.is_error else next_cursor(reply.structured)
        if cursor is None:
            return


# -- for programs --


def _write_cells(errand: Errand, form: str | None, tables: Sequence[Mapping[str, Any]]) -> None:
    screen = screen_of()
    rows = [row for one in tables for row in _cells(one)]
    mark = None if form == "csv" else "\t"
    writer = (
        JsonLines(screen)
        if form == "nl"
        else Separated(errand.tool, screen, mark, head=form is not None, addresses=True, columns=_CELLS)
    )
    writer.write(rows)
    for one in tables:
        if "error" in one:
            errand.tell_warnings({"warnings": [f"{one['error']['code']}: {one['error']['message']}"]})


def _cells(table: Mapping[str, Any]) -> list[Row]:
    """A row for each cell that is shown of changed rows, and for each row of one side, whose values are an object."""
    samples = table.get("samples", {})
    own: list[Row] = []
    for row in samples.get("changed", ()):
        for one in row["cells"]:
            own.append({"path": table["path"], "change": "changed", "key": _alone(row["key"]), **one})
    for change, side in (("added", "after"), ("removed", "before")):
        for row in samples.get(change, ()):
            key = _alone(row["key"]) if "key" in row else None
            own.append({"path": table["path"], "change": change, "key": key, side: row["values"]})
    return own


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
    facts.append(("matched", f"by {', '.join(keys)}" if keys else "as whole rows"))
    found = table.get("columns", {})
    parts = [
        f"{sort}: {', '.join(_column(one) for one in found[sort])}{_more(found, sort)}"
        for sort in ("added", "dropped", "retyped")
        if sort in found
    ]
    if parts:
        facts.append(("columns", "; ".join(parts)))
    if table["cells_changed"]:
        by = ", ".join(f"{name} {count:,}" for name, count in table["changed_by_column"].items())
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
    """As it is in the table; what is absent is told from an empty text."""
    if value is None:
        return "NULL"
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(said.split("\n"))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
