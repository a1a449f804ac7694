"""Outcome: what a draft comes to, counted by action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from quilt_mcp.domain.diff import changed_fields
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.plan import CHANGES_SHOWN, Action, PlannedChange

NO_FILES = Totals(0, 0)


def plus(totals: Totals, size: int, entries: int = 1) -> Totals:
    return Totals(totals.entries + entries, totals.bytes + size)


def minus(totals: Totals, *others: Totals) -> Totals:
    return Totals(
        totals.entries - sum(other.entries for other in others),
        totals.bytes - sum(other.bytes for other in others),
    )


class Counts:
    """How many entries each action concerns, and their bytes; the first changes one by one."""

    def __init__(self, before: Counts | None = None) -> None:
        self.by_action: dict[Action, Totals] = (
            dict.fromkeys(get_args(Action), NO_FILES) if before is None else {**before.by_action}
        )
        self.shown: list[PlannedChange] = [] if before is None else [*before.shown]

    def add(self, action: Action, size: int = 0, entries: int = 1) -> None:
        self.by_action[action] = plus(self.by_action[action], size, entries)

    @property
    def room(self) -> int:
        """For so many changes more."""
        return CHANGES_SHOWN - len(self.shown)

    def note(
        self,
        path: str,
        action: Action,
        size: int | None = None,
        *,
        old_path: str | None = None,
        metadata: tuple[Any, Any] = (None, None),
    ) -> None:
        """Shows a change, where there is room. ``metadata``: user metadata before and after."""
        if self.room:
            fields = changed_fields(*metadata)
            self.shown.append(PlannedChange(path, action, size, old_path=old_path, fields=fields))


@dataclass(frozen=True, slots=True)
class Outcome:
    """As far as it is known by now. ``changes``: the first of them."""

    actions: Mapping[Action, Totals]
    totals: Totals
    changes: tuple[PlannedChange, ...]
