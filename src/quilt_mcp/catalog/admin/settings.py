"""What a stack has one of, or a few that are switched: single sign-on, the packager's event rules, its own status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from quilt_mcp.catalog.admin.changing import Action, Kind, gone, inside
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import number_of, object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record


class SingleSignOn(Kind):
    """One text, in YAML; or none."""

    noun = "SSO configuration"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType(
            {"set": Action(_with_text, self._set, on="either"), "remove": Action(gone, self._remove)}
        )

    def look(self, name: str, given: Record) -> Record:
        found = self._get()
        if found is None:
            return {"text": None}
        uploader = text_of(object_of(found.get("uploader")).get("name"))
        return _text(found) | {"by": uploader, "at": text_of(found.get("timestamp"))}

    def read(self, name: str, given: Record) -> Record | None:
        found = self._get()
        return None if found is None else _text(found)

    def _get(self) -> dict[str, Any] | None:
        return object_of(inside(self._graph.query("SsoGet"), "admin", "ssoConfig")) or None

    def _set(self, before: Record, after: Record, request: AdminChange) -> Record:
        answer = inside(self._graph.once("SsoSet", config=after["text"]), "admin", "done")
        return _text(result(answer, "SsoConfig"))

    def _remove(self, before: Record, after: Record, request: AdminChange) -> None:
        answer = inside(self._graph.once("SsoSet", config=None), "admin", "done")
        if answer is not None:  # which is how the stack says that there is none
            result(answer, "SsoConfig")


def _text(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": str(found.get("text") or "")}


def _with_text(before: Record, request: AdminChange) -> Record:
    return {"text": request.given["text"]}


class EventRules(Kind):
    """Of the packager: which events make a package."""

    noun = "event rule"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.actions = MappingProxyType({"toggle": Action(_switched, self._toggle)})

    def rows(self, narrowed: Record) -> Sequence[Record]:
        found = inside(self._graph.query("EventRuleList"), "admin", "packager", "eventRules")
        return sorted(map(_rule, objects_of(found)), key=lambda one: one["name"])

    def read(self, name: str, given: Record) -> Record | None:
        return next((one for one in self.rows(given) if one["name"] == name), None)

    def _toggle(self, before: Record, after: Record, request: AdminChange) -> Record:
        answer = self._graph.once("EventRuleToggle", name=request.name, enabled=after["enabled"])
        return _rule(result(inside(answer, "admin", "packager", "done"), "PackagerEventRule"))


def _rule(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": str(found.get("name") or ""), "enabled": found.get("enabled") is True}


def _switched(before: Record, request: AdminChange) -> Record:
    return {**before, "enabled": request.given["on"]}


class StackStatus(Kind):
    """What the stack's own tests of itself say. It is looked at only."""

    noun = "status"

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def read(self, name: str, given: Record) -> Record:
        found = result(self._graph.query("StackStatus").get("status"), "Status")
        stats, reports = object_of(found.get("latestStats")), object_of(found.get("reports"))
        newest = next(iter(objects_of(reports.get("page"))), None)
        return {
            **{one: number_of(stats.get(one)) for one in ("passed", "failed", "running")},
            "canaries": [
                {
                    "title": str(one.get("title") or ""),
                    "group": text_of(one.get("group")),
                    "ok": one.get("ok"),
                    "last_run": text_of(one.get("lastRun")),
                }
                for one in objects_of(found.get("canaries"))
            ],
            "reports": number_of(reports.get("total")),
            "newest_report": object_of(newest).get("renderedReportLocation"),
        }
