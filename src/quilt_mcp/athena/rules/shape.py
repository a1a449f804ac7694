"""Rules for the shape of a query: what is refused before names are resolved, and what is put right around that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from typing import cast as cast_type

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import call, cast, kind_of
from quilt_mcp.athena.rules.refusal import refusal
from quilt_mcp.athena.tables import FOUR_TABLES, REGISTRY, Locate
from quilt_mcp.errors import TableNotFound

_NO_ORDER: Final = "which value is taken depends on the order that rows are read in"
_APPROXIMATE: Final = "there is only an approximation there"
_QUANTILE: Final = (_APPROXIMATE, "Write approx_percentile in Athena's own SQL, if that will do")
REFUSED: Final[Mapping[type[Any], tuple[str, str, str]]] = {
    exp.Pivot: (
        "PIVOT and UNPIVOT",
        "there is none there",
        "Write sum(CASE WHEN .. THEN .. END) for each value",
    ),
    exp.Columns: ("COLUMNS(..)", "there is none there", "Name the columns"),
    exp.TableSample: (
        "SAMPLE",
        "other rows are taken there each time",
        "Use ORDER BY md5(logical_key) LIMIT n",
    ),
    exp.SimilarTo: ("SIMILAR TO", "there is none there", "Use regexp_full_match"),
    exp.First: ("first", _NO_ORDER, "Use any_value, or arg_min(x, order)"),
    exp.Last: ("last", _NO_ORDER, "Use arg_max(x, order)"),
    exp.Median: ("median", *_QUANTILE),
    exp.PercentileCont: ("quantile_cont", *_QUANTILE),
    exp.PercentileDisc: ("quantile_disc", *_QUANTILE),
    exp.Quantile: ("quantile", *_QUANTILE),
    exp.ApproxQuantile: ("approx_quantile", "it approximates otherwise there", "Ask for min, avg and max"),
    exp.Mode: ("mode", "there is none there", "Group, ORDER BY count(*) DESC and LIMIT 1"),
    exp.Reverse: ("reverse", "letters of several code points are kept together here alone", ""),
    exp.Repeat: ("repeat", "it makes a list of them there", "Use lpad('', n, 'x')"),
    exp.Format: ("format", "it takes other patterns there", "Join with ||"),
    exp.Levenshtein: ("levenshtein", "it counts bytes here and letters there", ""),
    exp.Unicode: ("unicode", "it takes one letter there", ""),
    exp.Ascii: ("ascii", "it takes one letter there", ""),
    exp.Chr: ("chr", "it is not among what is known to be equal", ""),
    exp.Translate: ("translate", "letters that are named twice differ", "Nest replace(..)"),
    exp.Hex: ("hex", "it takes bytes there", ""),
    exp.JSONKeys: ("json_keys", "there is none there", "Name the keys"),
    exp.JSONType: ("json_type", "there is none there", "Ask with IS NULL, or TRY_CAST the text"),
    exp.Map: ("MAP", "it is made and shown otherwise there", "Select the values as columns"),
    exp.ToMap: ("MAP {..}", "it is made and shown otherwise there", "Select the values as columns"),
    exp.Struct: ("A struct", "its fields lose their names there", "Select the values as columns"),
    exp.Explode: (
        "unnest in SELECT",
        "it makes one row of the longest list there",
        "Write FROM t, UNNEST(list) AS u(x)",
    ),
    exp.GenerateSeries: (
        "range and generate_series",
        "the column's name is lost there",
        "Write UNNEST over a list",
    ),
    exp.Transform: ("list_transform", "lambdas are not translated", "UNNEST the list and group again"),
    exp.ArrayFilter: ("list_filter", "lambdas are not translated", "UNNEST the list and use WHERE"),
    exp.Lambda: ("A lambda", "lambdas are not translated", "UNNEST the list"),
    exp.ArrayDistinct: ("list_distinct", "NULLs and order differ there", "UNNEST the list and use DISTINCT"),
    exp.Rand: ("random", "other rows come each time", ""),
    exp.Uuid: ("uuid", "another value comes each time", ""),
    exp.Typeof: ("typeof", "types have other names there", ""),
    exp.Collate: ("COLLATE", "there is none there", "Use lower(..)"),
    exp.AtTimeZone: ("AT TIME ZONE", "of a time without a zone it means another thing there", "Stay in UTC"),
    exp.ByteString: ("E'..'", "there is none there", "Write the letters themselves"),
    exp.RawString: ("$$..$$", "there is none there", "Write '..'"),
    exp.Lateral: ("LATERAL", "it is not known to be equal there", "Join, or use UNNEST"),
    exp.RegexpSplit: (
        "string_split_regex",
        "the pieces differ at empty matches",
        "Use regexp_extract_all, or split by text",
    ),
    exp.Summarize: ("SUMMARIZE", "there is none there", "Select count, min, max and avg"),
    exp.GroupingSets: ("GROUPING SETS", "it is not known to be equal there", "UNION ALL the groupings"),
    exp.Rollup: ("ROLLUP", "it is not known to be equal there", "UNION ALL the groupings"),
    exp.Cube: ("CUBE", "it is not known to be equal there", "UNION ALL the groupings"),
    exp.Into: ("INTO", "nothing is written here", ""),
    exp.Lock: ("FOR UPDATE", "nothing is written here", ""),
    exp.UnixToTime: ("epoch_ms and to_timestamp", "they are not known to be equal there", "Use epoch(..)"),
    exp.DateFromParts: ("make_date", "there is none there", "CAST text to DATE"),
    exp.ToDays: ("to_days", "there is none there", "Write INTERVAL 3 DAY"),
    exp.BitwiseNot: ("~", "there is none there", ""),
    exp.Try: ("TRY", "which errors it takes differs there", "Use TRY_CAST or nullif"),
}
REFUSED_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "age": ("an interval is spelled otherwise there", "Write date_diff('day', a, b)"),
    "hash": ("there is none there", "Use md5(..)"),
    "printf": ("there is none there", "Join with ||"),
    "regexp_split_to_array": (
        "the pieces differ at empty matches",
        "Use regexp_extract_all, or split by text",
    ),
    "list_slice": ("places are counted otherwise there", "Write list[2:3]"),
    "json_valid": ("there is none there", "Metadata is JSON always"),
    "json_contains": ("there is none there", "Compare metadata->>'key'"),
    "histogram": ("it is made and shown otherwise there", "Group and count"),
    "row": ("its fields lose their names there", "Select the values as columns"),
    "arbitrary": (_NO_ORDER, "Use any_value"),
    "product": ("there is none there", "Write exp(sum(ln(x)))"),
    "list_aggregate": ("there is none there", "UNNEST the list and group"),
    "list_sum": ("there is none there", "UNNEST the list and group"),
    "parse_filename": ("there is none there", "Write split_part(logical_key, '/', -1)"),
}
_LONGEST_HEADING: Final = 60
_SELECT: Final = frozenset(
    [
        "kind",
        "expressions",
        "distinct",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "qualify",
        "order",
        "limit",
        "offset",
        "with_",
        "operation_modifiers",
    ]
)
_TABLE: Final = frozenset({"this", "alias"})
_GROUP: Final = frozenset({"expressions", "all", "totals"})


def check(tree: Any) -> None:
    """Raises NotSupported for what is refused whatever it is about."""
    for node in tree.walk():
        kind = cast_type("Any", type(node))
        if (found := REFUSED.get(kind)) is not None:
            raise refusal(*found)
        if isinstance(node, exp.Anonymous) and (told := REFUSED_NAMES.get(node.name.lower())) is not None:
            raise refusal(node.name.lower(), *told)
        _check_clause(node)


def _check_clause(node: Any) -> None:
    given = {name for name, value in node.args.items() if value}
    match node:
        case exp.Select():
            if given - _SELECT or node.args.get("kind") or node.args.get("operation_modifiers"):
                odd = ", ".join(sorted(given - _SELECT)) or str(node.args.get("kind"))
                raise refusal(f"SELECT with {odd}", "there is none there")
        case exp.Star():
            if given - {"except_", "replace"}:
                raise refusal(f"* with {', '.join(sorted(given))}", "there is none there", "Name the columns")
        case exp.SetOperation():
            if given & {"by_name", "side", "kind", "on"}:
                raise refusal(
                    "UNION BY NAME", "there is none there", "Name the columns on both sides in one order"
                )
        case exp.Join():
            _check_join(node, given)
        case exp.With() if node.args.get("recursive"):
            raise refusal("WITH RECURSIVE", "it is bounded otherwise there")
        case exp.Limit():
            if not (isinstance(node.expression, exp.Literal) and not node.expression.is_string):
                raise refusal("LIMIT with a share or an expression", "there is none there", "Write a number")
        case exp.LimitOptions() | exp.Fetch():
            raise refusal("LIMIT with a share or with ties", "there is none there", "Write a number")
        case exp.Group() if given - _GROUP:
            raise refusal(
                "GROUP BY with more than columns",
                "it is not known to be equal there",
                "UNION ALL the groupings",
            )
        case exp.Tuple() if not isinstance(node.parent, exp.In | exp.Values | exp.Distinct):
            raise refusal(
                "A row of values", "its fields lose their names there", "Select the values as columns"
            )
        case exp.Unnest() if given - {"expressions", "alias"} or len(node.expressions) != 1:
            raise refusal(
                "UNNEST of several, or with an ordinality", "it is not known to be equal", "UNNEST one list"
            )
        case exp.Table():
            _check_table(node, given)
        case exp.Ordered() if node.args.get("with_fill"):
            raise refusal("WITH FILL", "there is none there")
        case _:
            pass


def _check_join(node: Any, given: set[str]) -> None:
    method, kind = str(node.args.get("method") or "").upper(), str(node.args.get("kind") or "").upper()
    if (
        method in ("ASOF", "POSITIONAL")
        or kind in ("ASOF", "POSITIONAL")
        or given & {"global_", "match_condition", "pivots"}
    ):
        raise refusal(f"{method or kind} JOIN", "there is none there", "Use a window, or a condition in ON")


def _check_table(node: Any, given: set[str]) -> None:
    if not isinstance(node.this, exp.Identifier):
        raise refusal("A function in FROM", "there are no such tables there", "Name one of the four tables")
    alias = str(node.alias or "").upper()
    if alias == "POSITIONAL":
        raise refusal("POSITIONAL JOIN", "there is none there", "Join by a condition")
    if given & {"db", "catalog"}:
        raise TableNotFound(
            f"There is no table {node.sql('duckdb')} here.",
            next_step=f"Name one of {', '.join(FOUR_TABLES)} without a schema before it, or write Athena's own SQL.",
        )
    if given - _TABLE - {"joins"}:
        raise refusal(f"A table with {', '.join(sorted(given - _TABLE))}", "there is none there")


def before_names(tree: Any) -> None:
    """Takes out what names cannot be resolved through, and notes it: ORDER BY ALL, DISTINCT ON."""
    for select in tree.find_all(exp.Select):
        order, distinct = select.args.get("order"), select.args.get("distinct")
        if order is not None and len(order.expressions) == 1:
            [one] = order.expressions
            if (
                one.this.name.upper() == "ALL"
                and isinstance(one.this, exp.Column | exp.Var)
                and not _is_quoted(one.this)
            ):
                select.meta["order_all"] = one.copy()
                select.set("order", None)
        if distinct is not None and distinct.args.get("on") is not None:
            _distinct_on(select, distinct, select.args.get("order"))


def name_columns(tree: Any) -> None:
    """Columns of the answer without a name are called as they are written, as here, not as sqlglot would."""
    if not isinstance(tree, exp.Select):
        return
    named: list[Any] = []
    for one in tree.expressions:
        heading = "" if isinstance(one, exp.Column | exp.Star | exp.Alias) else _heading(one)
        named.append(exp.alias_(one, heading, quoted=True) if 0 < len(heading) <= _LONGEST_HEADING else one)
    tree.set("expressions", named)


def _heading(node: Any) -> str:
    if isinstance(node, exp.Count) and (node.this is None or isinstance(node.this, exp.Star)):
        return "count_star()"
    return node.sql("duckdb", normalize_functions="lower").replace('"', "")


def _is_quoted(node: Any) -> bool:
    return isinstance(node, exp.Column) and bool(node.this.args.get("quoted"))


def _distinct_on(select: Any, distinct: Any, order: Any) -> None:
    """The first row of each, by a QUALIFY."""
    if order is None or select.args.get("qualify") is not None:
        raise refusal("DISTINCT ON without ORDER BY", "any row may come first", "Give it an order")
    keys = distinct.args["on"].expressions
    numbered = exp.Window(
        this=exp.RowNumber(), partition_by=[one.copy() for one in keys], order=order.copy(), over="OVER"
    )
    select.set("distinct", None)
    select.set("qualify", exp.Qualify(this=exp.EQ(this=numbered, expression=exp.Literal.number(1))))


def after_names(tree: Any) -> None:
    """Writes GROUP BY ALL and ORDER BY ALL out, by places; a CTE is no more told how to be kept."""
    for select in tree.find_all(exp.Select):
        places = range(1, len(select.expressions) + 1)
        group = select.args.get("group")
        if group is not None and group.args.get("all"):
            whole = [one.unalias() for one in select.expressions if not _is_aggregate(one)]
            select.set("group", exp.Group(expressions=[one.copy() for one in whole]) if whole else None)
        if (one := select.meta.get("order_all")) is not None:
            terms = [_ordered(one, place) for place in places]
            select.set("order", exp.Order(expressions=terms))
    for cte in tree.find_all(exp.CTE):
        cte.set("materialized", None)


def _ordered(like: Any, place: int) -> Any:
    found = like.copy()
    found.set("this", exp.Literal.number(place))
    return found


def _is_query(node: Any) -> bool:
    return isinstance(node, exp.Query)


def _is_aggregate(projection: Any) -> bool:
    """Whether there is an aggregate in it that is not one over a window."""
    return any(
        isinstance(node, exp.AggFunc) and not _is_over(node) for node in projection.walk(prune=_is_query)
    )


def _is_over(node: Any) -> bool:
    above = node.parent
    while isinstance(above, exp.Filter | exp.IgnoreNulls):
        above = above.parent
    return isinstance(above, exp.Window) and (above.this is node or node in list(above.this.walk()))


def spell_lists(tree: Any) -> frozenset[int]:
    """Lists among the columns of the answer become JSON text. Which they are."""
    found = [
        n for n, one in enumerate(tree.expressions) if isinstance(tree, exp.Select) and kind_of(one) == "list"
    ]
    if isinstance(tree, exp.SetOperation) and any(kind_of(one) == "list" for one in tree.selects):
        raise refusal(
            "A list as a column of UNION",
            "lists are spelled otherwise there",
            "Write array_to_string(list, ',')",
        )
    if found and tree.args.get("distinct") is not None:
        raise refusal(
            "A list as a column of DISTINCT",
            "lists are spelled otherwise there",
            "Write array_to_string(list, ',')",
        )
    for n in found:
        one = tree.expressions[n]
        spelled = call("JSON_FORMAT", cast(one.unalias(), "JSON", "json"), kind="text")
        one.replace(exp.Alias(this=spelled, alias=_name(one.alias_or_name)))
    return frozenset(found)


def place_tables(tree: Any, locate: Locate, *, names_registry: bool) -> None:
    """Each of the four tables becomes the buckets' own."""
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        name = table.name
        if name in ctes or name not in FOUR_TABLES or table.args.get("db") is not None:
            continue
        alias = exp.TableAlias(this=_name(table.alias_or_name))
        places = locate(name)
        if len(places) == 1 and not names_registry:
            table.replace(_table(places[0], alias))
            continue
        parts = [_selected(name, place, names_registry) for place in places]
        union = parts[0]
        for one in parts[1:]:
            union = exp.Union(this=union, expression=one, distinct=False)
        table.replace(exp.Subquery(this=union, alias=alias))


def _name(text: str) -> Any:
    return exp.Identifier(this=text, quoted=True)


def _table(place: Any, alias: Any) -> Any:
    parts: list[Any] = [_name(one) if one else None for one in (place.table, place.database, place.catalog)]
    return exp.Table(this=parts[0], db=parts[1], catalog=parts[2], alias=alias)


def _selected(name: str, place: Any, names_registry: bool) -> Any:
    columns: list[Any] = [exp.column(_name(one)) for one in FOUR_TABLES[name]]
    if names_registry:
        columns.append(exp.alias_(exp.Literal.string(place.registry or ""), REGISTRY, quoted=True))
    return exp.Select(expressions=columns).from_(_table(place, None))
