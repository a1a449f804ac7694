"""Views: how DuckDB reads the published tables of a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from quilt_mcp.domain.publication import NAMES, TABLES
from quilt_mcp.search.engine import literal
from quilt_mcp.storage.store import Store

_WILD: Final = re.compile(r"([*?\[])")


def views(store: Store) -> Sequence[str]:
    """A statement for each table."""
    found: list[str] = []
    for name in NAMES:
        folder = store.physical_key(f"{TABLES}{name}").path
        pattern = _WILD.sub(r"[\1]", folder) + "/*.parquet"
        found.append(f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet({literal(pattern)})")
    return found
