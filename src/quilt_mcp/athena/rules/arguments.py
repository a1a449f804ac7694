"""Which parts of a node the rules look at. sqlglot keeps some under names of their own (``max(x, 3)`` has a ``count``), and a
part that no rule knows of would be left out without a word."""

from __future__ import annotations

from typing import Any, Final

from quilt_mcp.athena.rules.refusal import refusal

_ANY: Final = frozenset({"this", "expression", "expressions"})
_MORE: Final = {
    "Alias": "alias",
    "ArgMax": "count",
    "ArgMin": "count",
    "ArraySort": "nulls_first",
    "ArrayToString": "null",
    "Between": "high low",
    "Bracket": "",
    "CTE": "alias",
    "Case": "default ifs",
    "Cast": "to",
    "Coalesce": "is_nvl is_null",
    "Column": "table",
    "Concat": "coalesce safe",
    "ConcatWs": "coalesce safe",
    "Count": "big_int",
    "CurrentDate": "",
    "DPipe": "safe",
    "DateDiff": "date_part_boundary unit",
    "DateTrunc": "unit",
    "Div": "safe typed",
    "Except": "distinct order limit offset with_",
    "Greatest": "ignore_nulls",
    "GroupConcat": "separator",
    "ILike": "negate",
    "Identifier": "quoted",
    "If": "false true",
    "In": "query",
    "Intersect": "distinct order limit offset with_",
    "Interval": "unit",
    "Join": "kind on side",
    "Lag": "default offset",
    "LastDay": "unit",
    "Lead": "default offset",
    "Least": "ignore_nulls",
    "Like": "negate",
    "Literal": "is_string",
    "Max": "count",
    "Min": "count",
    "NthValue": "offset",
    "Ordered": "desc nulls_first",
    "Pad": "fill_pattern is_left",
    "RegexpExtract": "group null_if_pos_overflow parameters",
    "RegexpExtractAll": "group parameters",
    "RegexpFullMatch": "options",
    "RegexpLike": "flag",
    "RegexpReplace": "modifiers replacement single_replace",
    "Replace": "replacement",
    "Round": "decimals",
    "SHA2": "length",
    "Select": "distinct from_ group having joins limit offset order where with_",
    "Slice": "step",
    "SplitPart": "delimiter part_index",
    "StrPosition": "substr",
    "StrToTime": "format",
    "Subquery": "alias",
    "Substring": "length start",
    "Table": "alias",
    "TableAlias": "columns",
    "TimeToStr": "format",
    "TimestampTrunc": "unit",
    "Trim": "position",
    "TryCast": "safe to",
    "Union": "distinct order limit offset with_",
    "Unnest": "alias",
    "Values": "alias",
    "Window": "alias first order over partition_by spec",
    "WindowSpec": "end end_side exclude kind start start_side",
}
_KNOWN: Final = {name: _ANY | set(more.split()) for name, more in _MORE.items()}
_TYPES: Final = frozenset({"DataType", "DataTypeParam"})


def check_arguments(node: Any) -> None:
    name = type(node).__name__
    if name in _TYPES:
        return
    given = {part for part, value in node.args.items() if value not in (None, False, [])}
    if unknown := given - _KNOWN.get(name, _ANY):
        raise refusal(
            f"{node.key} with {', '.join(sorted(unknown))}", "it is not among what is known to be equal"
        )
