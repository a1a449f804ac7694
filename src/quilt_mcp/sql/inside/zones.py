"""Zones: what the engine asks the package pytz for, where it makes times with a zone into Python's. It has no other way to them,
and its own zone is always UTC here.
"""

from __future__ import annotations

import sys
import types
from datetime import UTC, datetime, timedelta, tzinfo


class _Zone(tzinfo):
    def utcoffset(self, _: datetime | None, /) -> timedelta:
        return timedelta(0)

    def dst(self, _: datetime | None, /) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None, /) -> str:
        return "UTC"

    def localize(self, moment: datetime) -> datetime:
        return moment.replace(tzinfo=UTC)


def _zone_of(_: str) -> _Zone:
    return _Zone()


def install() -> None:
    """Under pytz's name, also where that is installed: nothing else in this process needs it."""
    found = types.ModuleType("pytz")
    vars(found).update(timezone=_zone_of, utc=UTC)
    sys.modules["pytz"] = found
