"""One table of a TOML file, set in its text: lines of other tables keep their bytes, comments included."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, cast

_HEADER: Final = re.compile(r"\s*\[")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def read_toml(text: str) -> dict[str, Any]:
    """Raises ValueError."""
    return tomllib.loads(text)


def set_toml(text: str, key: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text with ``entry`` as the table ``key.name``, at its end, and without the one that stood there. Raises ValueError for
    values that are not written here. Whether the result says what it should is for the caller to see: a table may also stand
    in ways that this does not take out."""
    head = rf'\s*\[\s*{re.escape(key)}\s*\.\s*(?:{re.escape(name)}|"{re.escape(name)}")\s*[.\]]'
    kept: list[str] = []
    remarks: list[str] = []
    is_ours = False
    for line in text.splitlines(keepends=True):
        if _HEADER.match(line):
            is_ours = re.match(head, line) is not None
            kept += remarks  # above a table, they are its own
            remarks = []
        if not is_ours:
            kept.append(line)
        elif line.lstrip().startswith("#") or not line.strip():
            remarks.append(line)
        else:
            remarks = []
    kept += remarks
    rest = "".join(kept).rstrip()
    lines = [f"[{key}.{_key(name)}]", *(f"{_key(one)} = {_written(value)}" for one, value in entry.items())]
    return (f"{rest}\n\n" if rest else "") + "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _written(value: Any) -> str:
    """TOML reads the strings of JSON, its booleans and numbers."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return (
            "{ " + ", ".join(f"{_key(name)} = {_written(one)}" for name, one in pairs) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_written(one) for one in cast("list[Any]", value)) + "]"
    if isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    raise ValueError(f"a {type(value).__name__} stands in it")
