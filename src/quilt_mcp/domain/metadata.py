"""Metadata of packages and entries: how a change to it is applied, and how it is read from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn, cast

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


def clashing_keys(before: Any, ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Pointers (RFC 6901) to the keys that two changes of one value set to different values."""
    if ours in (theirs, before) or theirs == before:
        return []
    sides = [_fields(before or {}), _fields(ours), _fields(theirs)]
    old, our, their = sides
    if old is None or our is None or their is None:
        return [at]
    found: list[str] = []
    for key in sorted({*old, *our, *their}):
        found += clashing_keys(old.get(key), our.get(key), their.get(key), f"{at}/{_escaped(key)}")
    return found


def changed_keys(before: Any, after: Any) -> list[str]:
    """Pointers to the keys of an object that differ; '' where one of the two is none."""
    if before == after:
        return []
    old, new = _fields(before or {}), _fields(after or {})
    if old is None or new is None:
        return [""]
    return [f"/{_escaped(key)}" for key in sorted({*old, *new}) if old.get(key, UNSET) != new.get(key, UNSET)]


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


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


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
