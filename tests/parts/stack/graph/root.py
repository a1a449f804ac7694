"""What each field at the root of the schema answers. Objects are dicts; a value that is called is a field with arguments."""

from __future__ import annotations

from typing import Any

from parts.stack.graph import admin, buckets, packages, roles, search, session

ROOT: dict[str, Any] = {}
for _module in (session, buckets, packages, search, roles, admin):
    ROOT |= _module.ROOT
