"""Head: what is told of a package's revision beside its files, and the fields of its metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

MOST_FIELDS: Final = 20_000
"""Values of one package's metadata that are kept as fields; its text holds all."""
MOST_TEXT: Final = 256 << 10
"""Letters of one package's metadata, or README, that are looked through."""
LONGEST: Final = 1_000
_DEPTH: Final = 60
_BETWEEN: Final = "\n\x1e\n"
"""Between texts, so that no phrase and no line reaches from one into the next."""


_Value = tuple[str, Any, bool]
"""A JSON pointer, what stands there, and whether the pointer goes through the place of an element in a list."""


@dataclass(frozen=True, slots=True)
class Head:
    number: int
    name: str
    top_hash: str
    modified: datetime
    message: str | None
    metadata: Any
    workflow: str | None
    entries: int
    size: int
    readme: str = ""
    columns: tuple[str, ...] = ()

    def line(self) -> bytes:
        """As a line of JSON, for the table of heads."""
        return _line(
            {
                "number": self.number,
                "name": self.name,
                "top_hash": self.top_hash,
                "modified": micros(self.modified),
                "message": self.message,
                "metadata": None if self.metadata is None else json.dumps(self.metadata, ensure_ascii=False),
                "meta_text": _BETWEEN.join(_texts(self.metadata))[:MOST_TEXT],
                "workflow": self.workflow,
                "entries": self.entries,
                "size": self.size,
                "readme": self.readme[:MOST_TEXT],
                "columns": _BETWEEN.join(self.columns)[:MOST_TEXT],
            }
        )

    def field_lines(self) -> Iterator[bytes]:
        """A line of JSON for each value of the metadata, for the table of fields: at its JSON pointer, and an element of a list
        at the list's, too."""
        for count, (pointer, value, in_list) in enumerate(_values(self.metadata)):
            if count == MOST_FIELDS:
                return
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
            text = value if isinstance(value, str) else json.dumps(value)
            moment = moment_of(value) if isinstance(value, str) else None
            yield _line(
                {
                    "number": self.number,
                    "pointer": pointer,
                    "in_list": in_list,
                    "kind": "number"
                    if number is not None
                    else "boolean"
                    if isinstance(value, bool)
                    else "text",
                    "text": text[:MOST_TEXT],
                    "value": None if number is None else _double(number),
                    "moment": None if moment is None else micros(moment),
                }
            )


def micros(moment: datetime) -> int:
    """Since 1970, in whole microseconds."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment_of(text: str) -> datetime | None:
    """The moment that a text spells as ISO 8601 does, a day at its beginning; UTC where it names no zone."""
    if not (10 <= len(text) <= 40 and text[4:5] == "-" and text[:4].isdigit()):
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _values(value: Any, pointer: str = "", depth: int = 0, *, in_list: bool = False) -> Iterator[_Value]:
    if depth > _DEPTH or len(pointer) > LONGEST:
        return
    if isinstance(value, Mapping):
        for key, member in cast("Mapping[str, Any]", value).items():
            name = key.replace("~", "~0").replace("/", "~1")
            yield from _values(member, f"{pointer}/{name}", depth + 1, in_list=in_list)
    elif isinstance(value, list):
        for number, member in enumerate(cast("list[Any]", value)):
            yield from _values(member, f"{pointer}/{number}", depth + 1, in_list=True)
            if not isinstance(member, list):
                yield from _values(member, pointer, depth + 1, in_list=in_list)
    elif value is not None:
        yield pointer, value, in_list


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Each key and each value, once."""
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        for key, member in cast("Mapping[str, Any]", value).items():
            yield key
            yield from _texts(member, depth + 1)
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            yield from _texts(member, depth + 1)
    elif value is not None:
        yield value if isinstance(value, str) else json.dumps(value)


def _double(value: float) -> float | None:
    """None for what has no place among numbers."""
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"
