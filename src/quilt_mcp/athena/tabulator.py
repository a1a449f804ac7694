"""Tabulator's tables, named without the stack: ``tabulator.plates`` and ``tabulator."bucket".plates`` become the stack's own."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.errors import InvalidArgument

CATALOG: Final = re.compile(r"quilt-.+-tabulator")
"""As a stack names its own."""
_ALIAS: Final = "tabulator"


def in_its_catalog(tree: Any, text: str, catalogs: Collection[str], bucket: str) -> str:
    """``text`` is what ``tree`` was read from; it stays where no stack has a Tabulator among the ``catalogs``. ``bucket`` is
    meant where none is named. Raises InvalidArgument where several stacks have one."""
    own = sorted(one for one in catalogs if CATALOG.fullmatch(one))
    if not own:
        return text
    edits: list[tuple[int, int, str]] = []
    for table in tree.find_all(exp.Table):
        catalog, database = table.args.get("catalog"), table.args.get("db")
        first = catalog or database
        if first is None or first.name.lower() != _ALIAS or isinstance(table.this, exp.Dot):
            continue
        if len(own) > 1:
            raise InvalidArgument(
                f"Several stacks have a Tabulator here: {', '.join(own)}.",
                next_step=f'Name the one that is meant: FROM "{own[0]}"."bucket"."table".',
            )
        names = own if catalog is not None else [own[0], bucket]
        edits.append((first.meta["start"], first.meta["end"] + 1, ".".join(f'"{one}"' for one in names)))
    for start, end, said in sorted(edits, reverse=True):
        text = text[:start] + said + text[end:]
    return text
