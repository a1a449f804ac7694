"""Objects of a bucket or folder that a query finds among the first so many of its listing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quilt_mcp.domain.search.query.term import Query
from quilt_mcp.search.engine import Connection, Row, literal
from quilt_mcp.search.parts import ENDING, words_of
from quilt_mcp.search.sql import entry_condition

_TABLE: Final = """
(SELECT *, lower(key) AS lpath, key AS logical_key, regexp_extract(lower(key), {ending}, 1) AS ext, key AS physical_key,
        NULL::VARCHAR AS lmeta, {words} AS words, NULL::VARCHAR AS hash_value, NULL::VARCHAR AS metadata
 FROM read_json({file}, format = 'newline_delimited', hive_partitioning = false, columns = {{
    number: 'INTEGER', registry: 'VARCHAR', key: 'VARCHAR', size: 'BIGINT', modified: 'BIGINT', version: 'VARCHAR'}}))"""
_ORDERS: Final[Mapping[str, str]] = {"name": "key", "size": "e.size", "modified": "e.modified", "best": "key"}


@dataclass(frozen=True, slots=True)
class Listed:
    """An object; ``modified`` in microseconds since 1970."""

    number: int
    registry: str
    key: str
    size: int
    modified: int
    version: str | None = None

    def line(self) -> bytes:
        record = {
            "number": self.number, "registry": self.registry, "key": self.key, "size": self.size, "modified": self.modified,
            "version": self.version,
        }  # fmt: skip
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


@dataclass(frozen=True, slots=True)
class FoundObjects:
    total: int
    rows: Sequence[Listed]
    endings: Mapping[str, int]
    sizes: tuple[int, int] | None
    times: tuple[int, int] | None


def find(
    connection: Connection,
    listing: Path,
    query: Query,
    sort: str,
    is_descending: bool,
    start: int,
    limit: int,
) -> FoundObjects:
    """``listing``: a file of lines, as ``Listed.line`` spells them."""
    table = _TABLE.format(file=literal(str(listing)), ending=literal(ENDING), words=words_of("lower(key)"))
    condition = entry_condition(query, "(SELECT 0 AS number WHERE false)")
    matched = f"{table} e, LATERAL (SELECT e.modified AS modified, '' AS name) h WHERE {condition}"
    counted = connection.rows(
        f"SELECT ext, count(*), min(size), max(size), min(e.modified), max(e.modified) FROM {matched} GROUP BY ext "
        "ORDER BY count(*) DESC, ext"
    )
    direction = "DESC" if is_descending else "ASC"
    rows: Sequence[Row] = (
        connection.rows(
            f"SELECT e.number, registry, key, size, e.modified, version FROM {matched} "
            f"ORDER BY {_ORDERS[sort]} {direction}, key, registry LIMIT {limit} OFFSET {start}"
        )
        if limit
        else []
    )
    if not counted:
        return FoundObjects(0, (), {}, None, None)
    return FoundObjects(
        sum(row[1] for row in counted),
        [Listed(*row) for row in rows],
        {row[0]: row[1] for row in counted},
        (min(row[2] for row in counted), max(row[3] for row in counted)),
        (min(row[4] for row in counted), max(row[5] for row in counted)),
    )
