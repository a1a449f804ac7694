"""What can be asked of a file, each a call of its own: what is inside, rows, text, lines, a picture.

Each raises what ``child.ask`` does. What comes back is made of what the child said, which is data: only the parts named here, and
of the types named here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, cast

from quilt_mcp.domain.search.where import as_json, parse_where
from quilt_mcp.errors import ColumnNotFound, InvalidArgument, NotATable, Undecodable
from quilt_mcp.preview.child import ask
from quilt_mcp.preview.kinds import TABLES, kind_of
from quilt_mcp.preview.source import Source

FIRST_ROWS = 5
_FIRST_BYTES = 6_000
MOST_COLUMNS = 200
"""Columns that a description names; the others are counted."""
ROWS = 100
"""Rows that are shown where no range is asked for."""
_SHOWN = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
_RANGE = re.compile(r"(\d{1,15})?(:)?(\d{1,15})?\Z")


@dataclass(frozen=True, slots=True)
class Inside:
    """``facts``: what a format tells of itself, as JSON."""

    facts: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """``total``: rows in all, or those that match; None where the end was not seen. ``next``: the row to go on with."""

    columns: list[Any]
    rows: list[Any]
    total: int | None
    next: int | None
    faults: list[Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextPart:
    """``offset`` and ``next_offset`` count bytes of the text in UTF-8."""

    text: str
    offset: int
    next_offset: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    lines: list[Any]
    total: int
    header: str
    next_offset: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """``image`` is of ``media_type``; ``facts`` tells of the picture in the file, which may be larger."""

    image: bytes
    media_type: str
    facts: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Rows of red, green and blue, a byte each."""

    width: int
    height: int
    rgb: bytes

    def at(self, column: int, row: int) -> bytes:
        start = 3 * (row * self.width + column)
        return self.rgb[start : start + 3]


async def inside(source: Source) -> Inside | None:
    """None: nothing is known of the insides of such a file."""
    kind = kind_of(source.name)
    if kind is None:
        return None
    found = await ask(source, "inside", kind=kind, first=FIRST_ROWS)
    facts = {key: value for key, value in found.items() if key != "notes" and value not in (None, [], "")}
    return Inside({"kind": kind, **_lean(facts)}, _notes(found))


def _lean(facts: dict[str, Any]) -> dict[str, Any]:
    """Of a wide table the first columns, and as many first rows as some kilobytes hold."""
    columns: Any = facts.get("columns")
    if isinstance(columns, dict) and len(cast("dict[str, Any]", columns)) > MOST_COLUMNS:
        named = cast("dict[str, Any]", columns)
        kept = dict(islice(named.items(), MOST_COLUMNS))
        facts = {**facts, "columns": kept, "columns_total": len(named)}
    first: list[Any] = []
    room = _FIRST_BYTES
    for line in _list(facts, "first"):
        cells = cast("list[Any]", line)[:MOST_COLUMNS] if isinstance(line, list) else []
        room -= len(json.dumps(cells))
        if room < 0:
            break
        first.append(cells)
    return {**facts, "first": first} if "first" in facts else facts


async def rows(
    source: Source, columns: Sequence[str] | None, span: str | None, where: str | None, room: int
) -> Rows:
    """``span``: as Python's slices (``100:120``, ``:20``, ``7``), of the rows that match; ``0:0`` counts them. A single name of
    no column that holds commas is a list of names. Raises InvalidArgument, InvalidWhere, ColumnNotFound, NotATable too."""
    kind = kind_of(source.name)
    if kind not in TABLES:
        raise NotATable(
            f"{source.name} is no table, by its name.",
            next_step="Rows are there of CSV, TSV, JSON lines and Parquet, and of VCF, GFF, BED and SAM. Mode text reads text.",
        )
    start, stop = parse_span(span)
    conditions = as_json(parse_where(where)) if where else []
    read = partial(ask, source, "rows", kind=kind, start=start, stop=stop, where=conditions, room=room)
    names = None if columns is None else list(columns)
    try:
        found = await read(columns=names)
    except ColumnNotFound:
        if names is None or len(names) != 1 or "," not in names[0]:
            raise
        found = await read(columns=[one.strip() for one in names[0].split(",")])
    return Rows(
        _list(found, "columns"),
        _list(found, "rows"),
        _number(found, "total"),
        _number(found, "next"),
        _list(found, "faults"),
        _notes(found),
    )


