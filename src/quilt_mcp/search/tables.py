"""Tables of a catalog for SQL: which files hold which live revisions, each revision once whatever packages have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quilt_mcp.search.parts import table_path
from quilt_mcp.search.state import ALIAS, State


@dataclass(frozen=True, slots=True)
class LivePart:
    """Files of one part; ``numbers``: the revisions in it that count, None for all."""

    heads: Path
    entries: Path | None
    numbers: Sequence[int] | None


def live_parts(folder: Path, state: State) -> list[LivePart]:
    chosen: dict[str, list[int]] = {part.id: [] for part in state.parts}
    seen: set[str] = set()
    for one in state.packages.values():
        if one.part in chosen and one.top_hash not in seen:
            seen.add(one.top_hash)
            chosen[one.part].append(one.number)
    found: list[LivePart] = []
    for part in state.parts:
        numbers = chosen[part.id]
        if numbers:
            entries = part.sha256.get("entries")
            found.append(
                LivePart(
                    table_path(folder, "heads", part.sha256["heads"]),
                    None if entries is None else table_path(folder, "entries", entries),
                    None if len(numbers) == part.packages else numbers,
                )
            )
    return found


def latest_named(state: State) -> list[tuple[str, str]]:
    """Package and top hash, of a catalog of latest revisions."""
    return [(name, one.top_hash) for name, one in state.packages.items() if one.top_hash]


def revisions_named(state: State) -> list[tuple[str, int, str]]:
    """Package, seconds since 1970 and top hash, of a catalog of all revisions."""
    found: list[tuple[str, int, str]] = []
    for key, one in state.packages.items():
        name, _, tag = key.partition(" ")
        if one.top_hash and tag.isdigit():
            found.append((name, int(tag), one.top_hash))
    return found


def holds(state: State, top_hash: str) -> bool:
    return any(one.top_hash == top_hash and one.part != ALIAS for one in state.packages.values())
