"""The four tables that a Quilt stack keeps of each bucket, and where they lie."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FOUR_TABLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "package_revision": {"pkg_name": "VARCHAR", "timestamp": "TIMESTAMP", "top_hash": "VARCHAR"},
        "package_tag": {"pkg_name": "VARCHAR", "tag_name": "VARCHAR", "top_hash": "VARCHAR"},
        "package_manifest": {"top_hash": "VARCHAR", "message": "VARCHAR", "metadata": "VARCHAR"},
        "package_entry": {
            "top_hash": "VARCHAR",
            "logical_key": "VARCHAR",
            "physical_key": "VARCHAR",
            "hash_type": "VARCHAR",
            "hash_value": "VARCHAR",
            "size": "BIGINT",
            "metadata": "VARCHAR",
        },
    }
)
"""Columns and their types, in DuckDB's words. ``metadata`` is JSON text."""
REGISTRY: Final = "registry"
"""A column that is there when a query names it: which bucket a row is of."""
TABULATOR: Final = re.compile(r"quilt-.+-tabulator")
"""The catalog of a stack's Tabulator, as the stack names it."""


@dataclass(frozen=True, slots=True)
class TableAt:
    """One bucket's table. ``database`` and ``catalog`` None: those that the query runs in."""

    table: str
    database: str | None = None
    catalog: str | None = None
    registry: str | None = None


Locate = Callable[[str], Sequence[TableAt]]
"""Where one of the four tables lies: once for each bucket that is asked about, at least once."""


def tables_of(buckets: Sequence[str], *, database: str | None = None, catalog: str | None = None) -> Locate:
    """As a stack names them: the bucket's name before the table's."""

    def locate(name: str) -> Sequence[TableAt]:
        return [TableAt(f"{one}_{name}", database, catalog, f"s3://{one}") for one in buckets]

    return locate
