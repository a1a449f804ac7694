"""Changing what a stack keeps as a whole: read, change, compare, send. The one way in which anything is administered.

A stack replaces what it is sent and checks nothing. So a thing is read, what was given is merged into it, and it is read again
before it is sent; whoever changed it in between is told of, not overwritten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from quilt_mcp.catalog.shapes import object_of
from quilt_mcp.domain.manifest.codec import dump_sorted
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import AdminChange, AdminOutcome, Record
from quilt_mcp.errors import (
    AlreadyExists,
    ChangedMeanwhile,
    InvalidArgument,
    OutcomeUnknown,
    StackFailed,
    StorageUnavailable,
)

_MARK_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class Action:
    """``plan``: from how a thing is (empty: it is to be made) to how it is to be; None: gone. Sends nothing, raises
    InvalidArgument. ``send``: from before to after, and answers what the stack says that it is now; None: as it was planned.
    ``on``: what the thing has to be, there or not."""

    plan: Callable[[Record, AdminChange], Record | None]
    send: Callable[[Record, Record, AdminChange], Record | None]
    on: Literal["there", "absent", "either"] = "there"


class Kind(ABC):
    """A kind of things. ``called``: the field of a row that people know one by."""

    noun: ClassVar[str]
    called: ClassVar[str] = "name"
    actions: Mapping[str, Action] = MappingProxyType({})

    def bucket(self, name: str, given: Record) -> str | None:
        """The bucket that one is of: a server may be held to some."""
        return None

    @abstractmethod
    def read(self, name: str, given: Record) -> Record | None:
        """One as administrators decided it, without what changes by itself (a last login): two readings are compared."""

    def rows(self, narrowed: Record) -> Sequence[Record]:
        """All that there are, each with what tells it from the others. A stack has none of what it has one of."""
        return ()

    def look(self, name: str, given: Record) -> Record:
        """All there is to tell of one. Raises InvalidArgument for a name that there is not."""
        found = self.read(name, given)
        if found is None:
            raise self.missing(name, given)
        return found

    def missing(self, name: str, given: Record) -> InvalidArgument:
        return missing(self.noun, name, [str(one[self.called]) for one in self.rows(given)])


def carry_out(kind: Kind, request: AdminChange, *, dry_run: bool) -> AdminOutcome:
    """Raises AlreadyExists, InvalidArgument, ChangedMeanwhile (nothing was sent), StackRefused, and OutcomeUnknown where the
    stack fell silent as it was told.

    The race: what others change between the second reading and the arrival of what is sent is lost, as the stack checks nothing.
    """
    action = kind.actions[request.action]
    before = kind.read(request.name, request.given)
    if action.on == "absent" and before is not None:
        raise AlreadyExists(
            f"There is a {kind.noun} {request.name!r} already.",
            next_step="Change that one, or choose another name.",
        )
    if action.on == "there" and before is None:
        raise kind.missing(request.name, request.given)
    if request.expected is not None and request.expected != _mark(before):
        raise _changed(
            f"The {kind.noun} {request.name}", {"expected": request.expected, "state": _mark(before)}
        )
    after = action.plan(before or {}, request)
    if after == before:
        return AdminOutcome(before, after, done=False, state=_mark(before))
    if not dry_run:
        now = kind.read(request.name, request.given)
        if now != before:
            raise _changed(f"The {kind.noun} {request.name}", {"fields": sorted(differing(before, now))})
        with _told_if_unknown(kind.noun):
            after = action.send(before or {}, after or {}, request) or after
    return AdminOutcome(before, after, done=not dry_run, state=_mark(before))


def differing(before: Record | None, after: Record | None) -> set[str]:
    old, new = before or {}, after or {}
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def gone(before: Record, request: AdminChange) -> None:
    """The plan of every deletion."""


def missing(noun: str, name: str, names: Iterable[str]) -> InvalidArgument:
    near = suggest(name[:200], list(names))
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return InvalidArgument(
        f"There is no {noun} {name[:200]!r}.",
        next_step=f"{meant}Call with action=list for those that there are.",
    )


def chosen(
    noun: str, names: Sequence[str], known: Mapping[str, str], *, is_needed: bool = True
) -> Mapping[str, str]:
    """Of what is ``known`` (names by id), those that are named, each by its id or by a name that it alone has. Raises
    InvalidArgument for a name of several, and for one of none where that ``is_needed``."""
    found: dict[str, str] = {}
    for name in names:
        ids = [name] if name in known else [one for one, called in known.items() if called == name]
        if len(ids) > 1:
            raise InvalidArgument(
                f"{len(ids)} things of the kind {noun} are called {name[:200]!r}.",
                next_step=f"Name it by its id: {', '.join(ids[:10])}.",
                details={"ids": ids},
            )
        if not ids and is_needed:
            raise missing(noun, name, known.values())
        found |= {one: known[one] for one in ids}
    return found


def inside(answer: Mapping[str, Any], *path: str) -> Any:
    """What stands in an answer, however deep. Raises StackFailed where the way there is missing."""
    found: Any = answer
    for name in path:
        parent = object_of(found)
        if name not in parent:
            raise StackFailed(
                "The Quilt stack answered in part only.",
                next_step="Try once more; if it stays so, tell an administrator of the stack.",
                details={"missing": name},
            )
        found = parent[name]
    return found


def _mark(record: Record | None) -> str:
    return blake2b(dump_sorted(record).encode("utf-8", "surrogatepass"), digest_size=_MARK_BYTES).hexdigest()


def _changed(what: str, details: Mapping[str, Any]) -> ChangedMeanwhile:
    return ChangedMeanwhile(
        f"{what} was changed by somebody else meanwhile; nothing was sent.",
        next_step="Make the same call with dry_run=true, look at what it would change now, then decide.",
        details=details,
    )


@contextmanager
def _told_if_unknown(noun: str) -> Generator[None]:
    try:
        yield
    except (StackFailed, StorageUnavailable) as error:
        raise OutcomeUnknown(
            f"The Quilt stack was told to change the {noun}, and whether it did is not known. {error.message}",
            next_step="Look with action=list or get whether it is done, then decide.",
            details=error.details,
        ) from error
