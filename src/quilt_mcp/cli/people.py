"""Values as people write them: sizes, times of the clock on the wall, short hashes, aligned columns. What comes in is printable
already; nothing here knows a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from quilt_mcp.domain.printable import counted
from quilt_mcp.tools.results.envelope import DATA

HIDDEN: Final = frozenset({"uri", "physical_key"})
"""Long addresses that can be made from what is shown; JSON has them."""
SIZES: Final = frozenset({"size", "old_size", "bytes", "bytes_to_copy", "bytes_copied"})
SHORT: Final = 10
"""Digits of a hash, as many as every argument takes for it."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_NAMES: Final = {"top_hash": "revision", "old_path": "from", "timestamp": "modified"}
_COUNTS: Final = frozenset({"totals", "counts", "actions", "checks"})
"""What holds a number for each word."""
_GOES_WITHOUT_SAYING: Final[Mapping[str, Any]] = {"note": DATA, "metadata_changed": False}
_LEAST: Final = 8
"""Columns of the screen that are left to a value that has to be cut."""

Row = Mapping[str, Any]


def is_rows(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(row, dict) for row in cast("list[Any]", value))


def human_size(size: int) -> str:
    """Decimal units, as disks and S3 bills count."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def human_time(text: str) -> str:
    """Of a time in UTC, as results carry it: this machine's own, to the minute."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    except (ValueError, OverflowError, OSError):  # the year 1, before any clock
        return text
    return moment.isoformat(" ", "minutes")[:16]


def cell(key: str, value: Any) -> str:
    """One line, unless the text itself has more."""
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return human_size(value) if key in SIZES else f"{value:,}"
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if all(isinstance(one, str) for one in items):
            return ", ".join(_short(one) for one in items)
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if set(mapping) == {"entries", "bytes"}:
            return files_and_bytes(mapping["entries"], mapping["bytes"])
        if key == "extensions":
            return "\n".join(
                f"{ending or '(none)'}: {files_and_bytes(*found)}" for ending, found in mapping.items()
            )
        if key in _COUNTS and all(isinstance(one, int) for one in mapping.values()):
            said = [f"{number:,} {name_of(word)}" for word, number in mapping.items() if number]
            return ", ".join(said) or "nothing"
        if set(mapping) == {"type", "value"}:
            return f"{mapping['type']}:{str(mapping['value'])[:SHORT]}"
        if all(not isinstance(one, dict | list) for one in mapping.values()):
            return "  ".join(f"{name}={_scalar(name, one)}" for name, one in mapping.items())
    return json.dumps(value, ensure_ascii=False)


def files_and_bytes(files: int, size: int) -> str:
    return f"{counted(files, 'file')}, {human_size(size)}"


def name_of(key: str) -> str:
    return _NAMES.get(key, key.replace("_", " "))


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The keys that are worth a column: not the same empty thing in every row, and not what goes without saying."""
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in HIDDEN]
    kept = [key for key in keys if any(row.get(key) not in (None, [], {}) for row in rows)]
    kept = [key for key in kept if key != "verified" or any(row.get(key) is not True for row in rows)]
    if "type" in kept and all(row.get("type") in ("folder", "file") for row in rows):
        kept.remove("type")  # a folder's path ends in '/'
    return kept or keys or list(rows[0])


def table(
    rows: Sequence[Row], keys: Sequence[str], width: int | None, head: bool = True
) -> tuple[list[str], list[str]]:
    """The header line (where one is asked for) and a line for each row, in aligned columns. Where they are wider than ``width``
    the longest are cut, ending in '...'; the first is never cut, as it is what is copied."""
    cells = [[_line(cell(_meaning(key, row), row.get(key))) for key in keys] for row in rows]
    heads = [name_of(key) for key in keys]
    numeric = [all(_is_number(row.get(key)) for row in rows) for key in keys]
    widths = [
        max([columns(line[at]) for line in cells] + [columns(heads[at]) if head else 0])
        for at in range(len(keys))
    ]
    if width is not None:
        _squeeze(widths, numeric, width - 2 * (len(keys) - 1))
    lines = [_aligned(line, widths, numeric) for line in cells]
    return ([_aligned(heads, widths, numeric)] if head else []), lines


def _meaning(key: str, row: Row) -> str:
    """The bounds of a field, as facets have them, are written as its values are."""
    field = row.get("field")
    return field if key in ("min", "max") and isinstance(field, str) and field in SIZES else key


def facts(values: Mapping[str, Any]) -> list[str]:
    """A line for each value that says something, names aligned; lists and long texts over as many lines as they take. A count of
    nothing says something only of problems."""
    kept = {key: value for key, value in values.items() if value not in (None, [], {}, "")}
    kept = {key: value for key, value in kept.items() if _GOES_WITHOUT_SAYING.get(key, None) != value}
    if "bytes_copied" in values:
        kept.pop("bytes_to_copy", None)
    kept = {
        key: value for key, value in kept.items() if value is False or value != 0 or key == "problem_count"
    }
    width = max((len(name_of(key)) for key in kept), default=0)
    lines: list[str] = []
    for key, value in kept.items():
        many = (
            [cell("", row) for row in cast("list[Any]", value)]
            if is_rows(value)
            else cell(key, value).splitlines()
        )
        for number, text in enumerate(many):
            lines.append(f"{name_of(key) if number == 0 else '':<{width}}  {text}")
    return lines


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int) -> str:
    if columns(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, max(width - 3, 0)).rstrip() + "..."


def _squeeze(widths: list[int], numeric: Sequence[bool], room: int) -> None:
    while (over := sum(widths) - room) > 0:
        can = [at for at in range(1, len(widths)) if not numeric[at] and widths[at] > _LEAST]
        if not can:
            return
        longest = max(can, key=widths.__getitem__)
        widths[longest] = max(_LEAST, widths[longest] - over)


def _aligned(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    parts: list[str] = []
    for at, text in enumerate(cells):
        shown = text if at == 0 else cut(text, widths[at])
        space = " " * (widths[at] - columns(shown))
        parts.append(space + shown if numeric[at] else shown + space)
    return "  ".join(parts).rstrip()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | None) and not isinstance(value, bool)


def _line(text: str) -> str:
    return " ".join(text.split("\n")) if "\n" in text else text


def _short(text: str) -> str:
    if _TIME.fullmatch(text):
        return human_time(text)
    return text[:SHORT] if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text) else text


def _scalar(key: str, value: Any) -> str:
    if isinstance(value, int) and key in SIZES and not isinstance(value, bool):
        return human_size(value)
    return _short(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
