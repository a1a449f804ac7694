"""Form: how a CSV is written, as the engine finds out from its first rows, which is asked once for each file.

A line that begins with '#' is data, but for those at the top of a file, which are passed over and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from quilt_mcp.sql.inside.engine import typed
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.quoting import text
from quilt_mcp.sql.inside.tables.table import FilesTable, call
from quilt_mcp.sql.inside.tables.whole_numbers import LEAST_BYTES

_SNIFFED: Final = "Delimiter, Quote, Escape, Comment, HasHeader, Columns, DateFormat, TimestampFormat"
_OF_A_FORM: Final = frozenset(
    """
    all_varchar buffer_size comment dateformat delim escape header max_line_size quote sample_size sep skip timestampformat
    """.split()  # noqa: SIM905 - a list of words
)
_NO_DELIMITER: Final = "'\x01\x02'"
_LEAST_LINE: Final = 2 << 20
_LONGEST_LINE: Final = 32 << 20
"""Bytes of a line; the engine's buffer is as large."""
_OTHERWISE_WRITTEN: Final = frozenset(("thousands", "decimal_separator"))
_LONGEST_TOP: Final = 2_000
"""Lines at the top of a file among which those that are no data end."""


@dataclass(frozen=True, slots=True)
class Form:
    delimiter: str
    quote: str
    escape: str
    comment: str
    has_header: bool
    skip: int
    kinds: tuple[tuple[str, str], ...]
    """Columns and their types, by the first rows."""
    date: str | None
    timestamp: str | None
    commented: int = 0
    """Lines at the top that begin with '#' and are passed over."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.kinds)

    def format_of(self, kind: str) -> str | None:
        return {"DATE": self.date, "TIMESTAMP": self.timestamp}.get(kind)

    def settings(self, kinds: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
        """Of the engine's reader, so that it guesses nothing. ``others``: what was asked for a table. What the header says is
        data, and stands there as literals."""
        columns = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in kinds.items())
        given = {"delim": self.delimiter, "quote": self.quote, "escape": self.escape, "comment": self.comment}
        given |= {
            name: one for name, one in (("dateformat", self.date), ("timestampformat", self.timestamp)) if one
        }
        return {
            "auto_detect": "false",
            "skip": str(self.skip),
            "header": "true" if self.has_header else "false",
            **{name: text(one) for name, one in given.items()},
            "columns": f"{{{columns}}}",
            **{name: one for name, one in others.items() if name not in _OF_A_FORM},
        }


def room(table: FilesTable, number: int) -> dict[str, str]:
    """Settings by which a line may be as long as a file."""
    if not table.is_longer(number, _LEAST_LINE):
        return {}
    size = table.sizes[number]
    longest = (
        max(_LEAST_LINE, min(size, _LONGEST_LINE)) if not table.is_longer(number, size) else _LONGEST_LINE
    )
    return {"max_line_size": str(longest), "buffer_size": str(_LONGEST_LINE)}


def form_of(engine: Any, table: FilesTable, number: int) -> Form | None:
    """None for a file with nothing in it, where there are others. Raises Fault for a file that has no form."""
    if table.is_several and not table.sizes[number]:
        return None
    settings = {**table.settings, **room(table, number)}
    if _OTHERWISE_WRITTEN & settings.keys() and table.is_longer(number, LEAST_BYTES):
        settings["sample_size"] = "-1"  # such numbers are not held against their types later
    if "max_line_size" in settings and table.is_longer(number, _LONGEST_LINE):
        lines(engine, table, number, 1)  # what is too long is told at once by that alone
    try:
        found = _sniffed(engine, table, number, settings)
    except Fault as fault:
        if "sniffing" in str(fault):
            _find_line(engine, table, number, settings)
        raise
    if found.comment and "comment" not in table.settings:
        found = _without_comments(engine, table, number, settings, found)
    is_empty = table.is_several and found.names == ("column0",) and not found.has_header
    return None if is_empty and not lines(engine, table, number, 1) else found


def lines(engine: Any, table: FilesTable, number: int, most: int) -> list[str]:
    """The first lines as they are."""
    form = Form(_NO_DELIMITER[1:-1], "", "", "", False, 0, (), None, None)
    kept = {"encoding": table.settings["encoding"]} if "encoding" in table.settings else {}
    source = call(
        "csv",
        [table.paths[number]],
        {**form.settings({"line": "VARCHAR"}, kept), **room(table, number)},
    )
    with typed(table=table.name):
        return [one or "" for (one,) in engine.execute(f"SELECT line FROM {source} LIMIT {most}").fetchall()]


def sniffing(path: str, settings: Mapping[str, str]) -> str:
    return f"sniff_csv({text(path)}{''.join(f', {name} = {value}' for name, value in settings.items())})"


def _sniffed(engine: Any, table: FilesTable, number: int, settings: Mapping[str, str]) -> Form:
    with typed(table=table.name):
        [form] = engine.execute(
            f"SELECT {_SNIFFED} FROM {sniffing(table.paths[number], settings)}"
        ).fetchall()
    signs, (has_header, columns, date, timestamp) = form[:4], form[4:]
    delimiter, quote, escape, comment = ("" if one in (None, "(empty)", "\0") else one for one in signs)
    if delimiter == "," and not quote and "quote" not in settings:
        quote = escape = '"'  # what was looked at may hold no quotes, and what follows may
    skip = settings.get("skip", "0").strip("'")
    return Form(
        delimiter,
        quote,
        escape,
        comment,
        bool(has_header),
        int(skip) if skip.isdigit() else 0,
        tuple((one["name"], one["type"]) for one in columns),
        None if date is None else str(date),
        None if timestamp is None else str(timestamp),
    )


def _without_comments(
    engine: Any, table: FilesTable, number: int, settings: Mapping[str, str], found: Form
) -> Form:
    """Where the engine takes lines for comments, those at the top alone are. Raises Fault where the last of them may be the
    header: then no column would have its name, in silence."""
    top = 0
    for line in lines(engine, table, number, _LONGEST_TOP)[found.skip :]:
        if line.strip() and not line.startswith(found.comment):
            break
        top += 1
    if top and not found.has_header:
        said = (
            f"{table.paths[number]} has no header but lines that begin with {found.comment!r}, of which the last may be one: "
            "skip := n of files(..) passes over those above it, comment := '#' takes all for comments."
        )
        raise Fault("engine", said, exception="Header", table=table.name)
    said = (
        f"{table.paths[number]} has lines that begin with {found.comment!r} and are no rows as the others: comment := '#' of "
        "files(..) passes over all of them."
    )
    given = {**settings, "comment": "''", "skip": str(found.skip + top)}
    try:
        plain = _sniffed(engine, table, number, given)
    except Fault as fault:
        if fault.kind != "engine":
            raise
        raise Fault("engine", said, exception="Comment", table=table.name) from None
    if len(plain.kinds) == 1 < len(found.kinds):
        raise Fault("engine", said, exception="Comment", table=table.name)
    return replace(plain, commented=top)


def _find_line(engine: Any, table: FilesTable, number: int, settings: Mapping[str, str]) -> None:
    """Where no form fits all lines that were looked at, takes that of the first ones: then the first that does not fit it is
    named. Raises Fault."""
    source = call("csv", [table.paths[number]], {**settings, "sample_size": "2"})
    with typed(table=table.name):
        engine.execute(f"SELECT count(*) FROM {source}")
