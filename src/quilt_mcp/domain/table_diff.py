"""The difference of two tables, cell by cell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.errors import InvalidArgument

_NUMBER: Final = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?|[0-9]+\.)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Two numbers that differ by ``amount`` at most are equal; ``is_relative``: by that part of the larger of them, without
    their signs."""

    amount: float
    is_relative: bool

    @classmethod
    def parse(cls, text: str) -> Tolerance | None:
        """``0.01``, or ``1%`` of the larger number. None for zero. Raises InvalidArgument."""
        found = _NUMBER.fullmatch(text)
        amount = float(found[1]) if found else math.inf
        if found is None or not math.isfinite(amount):
            raise InvalidArgument(
                f"tolerance is {text[:100]!r}, which is no amount.",
                next_step="Give a number, as 0.01, by which two numbers may differ, or a part of the larger of them, as 1%.",
                details={"argument": "tolerance"},
            )
        return cls(amount / 100 if found[2] else amount, bool(found[2])) if amount else None


@dataclass(frozen=True, slots=True)
class TableDiffRequest:
    """``before`` and ``after`` name files. ``keys``: columns by which rows are matched; none: they are looked for.
    ``samples``: rows of each kind that are shown, at most."""

    before: PackageUri
    after: PackageUri
    keys: tuple[str, ...] = ()
    tolerance: Tolerance | None = None
    samples: int = 10
    passed: tuple[int, int, int] = (0, 0, 0)
    """How many of the rows that changed, were added and were removed are passed over before those."""
    cells: int = 30
    """Cells of a row that are shown, at most."""


@dataclass(frozen=True, slots=True)
class CellChange:
    column: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """``cells`` are the first of ``count`` that differ; ``key``: its values of the key columns."""

    key: tuple[Any, ...]
    cells: tuple[CellChange, ...]
    count: int


@dataclass(frozen=True, slots=True)
class OneSidedRow:
    """A row of one side alone: ``values`` by column, beside the key, the first of ``columns``. ``count``: how many more of it
    there are than on the other side, where rows have no key."""

    key: tuple[Any, ...]
    values: Mapping[str, Any]
    columns: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class RowCounts:
    before: int
    after: int
    added: int
    removed: int
    changed: int

    @property
    def unchanged(self) -> int:
        return self.before - self.removed - self.changed


@dataclass(frozen=True, slots=True)
class TableDiff:
    """``keys`` (): rows were compared as they are, as often as each stands on a side. ``cells``: how many differ in rows that
    were matched, by column; columns where none does are left out. Values are what JSON has, as in ``SqlRows``."""

    path: str
    old_path: str
    keys: tuple[str, ...]
    rows: RowCounts
    cells: Mapping[str, int]
    added_columns: tuple[str, ...] = ()
    dropped_columns: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()
    """Name, type before and after."""
    changed: tuple[ChangedRow, ...] = ()
    added: tuple[OneSidedRow, ...] = ()
    removed: tuple[OneSidedRow, ...] = ()
    largest: Mapping[str, float] = field(default_factory=dict[str, float])
    """Of columns of numbers of which some differ, by how much at most."""
    unlike: int = 0
    """Rows that there are to show: where they have no key, each once, however often it stands there."""
    warnings: tuple[str, ...] = ()


def same_tables(went: Sequence[str], came: Sequence[str]) -> dict[str, str]:
    """By paths that came, those that went and are the same but for their endings, where that is one pair."""
    by_stem: dict[str, tuple[list[str], list[str]]] = {}
    for at, paths in enumerate((went, came)):
        for path in paths:
            by_stem.setdefault(_stem(path), ([], []))[at].append(path)
    return {new[0]: old[0] for old, new in by_stem.values() if len(old) == len(new) == 1}


def _stem(path: str) -> str:
    bare = path
    for packed in (".gz", ".zst"):
        if bare.lower().endswith(packed):
            bare = bare[: -len(packed)]
    return bare.rpartition(".")[0]
