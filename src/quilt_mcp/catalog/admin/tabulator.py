"""Tabulator: the tables of a bucket, and whether they are open to queries from outside the stack."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from quilt_mcp.catalog.admin.changing import Action, Kind, gone, inside
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import object_of, objects_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import RegistryNotFound


class Tables(Kind):
    """Of the bucket that is given as ``bucket``. Whoever may write to it may change them; before release 1.64 administrators."""

    noun = "table"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType(
            {
                "set": Action(_with_config, self._set, on="either"),
                "rename": Action(_renamed, self._rename),
                "delete": Action(gone, self._delete),
            }
        )

    def bucket(self, name: str, given: Record) -> str:
        return given["bucket"]

    def rows(self, narrowed: Record) -> Sequence[Record]:
        bucket = narrowed["bucket"]
        found = object_of(self._graph.query("TableList", bucket=bucket).get("bucketConfig"))
        if not found:
            raise RegistryNotFound(
                f"The stack shows this user no bucket {bucket}.",
                next_step="Call registry_list for the buckets in reach.",
                details={"bucket": bucket},
            )
        tables = objects_of(inside(found, "tabulatorTables"))
        rows = [{"name": str(one.get("name")), "config": str(one.get("config") or "")} for one in tables]
        return sorted(rows, key=lambda one: one["name"])

    def read(self, name: str, given: Record) -> Record | None:
        return next((one for one in self.rows(given) if one["name"] == name), None)

    def _set(self, before: Record, after: Record, request: AdminChange) -> None:
        self._tell("TableSet", request, config=after["config"])

    def _delete(self, before: Record, after: Record, request: AdminChange) -> None:
        self._tell("TableSet", request, config=None)

    def _rename(self, before: Record, after: Record, request: AdminChange) -> None:
        self._tell("TableRename", request, newName=after["name"])

    def _tell(self, document: str, request: AdminChange, **variables: Any) -> None:
        documents = (f"{document}", f"{document}ByAdmin")
        answer = self._graph.once(*documents, bucket=request.given["bucket"], table=request.name, **variables)
        result(answer.get("done", object_of(answer.get("admin")).get("done")), "BucketConfig")


def _with_config(before: Record, request: AdminChange) -> Record:
    return {"name": request.name, "config": request.given["config"]}


def _renamed(before: Record, request: AdminChange) -> Record:
    return {**before, "name": request.given["new_name"]}


class OpenQuery(Kind):
    """One switch of the stack, an administrator's."""

    noun = "setting"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType({"set": Action(_switched, self._set)})

    def read(self, name: str, given: Record) -> Record:
        answer = self._graph.query("OpenQueryGet")
        return {"open_query": inside(answer, "admin", "tabulatorOpenQuery") is True}

    def _set(self, before: Record, after: Record, request: AdminChange) -> Record:
        answer = self._graph.once("OpenQuerySet", enabled=after["open_query"])
        return {"open_query": inside(answer, "admin", "done", "tabulatorOpenQuery") is True}


def _switched(before: Record, request: AdminChange) -> Record:
    return {"open_query": request.given["on"]}
