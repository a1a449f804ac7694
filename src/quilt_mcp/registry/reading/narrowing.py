"""Narrowing: the packages of a listing whose latest revision meets ``where``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from quilt_mcp.domain.entry import Header
from quilt_mcp.domain.metadata import at_pointers
from quilt_mcp.domain.search.filter import Filter, TimeTest
from quilt_mcp.domain.search.where import Condition
from quilt_mcp.errors import QuiltError
from quilt_mcp.registry.pointers import POINTER_READS_AT_ONCE
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.workers import collect

_IN_LISTING: Final = ("name", "modified")
_TIME: Final = "modified"
OWN: Final = (*_IN_LISTING, "message")
"""Columns that are a package's own; a field of its metadata that is called so is ``/name``."""


def metadata_fields(where: tuple[Condition, ...]) -> tuple[str, ...]:
    """The fields of metadata that are compared, each once."""
    return tuple(dict.fromkeys(one.column for one in where if one.column not in OWN))


class Narrowing:
    """One call's. Reads the header of a manifest only where name and time do not decide."""

    def __init__(self, registry: Registry, where: tuple[Condition, ...]) -> None:
        self._registry = registry
        self._fields = metadata_fields(where)
        self._names = Filter([one for one in where if one.column == "name"])
        self._times = [TimeTest(one) for one in where if one.column == _TIME]
        self._in_headers = Filter([one for one in where if one.column not in _IN_LISTING])
        self.reads_headers = any(one.column not in _IN_LISTING for one in where)
        self.headers: dict[str, Header] = {}
        """Of packages that met it, by top hash."""
        self.looked_at = self.read = 0
        """Packages, and bytes of manifests."""
        self.unread: dict[str, str] = {}
        """Warnings of manifests that could not be read, by package."""

    def near(self, names: list[str], times: Mapping[str, datetime]) -> list[str]:
        """Those that may meet it, by what the listing tells."""
        self.looked_at += len(names)
        return [
            name for name in names if self._names.takes({"name": name}) and self._is_then(times.get(name))
        ]

    def _is_then(self, time: datetime | None) -> bool:
        return all(test.holds(time) for test in self._times)

    async def meeting(self, top_hashes: Mapping[str, str]) -> set[str]:
        """Of packages with their latest revisions, those that meet it."""
        registry, found = self._registry, set[str]()

        async def header_of(top_hash: str) -> Header | QuiltError:
            return await registry.header(top_hash, self._note_read)

        headers = await collect([*top_hashes.values()], POINTER_READS_AT_ONCE, header_of)
        for (name, top_hash), header in zip(top_hashes.items(), headers, strict=True):
            if isinstance(header, QuiltError):
                self.unread[name] = f"unreadable_manifest: {top_hash} ({name}): {header.code}."
            elif self._in_headers.takes(self._fields_of(header)):
                self.headers[top_hash] = header
                found.add(name)
        return found

    def _note_read(self, size: int) -> None:
        self.read += size

    def _fields_of(self, header: Header) -> dict[str, Any]:
        metadata: Any = header.user_meta
        if isinstance(metadata, Mapping):
            self._in_headers.meet(cast("Mapping[str, Any]", metadata))
        return {**at_pointers(metadata, self._fields), "message": header.message}

    def told(self, *, is_first: bool) -> list[str]:
        """Warnings at the end of a page. That no package has a field is told of the first alone."""
        odd = [*self._names.mistyped(), *self._in_headers.mistyped()]
        return [*odd, *(self._in_headers.unknown() if is_first else ())]
