"""Columns of subqueries, CTEs and lists: their kinds, which sqlglot forgets where it does not know a function of DuckDB's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import Kind, is_list_of_text, kind_of, typed

_FIRST: Final = {"with_": 0, "from_": 1, "joins": 2}


class Columns:
    """Of one query, noted as its nodes are passed from the leaves up. A name that stands for two kinds is of neither."""

    def __init__(self) -> None:
        self._ctes: dict[str, Mapping[str, Kind]] = {}
        self._known: dict[tuple[str, str], Kind] = {}

    @staticmethod
    def parts(node: Any) -> list[tuple[str, Any]]:
        """What has columns comes before what names them."""
        return sorted(node.args.items(), key=lambda part: _FIRST.get(part[0], 3))

    def note(self, node: Any) -> None:
        match node:
            case exp.Column():
                if kind_of(node) == "unknown":
                    typed(node, self._known.get((node.table, node.name), "unknown"))
            case exp.CTE():
                self._ctes[node.alias] = _kinds(node.this, node.args["alias"].columns)
            case exp.Subquery() if node.alias:
                self._add(node.alias, _kinds(node.this, node.args["alias"].columns))
            case exp.Table() if node.name in self._ctes:
                self._add(node.alias_or_name, self._ctes[node.name])
            case exp.Unnest() if node.args.get("alias") is not None and is_list_of_text(node.expressions[0]):
                self._add(node.alias, {one.name: "text" for one in node.args["alias"].columns})
            case _:
                pass

    def _add(self, table: str, columns: Mapping[str, Kind]) -> None:
        for name, kind in columns.items():
            before = self._known.setdefault((table, name), kind)
            if before != kind:
                self._known[table, name] = "unknown"


def _kinds(query: Any, names: Any) -> dict[str, Kind]:
    selected: list[Any] = query.selects
    called = [one.name for one in names] or [one.alias_or_name for one in selected]
    return {name: kind_of(one) for name, one in zip(called, selected, strict=False)}
