"""StackObjects: objects of a bucket as the stack's search index knows them, for whoever has no way to S3."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import is_odd, number_of, object_of, rows_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.errors import StackFailed

_AT_ONCE: Final = 500
_WILD: Final = re.compile(r"[\\*?]")


@dataclass(frozen=True, slots=True)
class IndexedObject:
    """``version`` None: the bucket kept none when it was indexed."""

    key: str
    version: str | None
    size: int


class StackObjects:
    """Blocks. The index follows S3 by some seconds or minutes. Raises as ``Graph.query``, StackRefused."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def at(self, bucket: str, key: str) -> IndexedObject | None:
        """The object of exactly this key. Raises StackFailed where the index knows two."""
        found = [*self._found(bucket, {"terms": [key]}, lambda one: one == key)]
        if len(found) > 1:
            raise _in_part(f"two objects of one key ({key!r})")
        return found[0] if found else None

    def below(self, bucket: str, prefix: str) -> Iterator[IndexedObject]:
        """Every object whose key starts with ``prefix``, in the order of keys. A request for some hundreds."""
        wildcard = _WILD.sub(r"\\\g<0>", prefix) + "*"
        return self._found(bucket, {"wildcard": wildcard}, lambda one: one.startswith(prefix))

    def _found(
        self, bucket: str, key: dict[str, Any], fits: Callable[[str], bool]
    ) -> Iterator[IndexedObject]:
        answer = self._graph.query("ObjectsByKey", bucket=bucket, filter={"key": key}, size=_AT_ONCE)
        found = object_of(answer.get("search"))
        if found.get("__typename") == "EmptySearchResultSet":
            return
        found = result(found, "ObjectsSearchResultSet")
        page, total, seen = object_of(found.get("firstPage")), number_of(found.get("total")), 0
        while True:
            rows = rows_of(page.get("hits"))
            if rows is None:
                raise _in_part(f"the objects of {bucket}")
            for row in rows:
                name, version = text_of(row.get("key")), text_of(row.get("version"))
                size = number_of(row.get("size"))
                seen += 1
                if row.get("deleted") is True:
                    continue
                if name is None or size is None or row.get("bucket") != bucket or is_odd(f"{name}{version}"):
                    raise _in_part(f"an object of {bucket}")
                if fits(name):
                    yield IndexedObject(name, None if version == "null" else version, int(size))
            after = text_of(page.get("cursor"))
            if after is not None and not rows:
                raise _in_part(f"the objects of {bucket}")
            if after is None:
                if total is not None and seen < total:
                    raise _in_part(f"{seen:,} of {int(total):,} objects of {bucket}")
                return
            more = self._graph.query("MoreObjectsByKey", after=after, size=_AT_ONCE).get("page")
            page = result(more, "ObjectsSearchResultSetPage")


def _in_part(what: str) -> StackFailed:
    return StackFailed(
        f"The Quilt stack's search index told {what}, and nothing is built on a part.",
        next_step="Take a narrower folder or pattern. If it stays so, tell an administrator of the stack.",
    )
