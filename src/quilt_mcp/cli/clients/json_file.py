"""One entry of an object of a JSON file, set in its text: what stands beside it keeps its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    begin: int
    end: int
    """Of its value."""


def read_json(text: str) -> dict[str, Any]:
    """Nothing at all is an empty object. Raises ValueError for what is no JSON object, comments included."""
    value: Any = json.loads(text) if text.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return cast("dict[str, Any]", value)


def set_json(text: str, key: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text with ``entry`` at ``key.name``. Raises ValueError where that cannot stand there."""
    if not text.strip():
        return json.dumps({key: {name: entry}}, indent=2, ensure_ascii=False) + "\n"
    top = _after_space(text, 0)
    servers = _last(text, top, key)
    indent = _indent(text)
    if servers is None:
        return _add(text, top, key, {name: entry}, indent, 1)
    if text[servers.begin] != "{":
        raise ValueError(f"its {key} is not an object")
    standing = _last(text, servers.begin, name)
    if standing is None:
        return _add(text, servers.begin, name, entry, indent, 2)
    return text[: standing.begin] + _written(entry, indent, 2) + text[standing.end :]


def _members(text: str, at: int) -> Iterator[Member]:
    """Of the object that begins at ``at``, in a text that is JSON."""
    at = _after_space(text, at + 1)
    while text[at] != "}":
        name, at = cast("tuple[str, int]", _DECODER.raw_decode(text, at))
        begin = _after_space(text, _after_space(text, at) + 1)
        _, end = _DECODER.raw_decode(text, begin)
        yield Member(name, begin, end)
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _last(text: str, at: int, name: str) -> Member | None:
    """Of two alike the last counts, as readers have it."""
    found = [member for member in _members(text, at) if member.name == name]
    return found[-1] if found else None


def _add(text: str, at: int, name: str, value: Any, indent: str, depth: int) -> str:
    """As the last member of the object at ``at``."""
    members = list(_members(text, at))
    added = f"\n{indent * depth}{json.dumps(name)}: {_written(value, indent, depth)}"
    if members:
        return f"{text[: members[-1].end]},{added}{text[members[-1].end :]}"
    return f"{text[: at + 1]}{added}\n{indent * (depth - 1)}{text[_after_space(text, at + 1) :]}"


def _written(value: Any, indent: str, depth: int) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False).replace("\n", f"\n{indent * depth}")


def _indent(text: str) -> str:
    found = re.search(r"\{\r?\n([ \t]+)\"", text)
    return found[1] if found else "  "


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
