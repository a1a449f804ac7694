"""JSON of a stack as it is meant: what is of another shape counts as not there."""

from __future__ import annotations

from typing import Any, cast


def object_of(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_of(value: object) -> list[dict[str, Any]]:
    return [object_of(one) for one in cast("list[Any]", value)] if isinstance(value, list) else []


def rows_of(value: object) -> list[dict[str, Any]] | None:
    """As ``objects_of``; None for what is no list."""
    return objects_of(cast("list[Any]", value)) if isinstance(value, list) else None


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def is_odd(text: str) -> bool:
    """Whether it holds half of a surrogate pair, which no key, hash or version has."""
    return text.encode("utf-8", "replace").decode() != text


def number_of(value: object) -> float | None:
    """A finite one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None
