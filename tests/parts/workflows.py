"""A revision held against its workflow as a write does it: refused for what is found."""

from __future__ import annotations

from typing import Any

from quilt_mcp.domain.workflows.rules import WorkflowRules, find_faults, rejection


def check(rules: WorkflowRules, **revision: Any) -> None:
    if faults := find_faults(rules, **revision):
        raise rejection(rules, revision["name"], faults)
