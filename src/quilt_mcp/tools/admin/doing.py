"""What the tools of administration share: actions with the arguments that each takes, rows in pages, changes as they are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.plan import AdminChange, AdminOutcome, Record
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.ops import SupportsAdministration
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import present
from quilt_mcp.tools.vocabulary import SWITCH, TEXT, Schema, fields, listed

DRY_RUN: Final[Schema] = {"type": "boolean", "default": False, "description": "Only plan"}
EXPECTED: Final[Schema] = {"type": "string", "description": "state of a dry run"}
_NOTHING: Final[Record] = MappingProxyType({})
ALWAYS: Final = frozenset({"action", "dry_run", "expected", "limit", "cursor"})


@dataclass(frozen=True, slots=True)
class Act:
    """One value of ``action``: the arguments that it needs, and those that it may take beside them."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    writes: bool = True


Acts = Mapping[str, Act]


def choice(acts: Acts, description: str) -> Schema:
    return {"type": "string", "enum": list(acts), "description": description}


def writing(acts: Acts) -> tuple[str, ...]:
    return tuple(name for name, act in acts.items() if act.writes)


def for_writing(acts: Acts, arguments: Collection[str]) -> tuple[str, ...]:
    """The arguments that no reading action takes."""
    reads = {name for act in acts.values() if not act.writes for name in (*act.needs, *act.may)}
    kept = reads | (ALWAYS - {"dry_run", "expected"})
    return tuple(name for name in arguments if name not in kept)


def taken(acts: Acts, action: str, **given: Any) -> dict[str, Any]:
    """What was given for an action. Raises InvalidArgument for what it lacks, and for what it does not take: an argument that is
    passed over would make the caller believe that it was followed."""
    act = acts[action]
    found = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in act.needs if found.get(name) in (None, "", [])]
    if missing:
        raise InvalidArgument(
            f"action={action} lacks {' and '.join(missing)}.",
            next_step=f"It needs {', '.join(act.needs)}; it may take {', '.join(act.may) or 'nothing else'}.",
            details={"missing": missing},
        )
    odd = [name for name in found if name not in act.needs and name not in act.may]
    if odd:
        paged = () if act.writes else ("limit", "cursor")
        takes = ", ".join((*act.needs, *act.may, *paged)) or "no other argument"
        raise InvalidArgument(
            f"action={action} does not take {' and '.join(odd)}.",
            next_step=f"It takes {takes}.",
            details={"unknown": odd},
        )
    return found


async def rows(
    desk: SupportsAdministration,
    kind: str,
    key: str,
    narrowed: Record,
    *,
    limit: int | None = None,
    cursor: str | None = None,
    by: tuple[str, ...] = ("name",),
    shown: Sequence[str] = (),
    usual: Record = _NOTHING,
) -> Answer:
    """A page of what there is. ``by``: what tells rows apart, in whose order a cursor goes on, whatever came or went meanwhile.
    ``shown``: the fields of a row, all of them by default; what is empty or as ``usual`` is left out."""
    found = await desk.list(kind, narrowed)
    places = {_place(one, by): one for one in found}
    call = ("admin", kind, *(f"{name}={narrowed[name]}" for name in sorted(narrowed)))
    after = decode_cursor(cursor, call, str)[0] if cursor else ""
    left = sorted(place for place in places if place > after)
    page = left[:limit]
    next_cursor = encode_cursor(call, page[-1]) if len(left) > len(page) else None
    lean = [_lean(places[place], shown, usual) for place in page]
    return Answer({key: lean}, records=(key,), next_cursor=next_cursor, total=len(found))


def _place(row: Record, by: tuple[str, ...]) -> str:
    return "\n".join(str(row.get(name, "")) for name in by)


def _lean(row: Record, shown: Sequence[str], usual: Record) -> dict[str, Any]:
    names = [name for name in shown or row if name in row]
    return {name: row[name] for name in names if row[name] not in (None, "", [], {}, usual.get(name))}


async def change(
    desk: SupportsAdministration, request: AdminChange, *, dry_run: bool, note: str | None = None
) -> Answer:
    """``note``: a warning of what a change does beside what is shown."""
    outcome = await desk.change(request, dry_run=dry_run)
    return told(outcome, dry_run, note)


def told(outcome: AdminOutcome, dry_run: bool, note: str | None = None) -> Answer:
    """``before`` and ``after`` hold the fields that differ; of what is made or goes all. None: there is no such thing."""
    before, after = outcome.before, outcome.after
    names = [
        name
        for name in {**(before or {}), **(after or {})}
        if before is None or after is None or before.get(name) != after.get(name)
    ]
    notes = (note,) if note and names else ()
    if not names and outcome.done:
        notes = (
            "not_seen: the stack took the change, and what it answers shows none of it; look with action=get.",
        )
    elif not names:
        notes = ("nothing_changed: it is so already, and nothing was sent.",)
    return Answer(
        {
            "done": outcome.done,
            "before": None if before is None else {name: before[name] for name in names if name in before},
            "after": None if after is None else {name: after[name] for name in names if name in after},
            **present(state=outcome.state if dry_run else None),
        },
        warnings=(*outcome.warnings, *notes),
    )


CHANGE: Final[Mapping[str, Schema]] = {"done": SWITCH, "before": {}, "after": {}, "state": TEXT}


def data(many: str | None, one: str, **more: Schema) -> Schema:
    """Of a tool's result: rows, one thing, or a change."""
    shown: dict[str, Schema] = {many: listed({}), one: {}} if many else {one: {}}
    return fields(**shown, **CHANGE, **more)
