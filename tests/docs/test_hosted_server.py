"""The page that sets the hosted server's tools beside ours names tools that there are, and leaves none of the hosted ones out."""

from __future__ import annotations

import re
from pathlib import Path

from quilt_mcp.tools import TOOLS

PAGE = Path(__file__).parents[2] / "docs" / "hosted-server.md"
HOSTED = (
    "search_packages",
    "search_packages_more",
    "search_objects",
    "search_objects_more",
    "package_list",
    "package_browse",
    "package_revision",
    "package_revisions",
    "package_create",
    "package_patch",
    "s3_object_list",
    "object_read",
    "s3_object_info",
    "s3_object_link",
    "s3_object_put",
    "athena_query",
    "athena_query_results",
    "tabulator_table_list",
    "tabulator_table_set",
    "tabulator_table_rename",
    "catalog_link",
    "bucket_list",
    "get_resource",
)
"""As Quilt documents them."""
OURS = {tool.name for tool in TOOLS}


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+|search|status)`", text))


def test_every_tool_of_the_hosted_server_stands_in_the_table() -> None:
    there = set[str]().union(*(named(row[0]) for row in rows()))
    assert set(HOSTED) <= there


def test_what_stands_beside_them_is_a_tool_of_ours_or_an_argument_of_one() -> None:
    arguments = set[str]().union(*(tool.arguments for tool in TOOLS))
    beside = set[str]().union(*(named(row[1]) for row in rows()))
    assert beside <= OURS | arguments
    rest = PAGE.read_text().split("What it does not offer")[1]
    assert named(rest) <= OURS
