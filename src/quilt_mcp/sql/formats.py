"""Formats: which files are tables, and how the engine reads them.

Lines of a CSV that do not fit its form are an error that names the first of them, never left out in silence; ``ignore_errors``
leaves them out where that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import InvalidSql
from quilt_mcp.sql.child import FilesView
from quilt_mcp.sql.gate import Option

_KINDS: Final = {
    "csv": "csv", "tsv": "tsv", "tab": "tsv", "parquet": "parquet", "pq": "parquet", "jsonl": "lines", "ndjson": "lines",
    "json": "json",
}  # fmt: skip
_PACKED: Final = (".gz", ".zst")
_MAGIC: Final = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_SKIPPED_FRAME: Final = b"\x2a\x4d\x18"
"""Zstandard may begin with what is passed over."""
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
Options = Mapping[str, Option]
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


def inner_name(name: str, kind: str | None, head: bytes | None = None) -> str:
    """By which the engine sees what the file is, and how it is packed: nothing of the file's own name but its ending. ``head``:
    its first bytes, where they are known, which win."""
    packed = next((one for one in _PACKED if name.casefold().endswith(one)), "")
    if head is not None and kind != "parquet":
        known = next((one for sign, one in _MAGIC.items() if head.startswith(sign)), "")
        packed = packed if head[1:4] == _SKIPPED_FRAME else known
    return f"file.{kind}{packed}"


def view_of(
    name: str,
    kind: str,
    numbers: Sequence[int],
    added: Mapping[str, Sequence[str]],
    options: Options,
) -> FilesView:
    """Of files of one kind, by their ``numbers``. ``added``: columns that are added, with the value of each file. Raises
    InvalidSql for an option that there is not."""
    base = {"tsv": "csv", "lines": "json"}.get(kind, kind)
    given = _checked(base, options)
    settings: dict[str, str] = {}
    match kind:
        case "csv" | "tsv":
            settings["sample_size"] = str(FIRST_ROWS)
            settings["skip"] = "0"  # or lines at the top that do not fit are passed over in silence
            if kind == "tsv" and not {"delim", "sep"} & given.keys():
                settings["delim"] = "'\t'"
        case "lines":
            settings["format"] = "'newline_delimited'"
        case "parquet":
            settings["hive_partitioning"] = "false"
        case _:
            pass
    return FilesView(name, base, numbers, {**settings, **given}, added)


def _checked(base: str, options: Options) -> dict[str, str]:
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


def _literal(value: Option) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
