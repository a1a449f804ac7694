"""Functions of Trino in plain Python, as its documentation says they are, for SQLite to call. Lists and JSON are JSON text."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any


def strict(function: Callable[..., Any]) -> Callable[..., Any]:
    """NULL for a NULL."""

    @functools.wraps(function)
    def wrapped(*given: Any) -> Any:
        return None if any(one is None for one in given) else function(*given)

    return wrapped


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace(r"\z", r"\Z").replace(r"\p{Zs}", " \u00a0\u2000-\u200a\u3000"))


def _replaced(source: str, pattern: str, by: str) -> str:
    made = re.sub(r"\\(.)|\$(\d)|\\", lambda m: f"\\{m[2]}" if m[2] else "\\\\" if m[1] == "\\" else m[1], by)
    return _pattern(pattern).sub(made, source)


def _extracted(source: str, pattern: str, group: int = 0) -> str | None:
    found = _pattern(pattern).search(source)
    return None if found is None else found.group(group)


def _all(source: str, pattern: str) -> str:
    return _json([found.group(0) for found in _pattern(pattern).finditer(source)])


def _substr(source: str, start: int, size: int | None = None) -> str:
    if start == 0 or abs(start) > len(source):
        return ""
    at = start - 1 if start > 0 else len(source) + start
    return source[at:] if size is None else source[at : at + max(size, 0)]


def _split_part(source: str, separator: str, place: int) -> str | None:
    parts = source.split(separator)
    return parts[place - 1] if place <= len(parts) else None


def _element(items: str, place: int) -> Any:
    found = json.loads(items)
    if place == 0:
        raise ValueError("SQL array indices start at 1")
    at = place - 1 if place > 0 else len(found) + place
    return found[at] if 0 <= at < len(found) else None


def _slice(items: str, start: int, size: int) -> str:
    return _json(json.loads(items)[start - 1 : start - 1 + size])


def _contains(items: str, wanted: Any) -> bool | None:
    found = json.loads(items)
    return True if wanted in found else None if None in found else False


_STEP = re.compile(r'\.([A-Za-z_]\w*)|\["([^"]*)"\]|\[(\d+)\]')


def _at(source: str, path: str) -> tuple[bool, Any]:
    try:
        value = json.loads(source, parse_float=Decimal)
    except ValueError:
        return False, None
    for plain, quoted, place in _STEP.findall(path[1:]):
        if place:
            if not isinstance(value, list) or int(place) >= len(value):
                return False, None
            value = value[int(place)]
        else:
            key = plain or quoted
            if not isinstance(value, dict) or key not in value:
                return False, None
            value = value[key]
    return True, value


def _scalar(source: str, path: str) -> str | None:
    _, value = _at(source, path)
    match value:
        case None | dict() | list():
            return None
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _json_extract(source: str, path: str) -> str | None:
    is_there, value = _at(source, path)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float) if is_there else None


def _json_length(source: str) -> int | None:
    value = json.loads(source)
    return len(value) if isinstance(value, list) else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def spelled(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")


_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def _truncated(unit: str, text: str) -> str:
    moment = _moment(text)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "year":
            return spelled(day.replace(month=1, day=1))
        case "quarter":
            return spelled(day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1))
        case "month":
            return spelled(day.replace(day=1))
        case "week":
            return spelled(day - timedelta(days=day.weekday()))
        case _:
            seconds = (moment - datetime(1970, 1, 1)) // timedelta(seconds=_UNITS[unit]) * _UNITS[unit]
            return spelled(datetime(1970, 1, 1) + timedelta(seconds=seconds))


def _difference(unit: str, start: str, end: str) -> int:
    first, last = _moment(start), _moment(end)
    if unit in _UNITS:
        return int((last - first) / timedelta(seconds=_UNITS[unit]))
    months = (last.year - first.year) * 12 + last.month - first.month
    rest = (last.day, last.time()) < (first.day, first.time())
    back = (last.day, last.time()) > (first.day, first.time())
    months -= 1 if months > 0 and rest else -1 if months < 0 and back else 0
    return int(months / {"month": 1, "quarter": 3, "year": 12}[unit])


def moved(text: str, number: int, unit: str) -> str:
    moment = _moment(text)
    if unit in ("month", "year"):
        months = moment.year * 12 + moment.month - 1 + number * (12 if unit == "year" else 1)
        year, month = divmod(months, 12)
        last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        found = moment.replace(year=year, month=month + 1, day=min(moment.day, last))
    else:
        found = moment + timedelta(seconds=number * _UNITS[unit])
    return spelled(found) if len(text) > 10 else found.date().isoformat()


def _formatted(text: str, form: str) -> str:
    return _moment(text).strftime(form.replace("%i", "%M"))


def _parsed(text: str, form: str) -> str:
    return spelled(datetime.strptime(text, form.replace("%i", "%M")))


def _last_day(text: str) -> str:
    first = _moment(text).date().replace(day=1)
    return (date.fromisoformat(moved(first.isoformat(), 1, "month")) - timedelta(days=1)).isoformat()


def _round(value: Any, places: int = 0) -> Any:
    if isinstance(value, int):
        return value
    made = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return float(made)


def cast(value: Any, kind: str) -> Any:
    """To 'text', 'int', 'float', 'decimal', 'date', 'timestamp', 'bool' or 'json'. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str) and "_" in value and kind in ("int", "integer", "float", "decimal"):
        raise ValueError(f"Python alone takes this for a number: {value}")
    match kind:
        case "text":
            return str(value)
        case "int" | "integer":
            number = int(value) if isinstance(value, str) else int(_round(value))
            if not -(1 << 31) <= number < 1 << 31 and kind == "integer":
                raise ValueError(f"Out of range for integer: {value}")
            return number
        case "float":
            return float(value)
        case "decimal":
            try:
                return float(Decimal(str(value)))
            except InvalidOperation:
                raise ValueError(f"no decimal: {value}") from None
        case "date":
            return _moment(value).date().isoformat()
        case "timestamp":
            return spelled(_moment(value))
        case "json" | "bool":
            return value
    raise ValueError(kind)


