"""Metadata of packages and entries: how a change to it is applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from quilt_mcp.domain.entry import JsonObject
from quilt_mcp.domain.plan import UNSET


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396): objects merge key by key, null removes a key, anything else replaces. Pure."""
    if not isinstance(patch, Mapping):
        return patch
    merged: dict[str, Any] = dict(cast("Mapping[str, Any]", target)) if isinstance(target, Mapping) else {}
    for key, value in cast("Mapping[str, Any]", patch).items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def with_user_meta(meta: JsonObject, user_meta: Any) -> JsonObject:
    """An entry's ``meta`` with its user metadata set, in its place where it has one, as quilt3 does. None takes it away,
    UNSET keeps it."""
    if user_meta is UNSET:
        return meta
    edited = {**meta, "user_meta": user_meta}
    if user_meta is None:
        del edited["user_meta"]
    return edited


def at_pointers(metadata: Any, pointers: Iterable[str]) -> dict[str, Any]:
    """What stands at some JSON pointers (RFC 6901), by pointer; nothing of those at which nothing does. A pointer without a
    slash is the name of a field."""
    found: dict[str, Any] = {}
    for pointer in pointers:
        names = pointer.removeprefix("/").split("/") if pointer else []
        value = metadata
        for name in (name.replace("~1", "/").replace("~0", "~") for name in names):
            if isinstance(value, Mapping) and name in value:
                value = cast("Mapping[str, Any]", value)[name]
            elif (
                isinstance(value, list)
                and name.isdecimal()
                and len(name) < 10
                and int(name) < len(cast("list[Any]", value))
            ):
                value = cast("list[Any]", value)[int(name)]
            else:
                break
        else:
            found[pointer] = value
    return found
