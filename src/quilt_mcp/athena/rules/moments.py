"""Rules for dates and times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    MICROSECONDS,
    NUMBERS,
    as_timestamp,
    call,
    cast,
    kind_of,
    literal_text,
    number,
    require,
    text,
    typed,
)
from quilt_mcp.athena.rules.refusal import refusal

_MOMENTS: Final = frozenset({"date", "timestamp", "timestamptz"})
_UNITS: Final = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
_FIXED_UNITS: Final = ("second", "minute", "hour", "day")
_PARTS: Final = {
    "year": "YEAR",
    "quarter": "QUARTER",
    "month": "MONTH",
    "week": "WEEK",
    "weekofyear": "WEEK",
    "day": "DAY",
    "dayofmonth": "DAY",
    "isodow": "DAY_OF_WEEK",
    "doy": "DAY_OF_YEAR",
    "dayofyear": "DAY_OF_YEAR",
    "hour": "HOUR",
    "minute": "MINUTE",
    "second": "SECOND",
}
_FORMATS: Final = {
    "Y": "%Y",
    "m": "%m",
    "d": "%d",
    "H": "%H",
    "M": "%i",
    "S": "%S",
    "y": "%y",
    "j": "%j",
    "%": "%%",
}


def _moment(node: Any, what: str) -> Any:
    written = literal_text(node)
    if written is not None:
        return cast(node, MICROSECONDS, "timestamp")
    return require(node, _MOMENTS, what, "CAST it to TIMESTAMP")


def part(name: str, source: Any) -> Any:
    name, moment = name.lower(), _moment(source, f"The {name.lower()}")
    if name in ("dow", "dayofweek", "weekday"):
        found = exp.Mod(this=call("DAY_OF_WEEK", moment, kind="int"), expression=number(7))
        return typed(exp.Paren(this=found), "int")
    if name == "epoch":
        return call(
            "TO_UNIXTIME", as_timestamp(moment) if kind_of(moment) == "date" else moment, kind="float"
        )
    if name in ("hour", "minute", "second") and kind_of(moment) == "date":
        moment = as_timestamp(moment)
    if name not in _PARTS:
        raise refusal(
            f"The {name} of a time",
            "it is not known to be equal there",
            f"Take one of {', '.join(_PARTS)}, dow, epoch",
        )
    return call(_PARTS[name], moment, kind="int")


def _part(name: str) -> Callable[[Any], Any]:
    return lambda node: part(name, node.this)


def named_part(name: Any, source: Any) -> Any:
    written = literal_text(name)
    if written is None:
        raise refusal("date_part of a part that is not written out", "there is none there", "Write the part")
    return part(written, source)


def _unit(node: Any, units: tuple[str, ...], what: str) -> str:
    name = str(getattr(node, "name", node) or "").lower().rstrip("s")
    if name not in units:
        raise refusal(
            f"{what} by {name or 'what is not written out'}",
            "it is not known to be equal",
            f"Take {', '.join(units)}",
        )
    return name


def truncated(node: Any) -> Any:
    """Of a date it is a timestamp here."""
    unit = _unit(node.args.get("unit"), _UNITS, "date_trunc")
    moment = _moment(node.this, "date_trunc")
    if kind_of(moment) == "date":
        moment = as_timestamp(moment)
    return call("DATE_TRUNC", text(unit), moment, kind=kind_of(moment))


def difference(node: exp.DateDiff) -> Any:
    """Boundaries that lie between: Athena counts whole units that have passed."""
    unit = _unit(node.args.get("unit"), _UNITS, "date_diff")
    ends = [as_timestamp(_moment(one, "date_diff")) for one in (node.expression, node.this)]
    return call(
        "DATE_DIFF",
        text(unit),
        *(call("DATE_TRUNC", text(unit), one, kind="timestamp") for one in ends),
        kind="int",
    )


def passed(unit: Any, start: Any, end: Any) -> Any:
    """date_sub: whole units that have passed."""
    name = _unit(literal_text(unit), _FIXED_UNITS, "date_sub")
    ends = [as_timestamp(_moment(one, "date_sub")) for one in (start, end)]
    return call("DATE_DIFF", text(name), *ends, kind="int")


def moved(node: Any) -> Any:
    """+ and -, of numbers too."""
    left, right = kind_of(node.left), kind_of(node.right)
    sign = "+" if isinstance(node, exp.Add) else "-"
    if {left, right} <= NUMBERS | {"null"}:
        return node
    if sign == "+" and left == "interval":
        return moved(exp.Add(this=node.right, expression=node.left))
    if left in _MOMENTS and right == "interval":
        moment = as_timestamp(node.left) if left == "date" else node.left
        return typed(
            type(node)(this=moment.copy(), expression=node.right.copy()),
            "timestamptz" if left == "timestamptz" else "timestamp",
        )
    if left == "date" and right == "int":
        many = node.right if sign == "+" else exp.Neg(this=exp.Paren(this=node.right.copy()))
        return call("DATE_ADD", text("day"), many, node.left, kind="date")
    if left == right == "date" and sign == "-":
        return call("DATE_DIFF", text("day"), node.right, node.left, kind="int")
    if left in _MOMENTS and right in _MOMENTS:
        raise refusal(
            "A difference of times",
            "an interval is spelled otherwise there",
            "Write date_diff('second', a, b)",
        )
    raise refusal(
        f"{left} {sign} {right}", "it is not known to be equal there", "CAST both to the types that are meant"
    )


def date_add(node: exp.DateAdd) -> Any:
    return moved(exp.Add(this=node.this, expression=node.expression))


def interval(node: exp.Interval) -> Any:
    unit = _unit(node.args.get("unit"), _UNITS, "An interval")
    many = node.this
    written = literal_text(many) or (str(many.this) if isinstance(many, exp.Literal) else "")
    negative = written.startswith("-")
    if not written.lstrip("-").isdigit():
        raise refusal(
            "An interval of several units, or of a number that is not written out",
            "there is none there",
            "Add several",
        )
    if unit in ("week", "quarter"):
        factor, unit = (7, "day") if unit == "week" else (3, "month")
        written = ("-" if negative else "") + str(int(written.lstrip("-")) * factor)
    return exp.Interval(this=exp.Literal.string(written), unit=exp.var(unit.upper()))


def format_in_athena(node: Any) -> str:
    written = literal_text(node)
    if written is None:
        raise refusal(
            "A format of times that is not written out", "it has to be translated", "Write it as a literal"
        )
    found, at = "", 0
    while at < len(written):
        if written[at] == "%":
            at += 1
            letter = written[at : at + 1]
            if letter not in _FORMATS:
                known = " ".join(f"%{one}" for one in _FORMATS)
                raise refusal(
                    f"%{letter} in a format of times", "it is not known to be equal there", f"Take {known}"
                )
            found += _FORMATS[letter]
        else:
            found += written[at]
        at += 1
    return found


def formatted(node: exp.TimeToStr) -> Any:
    moment = _moment(node.this, "strftime")
    return call("DATE_FORMAT", moment, text(format_in_athena(node.args["format"])), kind="text")


def parsed(node: exp.StrToTime) -> Any:
    source = require(node.this, {"text"}, "strptime")
    found = call("DATE_PARSE", source, text(format_in_athena(node.args["format"])), kind="timestamp")
    return found


def last_day(node: exp.LastDay) -> Any:
    if node.args.get("unit") is not None:
        raise refusal("last_day of a unit", "there is none there")
    return call("LAST_DAY_OF_MONTH", _moment(node.this, "last_day"), kind="date")


def now(*_: Any) -> Any:
    return typed(exp.CurrentTimestamp(), "timestamptz")


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.Add: moved,
    exp.Sub: moved,
    exp.DateAdd: date_add,
    exp.Interval: interval,
    exp.TimestampTrunc: truncated,
    exp.DateTrunc: truncated,
    exp.DateDiff: difference,
    exp.TimeToStr: formatted,
    exp.StrToTime: parsed,
    exp.LastDay: last_day,
    exp.CurrentTimestamp: now,
    exp.CurrentDate: lambda _: typed(exp.CurrentDate(), "date"),
    exp.Extract: lambda node: part(str(node.this.name), node.expression),
    exp.TimeToUnix: _part("epoch"),
    exp.Year: _part("year"),
    exp.Quarter: _part("quarter"),
    exp.Month: _part("month"),
    exp.Week: _part("week"),
    exp.WeekOfYear: _part("week"),
    exp.Day: _part("day"),
    exp.DayOfMonth: _part("day"),
    exp.DayOfWeek: _part("dow"),
    exp.DayOfWeekIso: _part("isodow"),
    exp.DayOfYear: _part("doy"),
    exp.Hour: _part("hour"),
    exp.Minute: _part("minute"),
    exp.Second: _part("second"),
}
NAMED: Final[Mapping[str, Callable[..., Any]]] = {
    "now": now,
    "get_current_timestamp": now,
    "date_part": named_part,
    "datepart": named_part,
    "date_sub": passed,
    "datesub": passed,
}