def try_cast(value: Any, kind: str) -> Any:
    try:
        return cast(value, kind)
    except ValueError:
        return None


def divided(left: Any, right: Any) -> Any:
    if right:
        return left / right
    return float("nan") if left == 0 or left != left else math.copysign(float("inf"), left)


def _padded(source: str, size: int, fill: str, left: bool) -> str:
    more = (fill * size)[: max(size - len(source), 0)]
    return (more + source if left else source + more)[:size]


def _part(of: Callable[[datetime], int]) -> Callable[[str], int]:
    return lambda text: of(_moment(text))


SCALARS: dict[str, Callable[..., Any]] = {
    "REGEXP_LIKE": strict(lambda source, pattern: _pattern(pattern).search(source) is not None),
    "REGEXP_REPLACE": strict(_replaced),
    "REGEXP_EXTRACT": strict(_extracted),
    "REGEXP_EXTRACT_ALL": strict(_all),
    "STRPOS": strict(lambda source, part: source.find(part) + 1),
    "STARTS_WITH": strict(lambda source, part: source.startswith(part)),
    "SUBSTR": strict(_substr),
    "SPLIT": strict(lambda source, separator: _json(source.split(separator))),
    "SPLIT_PART": strict(_split_part),
    "ELEMENT_AT": strict(_element),
    "SLICE": strict(_slice),
    "CARDINALITY": strict(lambda items: len(json.loads(items))),
    "CONTAINS": strict(_contains),
    "ARRAY_JOIN": strict(
        lambda items, separator: separator.join(one for one in json.loads(items) if one is not None)
    ),
    "ARRAY_SORT": strict(lambda items: _json(sorted(json.loads(items)))),
    "JSON_EXTRACT": strict(_json_extract),
    "JSON_EXTRACT_SCALAR": strict(_scalar),
    "JSON_FORMAT": strict(lambda value: value),
    "JSON_PARSE": strict(lambda value: value),
    "JSON_ARRAY_LENGTH": strict(_json_length),
    "LENGTH": strict(len),
    "LOWER": strict(lambda source: source.lower()),
    "UPPER": strict(lambda source: source.upper()),
    "TRIM": strict(lambda source: source.strip()),
    "REPLACE": strict(lambda source, part, by: source.replace(part, by)),
    "LPAD": strict(lambda source, size, fill: _padded(source, size, fill, True)),
    "RPAD": strict(lambda source, size, fill: _padded(source, size, fill, False)),
    "CONCAT_WS": lambda separator, *given: separator.join(one for one in given if one is not None),
    "TO_UTF8": strict(lambda source: source.encode()),
    "MD5": strict(lambda source: hashlib.md5(source).digest()),
    "SHA1": strict(lambda source: hashlib.sha1(source).digest()),
    "SHA256": strict(lambda source: hashlib.sha256(source).digest()),
    "TO_HEX": strict(lambda source: source.hex().upper()),
    "GREATEST": strict(max),
    "LEAST": strict(min),
    "ABS": strict(abs),
    "SIGN": strict(lambda value: (value > 0) - (value < 0)),
    "ROUND": strict(_round),
    "CEIL": strict(lambda value: float(math.ceil(value))),
    "FLOOR": strict(lambda value: float(math.floor(value))),
    "TRUNCATE": strict(lambda value: float(math.trunc(value))),
    "POWER": strict(lambda base, by: float(base) ** by),
    "SQRT": strict(math.sqrt),
    "CBRT": strict(math.cbrt),
    "EXP": strict(math.exp),
    "LN": strict(math.log),
    "LOG2": strict(math.log2),
    "LOG10": strict(math.log10),
    "DATE_TRUNC": strict(_truncated),
    "DATE_DIFF": strict(_difference),
    "DATE_ADD": strict(lambda unit, number, text: moved(text, number, unit)),
    "DATE_FORMAT": strict(_formatted),
    "DATE_PARSE": strict(_parsed),
    "LAST_DAY_OF_MONTH": strict(_last_day),
    "TO_UNIXTIME": strict(lambda text: _moment(text).replace(tzinfo=UTC).timestamp()),
    "YEAR": strict(_part(lambda one: one.year)),
    "QUARTER": strict(_part(lambda one: (one.month + 2) // 3)),
    "MONTH": strict(_part(lambda one: one.month)),
    "WEEK": strict(_part(lambda one: one.isocalendar().week)),
    "DAY": strict(_part(lambda one: one.day)),
    "DAY_OF_WEEK": strict(_part(lambda one: one.isoweekday())),
    "DAY_OF_YEAR": strict(_part(lambda one: one.timetuple().tm_yday)),
    "HOUR": strict(_part(lambda one: one.hour)),
    "MINUTE": strict(_part(lambda one: one.minute)),
    "SECOND": strict(_part(lambda one: one.second)),
    "TRINO_CAST": cast,
    "TRINO_TRY_CAST": try_cast,
    "TRINO_DIVIDE": strict(divided),
    "TRINO_MOVED": strict(moved),
    "TRINO_IF": lambda condition, then, otherwise=None: then if condition else otherwise,
}


class _Best:
    """MAX_BY and MIN_BY."""

    sign = 1

    def __init__(self) -> None:
        self._best: tuple[Any, Any] | None = None

    def step(self, value: Any, key: Any) -> None:
        if key is None:
            return
        if self._best is None or (key > self._best[1] if self.sign > 0 else key < self._best[1]):
            self._best = value, key

    def finalize(self) -> Any:
        return None if self._best is None else self._best[0]


class _Least(_Best):
    sign = -1


class _Truth:
    """BOOL_AND and BOOL_OR."""

    of: Callable[[Any], bool] = staticmethod(all)

    def __init__(self) -> None:
        self._values: list[bool] = []

    def step(self, value: Any) -> None:
        if value is not None:
            self._values.append(bool(value))

    def finalize(self) -> Any:
        return type(self).of(self._values) if self._values else None


class _Any(_Truth):
    of = staticmethod(any)


class _Arbitrary:
    def __init__(self) -> None:
        self._value: Any = None

    def step(self, value: Any) -> None:
        self._value = value if self._value is None else self._value

    def finalize(self) -> Any:
        return self._value


class _Sorted:
    """Values with the keys that they are sorted by: (value, key, is_descending, key, ...). NULLs last, whichever way."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def step(self, *given: Any) -> None:
        self._rows.append(given)

    def values(self, keys_from: int) -> list[Any]:
        rows = list(self._rows)
        for at in range(len(rows[0]) - 2 if rows else 0, keys_from - 1, -2):
            here = [row for row in rows if row[at] is not None]
            here.sort(key=lambda row: row[at], reverse=bool(rows[0][at + 1]))
            rows = [*here, *(row for row in rows if row[at] is None)]
        return [row[0] for row in rows]


class _ArrayAgg(_Sorted):
    """(value, is_distinct, keys...)"""

    def finalize(self) -> Any:
        found = self.values(2)
        if self._rows and self._rows[0][1]:
            found = list(dict.fromkeys(found))
        return _json(found) if self._rows else None


class _ListAgg(_Sorted):
    """(value, is_distinct, separator, keys...)"""

    def finalize(self) -> Any:
        found = [one for one in self.values(3) if one is not None]
        if self._rows and self._rows[0][1]:
            found = list(dict.fromkeys(found))
        return self._rows[0][2].join(found) if found else None


class _Spread:
    """Variances, by the textbook."""

    less, root = 1, False

    def __init__(self) -> None:
        self._values: list[float] = []

    def step(self, value: Any) -> None:
        if value is not None:
            self._values.append(value)

    def finalize(self) -> Any:
        count = len(self._values)
        if count <= self.less:
            return None
        mean = math.fsum(self._values) / count
        found = math.fsum((one - mean) ** 2 for one in self._values) / (count - self.less)
        return math.sqrt(found) if self.root else found


AGGREGATES: dict[str, tuple[int, Any]] = {
    "MAX_BY": (2, _Best),
    "MIN_BY": (2, _Least),
    "BOOL_AND": (1, _Truth),
    "BOOL_OR": (1, _Any),
    "ARBITRARY": (1, _Arbitrary),
    "TRINO_ARRAY_AGG": (-1, _ArrayAgg),
    "TRINO_LISTAGG": (-1, _ListAgg),
    "VAR_SAMP": (1, _Spread),
    "VAR_POP": (1, type("VarPop", (_Spread,), {"less": 0})),
    "STDDEV_SAMP": (1, type("StddevSamp", (_Spread,), {"root": True})),
    "STDDEV_POP": (1, type("StddevPop", (_Spread,), {"less": 0, "root": True})),
}
