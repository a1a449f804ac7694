"""The buckets of a stack and their configuration, which it replaces as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from quilt_mcp.catalog.admin.changing import Action, Kind, gone, inside
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import InvalidArgument, NotSupported

FIELDS: Final = {
    "title": "title",
    "description": "description",
    "icon_url": "iconUrl",
    "overview_url": "overviewUrl",
    "linked_data": "linkedData",
    "tags": "tags",
    "relevance_score": "relevanceScore",
    "browsable": "browsable",
    "prefixes": "prefixes",
    "sns_notification_arn": "snsNotificationArn",
    "scanner_parallel_shards_depth": "scannerParallelShardsDepth",
    "skip_meta_data_indexing": "skipMetaDataIndexing",
    "file_extensions_to_index": "fileExtensionsToIndex",
    "index_content_bytes": "indexContentBytes",
}
"""Of a configuration, as quilt3 names them, and the stack's own name of each."""
_ONLY_TO_ADD: Final = {"delay_scan": "delayScan"}


class Buckets(Kind):
    """Before release 1.65 a configuration has no ``prefixes``."""

    noun = "bucket"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType(
            {
                "add": Action(_added, self._add, on="absent"),
                "update": Action(_updated, self._update),
                "remove": Action(gone, self._remove),
            }
        )

    def bucket(self, name: str, given: Record) -> str:
        return name

    def rows(self, narrowed: Record) -> Sequence[Record]:
        found = objects_of(inside(self._graph.query("BucketConfigs"), "bucketConfigs"))
        rows = [
            {
                "name": str(one.get("name")),
                "title": one.get("title"),
                "relevance_score": one.get("relevanceScore"),
            }
            for one in found
        ]
        return sorted(rows, key=lambda one: str(one["name"]))

    def look(self, name: str, given: Record) -> Record:
        """With the policies and roles that name it, by the level that they give."""
        found = self._get(name)
        if found is None:
            raise self.missing(name, given)
        return _configuration(found) | {
            "last_indexed": text_of(found.get("lastIndexed")),
            "policies": {
                str(object_of(one.get("policy")).get("title")): one.get("level")
                for one in objects_of(found.get("associatedPolicies"))
            },
            "roles": {
                str(object_of(one.get("role")).get("name")): one.get("level")
                for one in objects_of(found.get("associatedRoles"))
            },
        }

    def read(self, name: str, given: Record) -> Record | None:
        found = self._get(name)
        return None if found is None else _configuration(found)

    def _get(self, name: str) -> dict[str, Any] | None:
        documents = ("BucketGet", "BucketGetWithoutPrefixes")
        return object_of(self._graph.query(*documents, name=name).get("bucketConfig")) or None

    def _add(self, before: Record, after: Record, request: AdminChange) -> Record:
        asked = {"name": request.name, **_input(after, FIELDS | _ONLY_TO_ADD)}
        documents = ("BucketAdd", "BucketAddWithoutPrefixes")
        done = result(self._graph.once(*documents, input=asked).get("done"), "BucketAddSuccess")
        return _configuration(object_of(done.get("bucketConfig")))

    def _update(self, before: Record, after: Record, request: AdminChange) -> Record:
        documents = ("BucketUpdate", "BucketUpdateWithoutPrefixes")
        answer = self._graph.once(*documents, name=request.name, input=_input(after, FIELDS))
        done = result(answer.get("done"), "BucketUpdateSuccess")
        return _configuration(object_of(done.get("bucketConfig")))

    def _remove(self, before: Record, after: Record, request: AdminChange) -> None:
        answer = self._graph.once("BucketRemove", name=request.name)
        result(answer.get("done"), "BucketRemoveSuccess")


def _added(before: Record, request: AdminChange) -> Record:
    given = _given(request, FIELDS | _ONLY_TO_ADD)
    return {"title": request.name} | {name: value for name, value in given.items() if value is not None}


def _updated(before: Record, request: AdminChange) -> Record:
    """Field by field; null empties one."""
    given = _given(request, FIELDS)
    lacking = [name for name in given if name not in before]
    if lacking:
        raise NotSupported(
            f"Buckets have no {' and '.join(lacking)} in this stack's release.",
            next_step="Leave it out, or ask for an upgrade of the stack.",
        )
    if "title" in given and not given["title"]:
        raise InvalidArgument("A bucket has to have a title.", next_step="Leave title out to keep it.")
    return {**before, **given}


def _given(request: AdminChange, known: Mapping[str, str]) -> Record:
    given: Mapping[str, Any] = request.given.get("config") or {}
    for name in given:
        if name not in known:
            near = suggest(name[:100], known)
            meant = f"Did you mean {' or '.join(near)}? " if near else ""
            raise InvalidArgument(
                f"config has no field {name[:100]!r}.",
                next_step=f"{meant}It takes {', '.join(known)}.",
                details={"unknown": name[:100]},
            )
    return given


def _configuration(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found.get(theirs) for name, theirs in FIELDS.items() if theirs in found}


def _input(configuration: Record, known: Mapping[str, str]) -> Record:
    return {known[name]: value for name, value in configuration.items() if value is not None}