def parse_span(span: str | None) -> tuple[int, int]:
    """First row and the one after the last. Raises InvalidArgument."""
    match = _RANGE.match((span or ":").replace(" ", ""))
    if match is None or not any(match.groups()):
        raise InvalidArgument(
            f"rows is {(span or '')[:40]!r}, which is no range.",
            next_step="Write the first row and the one after the last, counted from 0: 100:120, or :20. 0:0 counts the rows.",
        )
    start = int(match[1] or 0)
    stop = int(match[3]) if match[3] else start + (ROWS if match[2] else 1)
    if stop < start:
        raise InvalidArgument(
            f"rows is {(span or '')[:40]!r}, which ends before it begins.",
            next_step=f"Write {stop}:{start} for the rows between the two; 0:0 counts the rows.",
        )
    return start, stop


async def text(source: Source, offset: int, length: int) -> TextPart:
    """A part of a file's text, unpacked and decoded; of a notebook its cells. Raises InvalidArgument past the end."""
    question = "notebook" if kind_of(source.name) == "notebook" else "text"
    found = await ask(source, question, offset=offset, length=length)
    return TextPart(
        str(found.get("text")), _number(found, "offset") or 0, _number(found, "next_offset"), _notes(found)
    )


async def find(source: Source, pattern: str, offset: int, limit: int, room: int) -> Matches:
    """The lines that hold ``pattern``: text, or a regular expression of RE2's between slashes (``/x/i`` ignores case)."""
    found = await ask(source, "find", find=pattern, offset=offset, limit=limit, room=room)
    return Matches(
        _list(found, "matches"),
        _number(found, "total") or 0,
        str(found.get("header")),
        _number(found, "next_offset"),
        _notes(found),
    )


async def picture(source: Source, most: int, side: int) -> Picture:
    """The first page of a picture, as an image of at most ``most`` bytes and ``side`` pixels, scaled down where it is more."""
    found = await ask(source, "picture", most=most, side=side)
    media_type = str(found.get("media_type"))
    image = _bytes(found, "image")
    if not image or len(image) > most or media_type not in _SHOWN:
        raise _no_picture(source)
    facts: Any = found.get("facts")
    return Picture(
        image, media_type, cast("dict[str, Any]", facts) if isinstance(facts, dict) else {}, _notes(found)
    )


async def pixels(source: Source, width: int, height: int, seconds: float) -> Pixels:
    """The first page of a picture, scaled into ``width`` times ``height``."""
    found = await ask(source, "pixels", seconds, width=width, height=height)
    made = Pixels(_number(found, "width") or 0, _number(found, "height") or 0, _bytes(found, "rgb"))
    if (
        not 0 < made.width <= width
        or not 0 < made.height <= height
        or len(made.rgb) != 3 * made.width * made.height
    ):
        raise _no_picture(source)
    return made


def _no_picture(source: Source) -> Undecodable:
    return Undecodable(f"{source.name} cannot be shown.", next_step="object_link makes a link to open it.")


def _bytes(found: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(found.get(name)), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _notes(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(one) for one in _list(found, "notes"))


def _list(found: dict[str, Any], name: str) -> list[Any]:
    value: Any = found.get(name)
    return cast("list[Any]", value) if isinstance(value, list) else []


def _number(found: dict[str, Any], name: str) -> int | None:
    value: Any = found.get(name)
    return value if isinstance(value, int) and value >= 0 else None
