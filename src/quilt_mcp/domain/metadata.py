"""Metadata of packages and entries: how a change to it is applied, and how it is read from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn, cast

from quilt_mcp.domain.diff import changed_fields
from quilt_mcp.domain.entry import JsonObject
from quilt_mcp.domain.plan import UNSET
from quilt_mcp.domain.workflows.yaml import MAX_BYTES, read_yaml
from quilt_mcp.errors import InvalidMetadata

MAX_METADATA: Final = MAX_BYTES
"""Bytes of a file that metadata is read from."""


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


def changed_meta(before: Any, given: Any, *, merge: bool) -> Any:
    """The metadata after a change: ``given`` merged into it, or in its place. None is none: it takes metadata away, and a merge
    of nothing leaves it."""
    after = merge_patch(before, given) if merge else given
    return None if merge and before is None and after == {} else after


def undone(before: Any, theirs: Any, after: Any) -> list[str]:
    """Pointers (RFC 6901) to what others made of the metadata since ``before`` (``theirs``) that would not be so ``after`` the
    change is redone on it: what both set otherwise, and what the change gives again as it was."""
    found = [one.field for one in changed_fields(before, theirs)]
    touched = [one.field for one in changed_fields(theirs, after)]
    return [one for one in found if any(is_within(one, other) or is_within(other, one) for other in touched)]


def is_within(pointer: str, other: str) -> bool:
    """Whether a pointer is ``other`` or leads into it."""
    return pointer == other or pointer.startswith(f"{other}/")


def with_agent_context(user_meta: Any, written_by: Mapping[str, Any]) -> Any:
    """Package metadata with ``agent_context.quilt`` set; what stands beside it stays. What is no object is left alone."""
    before = _fields({} if user_meta is None else user_meta)
    if before is None:
        return user_meta
    return {
        **before,
        "agent_context": {**(_fields(before.get("agent_context")) or {}), "quilt": dict(written_by)},
    }


def _fields(value: Any) -> Mapping[str, Any] | None:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None


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


def parse_metadata(name: str, content: bytes) -> JsonObject:
    """The object in a JSON or YAML file, which ``name`` tells by its ending. Dates of YAML stay text. Raises InvalidMetadata,
    also for a key that stands twice and for what JSON cannot hold, as NaN."""
    try:
        if name.lower().endswith(".json"):
            value = json.loads(
                content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_number
            )
        elif name.lower().endswith((".yaml", ".yml")):
            value = read_yaml(content, as_json=True)
        else:
            raise ValueError("its name ends neither in .json nor in .yaml or .yml")
        _require_json(value)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise InvalidMetadata(
            f"{name} cannot be read as metadata: {why}.",
            next_step="Correct the file, or give the metadata in the call.",
            details={"source": name},
        ) from error
    if not isinstance(value, dict):
        raise InvalidMetadata(
            f"{name} holds no object, and package metadata is one.",
            next_step="Put it under a key of an object, or give the metadata in the call.",
            details={"source": name},
        )
    return cast("JsonObject", value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return fields


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _require_json(value: Any) -> None:
    if isinstance(value, dict):
        for key, member in cast("dict[Any, Any]", value).items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is no text; put it in quotes")
            _require_json(member)
    elif isinstance(value, list):
        for member in cast("list[Any]", value):
            _require_json(member)
    elif isinstance(value, float) and not math.isfinite(value):
        _no_number(str(value))
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"a {type(value).__name__} is no JSON")
