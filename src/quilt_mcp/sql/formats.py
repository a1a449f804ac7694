"""Formats: which files are tables, and how the engine reads them.

Lines of a CSV that do not fit its form are an error that names the first of them, never left out in silence; ``ignore_errors``
leaves them out where that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import InvalidSql
from quilt_mcp.sql.child import View, place

_KINDS: Final = {
    "csv": "csv", "tsv": "tsv", "tab": "tsv", "parquet": "parquet", "pq": "parquet", "jsonl": "lines", "ndjson": "lines",
    "json": "json",
}  # fmt: skip
_PACKED: Final = (".gz", ".zst")
_OPTIONS: Final = {
    "csv": frozenset(
        """
        all_varchar comment dateformat decimal_separator delim encoding escape header ignore_errors null_padding nullstr quote
        sep skip strict_mode thousands timestampformat
        """.split()  # noqa: SIM905 - a list of words
    ),
    "json": frozenset(("ignore_errors",)),
    "parquet": frozenset[str](),
}
_FILE: Final = "$file"
FIRST_ROWS: Final = 100_000
"""Rows of a CSV from which the types of its columns are seen."""
ADDED: Final = ("$logical_key", "$top_hash", "$pkg_name")
"""Columns that Tabulator adds to a table."""
ENDINGS: Final = ", ".join(sorted(f".{one}" for one in _KINDS))


def kind_of(name: str) -> str | None:
    """None: it is no table, by its name."""
    bare = name.casefold()
    for one in _PACKED:
        bare = bare.removesuffix(one)
    return _KINDS.get(bare.rpartition(".")[2]) if "." in bare else None


def inner_name(name: str, kind: str | None) -> str:
    """By which the engine sees what the file is, and how it is packed: nothing of the file's own name but its ending."""
    packed = next((one for one in _PACKED if name.casefold().endswith(one)), "")
    return f"file.{kind}{packed}"


def view_of(
    name: str,
    kind: str,
    numbers: Sequence[int],
    added: Mapping[str, Sequence[str]],
    options: Mapping[str, str | int | float | bool],
) -> View:
    """Of files of one kind, by their ``numbers``. ``added``: columns that are added, with the value of each file. Raises
    InvalidSql for an option that there is not."""
    places = ", ".join(place(one) for one in numbers)
    base = {"tsv": "csv", "lines": "json"}.get(kind, kind)
    given = _checked(base, options)
    settings: list[str] = []
    match kind:
        case "csv" | "tsv":
            settings += [f"sample_size = {FIRST_ROWS}"]
            if "skip" not in given:
                settings.append("skip = 0")  # or lines at the top that do not fit are passed over in silence
            if kind == "tsv" and not {"delim", "sep"} & given.keys():
                settings.append("delim = '\t'")
        case "lines":
            settings.append("format = 'newline_delimited'")
        case "parquet":
            settings.append("hive_partitioning = false")
        case _:
            pass
    settings += [f"{key} = {value}" for key, value in given.items()]
    each = [_call(base, place(one), settings) for one in numbers] if base == "csv" else []
    of_all = [f"filename = '{_FILE}'"] if added else []
    of_all += ["union_by_name = true"] if len(numbers) > 1 else []
    source = _call(base, places, [*of_all, *settings])
    if not added:
        return View(name, f"SELECT * FROM {source}", each)
    at = f'list_position([{places}], "{_FILE}")'
    more = ", ".join(
        f'list_extract([{", ".join(map(_literal, values))}], {at}) AS "{column}"'
        for column, values in added.items()
    )
    return View(name, f'SELECT * EXCLUDE ("{_FILE}"), {more} FROM {source}', each)


def _call(base: str, places: str, settings: Sequence[str]) -> str:
    return f"read_{base}([{places}]{''.join(f', {one}' for one in settings)})"


def _checked(base: str, options: Mapping[str, str | int | float | bool]) -> dict[str, str]:
    allowed = _OPTIONS[base]
    for name in options:
        if name not in allowed:
            near = suggest(name, allowed)
            meant = f"Did you mean {' or '.join(near)}? " if near else ""
            there = ", ".join(sorted(allowed)) or "none"
            raise InvalidSql(
                f"files(..) has no option {name[:100]!r} for {base}.", next_step=f"{meant}There are: {there}."
            )
    return {name: _literal(value) for name, value in options.items()}


def _literal(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
