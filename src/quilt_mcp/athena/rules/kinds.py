"""Kind: the family of types that a node's value is of, and the nodes that rules build."""

from __future__ import annotations

from typing import Any, Final, Literal

from sqlglot import exp

from quilt_mcp.athena.rules.refusal import refusal

Kind = Literal[
    "text",
    "int",
    "float",
    "decimal",
    "bool",
    "date",
    "timestamp",
    "timestamptz",
    "json",
    "list",
    "interval",
    "null",
    "unknown",
]
NUMBERS: Final = frozenset({"int", "float", "decimal"})
_TYPES: Final[dict[str, Kind]] = {
    **dict.fromkeys(("VARCHAR", "TEXT", "CHAR", "NVARCHAR", "NCHAR"), "text"),
    **dict.fromkeys(("TINYINT", "SMALLINT", "INT", "BIGINT", "INT128"), "int"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "float"),
    "DECIMAL": "decimal",
    "BOOLEAN": "bool",
    "DATE": "date",
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPNTZ", "DATETIME"), "timestamp"),
    "TIMESTAMPTZ": "timestamptz",
    "JSON": "json",
    **dict.fromkeys(("ARRAY", "LIST"), "list"),
    "INTERVAL": "interval",
    "NULL": "null",
}
MICROSECONDS: Final = "TIMESTAMP(6)"
"""Without its digits, Athena's TIMESTAMP keeps three."""
_TYPE_OF: Final[dict[Kind, str]] = {
    "text": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "decimal": "DECIMAL(38, 9)",
    "bool": "BOOLEAN",
    "date": "DATE",
    "timestamp": MICROSECONDS,
    "timestamptz": "TIMESTAMPTZ",
    "json": "JSON",
    "list": "ARRAY<VARCHAR>",
}


def kind_of(node: Any) -> Kind:
    """By the rules of DuckDB, to which ``1.5`` is a decimal."""
    match node:
        case exp.Paren() | exp.Neg() | exp.Alias():
            return kind_of(node.this)
        case exp.Literal():
            if node.is_string:
                return "text"
            text = str(node.this).lower()
            return "float" if "e" in text else "decimal" if "." in text else "int"
        case exp.Null():
            return "null"
        case exp.Boolean():
            return "bool"
        case exp.Interval():
            return "interval"
        case exp.Mul() | exp.Add() | exp.Sub() if {kind_of(node.left), kind_of(node.right)} <= NUMBERS:
            kinds = {kind_of(node.left), kind_of(node.right)}
            return "float" if "float" in kinds else "decimal" if "decimal" in kinds else "int"
        case _:
            return kind_of_type(node.type)


def kind_of_type(of: Any) -> Kind:
    name = getattr(getattr(of, "this", None), "name", "UNKNOWN")
    return _TYPES.get(name, "unknown")


def typed(node: Any, kind: Kind) -> Any:
    if kind in _TYPE_OF:
        node.type = exp.DataType.build(_TYPE_OF[kind], dialect="trino")
    return node


def call(name: str, *arguments: Any, kind: Kind) -> Any:
    """A call that is written as it stands here, whatever sqlglot knows of such a function."""
    return typed(exp.Anonymous(this=name, expressions=[one.copy() for one in arguments]), kind)


def text(value: str) -> Any:
    return typed(exp.Literal.string(value), "text")


def number(value: int) -> Any:
    literal = typed(exp.Literal.number(abs(value)), "int")
    return literal if value >= 0 else typed(exp.Neg(this=literal), "int")


def binary(of: type[Any], left: Any, right: Any, kind: Kind = "bool") -> Any:
    return typed(exp.Paren(this=of(this=left.copy(), expression=right.copy())), kind)


def either(condition: Any, then: Any, otherwise: Any, kind: Kind) -> Any:
    case = exp.Case(ifs=[exp.If(this=condition.copy(), true=then.copy())], default=otherwise.copy())
    return typed(case, kind)


def is_null(node: Any) -> Any:
    held = (
        exp.Paren(this=node.copy())
        if isinstance(node, exp.Binary | exp.Unary | exp.Predicate)
        else node.copy()
    )
    return typed(exp.Is(this=held, expression=exp.Null()), "bool")


def cast(node: Any, to: str, kind: Kind) -> Any:
    return typed(exp.Cast(this=node.copy(), to=exp.DataType.build(to, dialect="trino")), kind)


def coalesce(*nodes: Any, kind: Kind) -> Any:
    return call("COALESCE", *nodes, kind=kind)


def as_double(node: Any) -> Any:
    return node if kind_of(node) == "float" else cast(node, "DOUBLE", "float")


def as_timestamp(node: Any) -> Any:
    return node if kind_of(node) == "timestamp" else cast(node, MICROSECONDS, "timestamp")


def as_text(node: Any, where: str) -> Any:
    """Where DuckDB takes any value for text and Athena takes none but text."""
    kind = kind_of(node)
    if kind in ("text", "null"):
        return node
    if kind in ("int", "bool", "date"):
        return cast(node, "VARCHAR", "text")
    raise refusal(
        f"{where} of {a_kind(kind)}",
        "it is spelled in another way there, or not at all",
        "Spell it as text first, with strftime or CAST(round(..) AS BIGINT)",
    )


def is_list_of_text(node: Any) -> bool:
    return isinstance(node, exp.Anonymous) and node.name in ("SPLIT", "REGEXP_EXTRACT_ALL")


def a_kind(kind: Kind) -> str:
    names = {
        "unknown": "a value of a type that is not known",
        "int": "a whole number",
        "list": "a list",
        "interval": "an interval",
    }
    return names.get(kind, f"a {kind}")


def whole(node: Any) -> int | None:
    """The value of a literal whole number, signed."""
    match node:
        case exp.Literal() if not node.is_string and str(node.this).isdigit():
            return int(str(node.this))
        case exp.Neg():
            inner = whole(node.this)
            return None if inner is None else -inner
        case exp.Paren():
            return whole(node.this)
        case _:
            return None


def literal_text(node: Any) -> str | None:
    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None


def require(node: Any, kinds: frozenset[str] | set[str], what: str, instead: str = "") -> Any:
    kind = kind_of(node)
    if kind in kinds or kind == "null":
        return node
    raise refusal(
        f"{what} of {a_kind(kind)}",
        "it is not known to be equal there",
        instead or "CAST it to the type that is meant",
    )
