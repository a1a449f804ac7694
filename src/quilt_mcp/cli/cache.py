"""``quilt-mcp cache``: shows what the cache folder keeps, and lets go of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from quilt_mcp.cli import exits
from quilt_mcp.cli.people import human_size, table
from quilt_mcp.cli.screen import Screen, is_terminal, screen_of
from quilt_mcp.cli.verbs.flags import take_registry
from quilt_mcp.config import Settings
from quilt_mcp.domain.address import parse_registry
from quilt_mcp.domain.printable import counted, one_line
from quilt_mcp.errors import InvalidArgument, StorageBusy, StorageUnavailable
from quilt_mcp.search.state import State
from quilt_mcp.storage.cached import Kept, kept, remove
from quilt_mcp.storage.private import folder_problem
from quilt_mcp.tools.results.envelope import clean, json_text

_UNKNOWN: Final = "(not known)"
"""Of a catalog that is of another version, damaged, or has nothing in it yet."""
Registries = Mapping[Path, str]
"""Of catalogs, by their folders."""


def run_cache(settings: Settings, arguments: argparse.Namespace) -> int:
    """Raises InvalidArgument and InvalidUri, StorageUnavailable for a folder that no server would use, StorageBusy where
    something stayed."""
    take_registry(arguments)
    registry = parse_registry(arguments.default_registry) if arguments.default_registry else None
    if registry is not None and arguments.kind == "manifest":
        raise InvalidArgument(
            "Of manifests it is not known which registry they are of.",
            next_step="Leave --registry out, or leave out --kind for the catalogs of that registry.",
        )
    folder = settings.cache_folder()
    found = [one for one in _kept(folder) if arguments.kind in (None, one.kind)]
    registries = {one.path: _registry_of(one.path) for one in found if one.kind == "catalog"}
    if registry is not None:
        found = [one for one in found if registries.get(one.path) == registry]
    screen = None if arguments.json or not is_terminal() else screen_of()
    if arguments.what == "show":
        _show(folder, found, registries, settings.cache_bytes, screen)
    else:
        _clear(folder, found, registries, screen, dry_run=arguments.dry_run)
    return exits.OK


def _show(
    folder: Path, found: Sequence[Kept], registries: Registries, most: int, screen: Screen | None
) -> None:
    rows, whole = _rows(found, registries), sum(one.bytes for one in found)
    told = {
        "folder": str(folder),
        "exists": folder.exists(),
        "kept": rows,
        "bytes": whole,
        "most_bytes": most,
    }
    if screen is None:
        _say_json(told)
    elif not folder.exists():
        screen.line(
            f"There is no cache folder {_name(folder)} yet; the first search makes it, or the first large manifest."
        )
    else:
        screen.line(f"In {_name(folder)}:")
        _table(rows, screen)
        screen.line(f"{human_size(whole)} of {human_size(most)} at most (QUILT_MCP_CACHE_BYTES).")


def _clear(
    folder: Path, found: Sequence[Kept], registries: Registries, screen: Screen | None, *, dry_run: bool
) -> None:
    """Safe while servers run: they go on with the files that they have open and make anew what is gone; what one of them is
    building stays."""
    gone = found if dry_run else [one for one in found if _is_removed(one)]
    stayed = [one for one in found if one not in gone]
    rows, whole = _rows(gone, registries), sum(one.bytes for one in gone)
    told = {
        "folder": str(folder),
        "removed": rows,
        "bytes": whole,
        "stayed": _rows(stayed, registries),
        "dry_run": dry_run,
    }
    if screen is None:
        _say_json(told)
    elif not gone:
        screen.line(f"There is nothing to remove in {_name(folder)}.")
    else:
        screen.line(f"{'Would be removed' if dry_run else 'Removed'} from {_name(folder)}:")
        _table(rows, screen)
        screen.line(f"{human_size(whole)}.")
    if stayed:
        raise StorageBusy(
            f"{counted(len(stayed), 'catalog')} stayed, as another process is building: "
            f"{', '.join(registries.get(one.path, _UNKNOWN) for one in stayed[:3])}.",
            next_step="Type it again once that search has ended.",
        )


def _kept(folder: Path) -> list[Kept]:
    try:
        problem = folder_problem(folder)
        if problem is None:
            return [one for one in kept(folder) if one.bytes]
    except FileNotFoundError:
        return []
    except OSError as error:
        problem = error.strerror or str(error)
    raise StorageUnavailable(
        f"The cache folder {folder} is not used: {problem}.",
        next_step="Name a folder that can be written with --cache-dir or QUILT_MCP_CACHE_DIR.",
    )


def _is_removed(one: Kept) -> bool:
    try:
        return remove(one)
    except OSError as error:
        raise StorageUnavailable(
            f"{one.path} cannot be removed: {error.strerror}.", next_step="Make its folder writable."
        ) from error


def _registry_of(catalog: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return State.load((catalog / "catalog.json").read_bytes()).url
    return _UNKNOWN


def _rows(found: Sequence[Kept], registries: Registries) -> list[dict[str, Any]]:
    """A catalog is a row, the one used last first; the manifests are one."""
    rows: list[dict[str, Any]] = []
    for one in sorted(found, key=lambda one: -one.used):
        if one.kind == "catalog":
            named = {"kind": "catalog", "registry": registries[one.path]}
            rows.append({**named, "bytes": one.bytes, "last_used": _time(one.used)})
    manifests = [one for one in found if one.kind == "manifest"]
    if manifests:
        named = {"kind": "manifest", "manifests": len(manifests)}
        whole, used = sum(one.bytes for one in manifests), max(one.used for one in manifests)
        rows.append({**named, "bytes": whole, "last_used": _time(used)})
    return clean(rows)


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _table(rows: Sequence[Mapping[str, Any]], screen: Screen) -> None:
    keys = [
        key
        for key in ("kind", "registry", "manifests", "bytes", "last_used")
        if any(key in row for row in rows)
    ]
    head, lines = table(rows, keys, screen.width) if rows else ([], ["nothing"])
    for line in head:
        screen.line(screen.dim(line))
    for line in lines:
        screen.line(line)


def _say_json(told: Mapping[str, Any]) -> None:
    screen_of().line(json_text(clean(told)))


def _name(folder: Path) -> str:
    return one_line(str(folder))
