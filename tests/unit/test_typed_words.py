"""What is typed after a verb, as the arguments of its tool."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from quilt_mcp.cli.verbs.flags import build_verb_parser, joined, tool_arguments
from quilt_mcp.cli.verbs.table import Verb, find_verb
from quilt_mcp.tools import find
from quilt_mcp.tools.spec import ToolSpec


def verb(name: str) -> Verb:
    found = find_verb(name)
    assert found is not None
    return found


def parsed(line: str, tool: ToolSpec | None = None) -> dict[str, Any]:
    """The tool's arguments that a line gives."""
    name, *words = shlex.split(line)
    spec = tool or find(verb(name).tool)
    parser = build_verb_parser(verb(name), spec)
    return tool_arguments(verb(name), spec, parser.parse_intermixed_args(joined(parser, words)))


def test_what_a_scientist_types_is_what_the_tool_wants() -> None:
    assert parsed('put me/first ./results -m "first"') == {
        "package": "me/first",
        "sources": [{"from": "./results"}],
        "message": "first",
    }


def test_flags_of_sources_count_for_each_and_may_stand_anywhere() -> None:
    assert parsed("put --to x/ me/first a --exclude '*.tmp' b --include data/") == {
        "package": "me/first",
        "sources": [
            {"from": one, "to": "x/", "include": ["data/"], "exclude": ["*.tmp"]} for one in ("a", "b")
        ],
    }


def test_a_source_may_be_written_out() -> None:
    assert parsed("""put me/first '{"from": "a", "to": "b"}' --to c""")["sources"] == [
        {"to": "b", "from": "a"}
    ]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("37", 37),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("007", "007"),
        ("1E5", "1E5"),
        ("1.10", "1.10"),
        ("NaN", "NaN"),
        ('"a"', '"a"'),
        ("[1]", "[1]"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_value_of_metadata_is_a_number_only_when_it_is_written_as_one(typed: str, value: object) -> None:
    given = parsed(f"put me/first --meta {shlex.quote(f'key={typed}')}")
    assert given["metadata"] == {"key": value}


def test_metadata_may_be_pairs_json_and_files_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    path.write_text('{"a": 1, "b": {"c": []}}')
    given = parsed(f"""put me/first --metadata @{path} --meta a=2 --metadata '{{"d": null}}'""")
    assert given["metadata"] == {"a": 2, "b": {"c": []}, "d": None}
    assert parsed("patch me/first --metadata '{}' --metadata-mode replace --workflow :none") == {
        "package": "me/first",
        "metadata": {},
        "metadata_mode": "replace",
        "workflow": ":none",
    }


def test_renames_are_pairs_and_removals_are_repeated() -> None:
    assert parsed("patch me/first --rename a b --rename c/ d/ --remove e --remove f new.csv --to g/") == {
        "package": "me/first",
        "rename": [{"from": "a", "to": "b"}, {"from": "c/", "to": "d/"}],
        "remove": ["e", "f"],
        "add": [{"from": "new.csv", "to": "g/"}],
    }


def test_switches_have_a_contrary() -> None:
    assert parsed("put me/first --no-copy --overwrite --dry-run") == {
        "package": "me/first", "copy": False, "overwrite": True, "dry_run": True,
    }  # fmt: skip


NEW = ToolSpec(
    name="package_browse",
    title="",
    description="",
    arguments={
        "package": {"type": "string"},
        "path": {"type": "string"},
        "match": {"type": "string", "description": "Glob"},
        "sort": {"type": "string", "enum": ["path", "-size"], "default": "path"},
        "depth": {"type": "integer"},
        "metadata": {"type": ["boolean", "array"], "items": {"type": "string"}},
        "detail": {"type": "boolean", "default": False},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        "cursor": {"type": "string"},
    },
    required=("package",),
    data={"properties": {"entries": {"type": "array", "items": {"properties": {"path": {}}}}}},
    run=find("package_browse").run,
)
"""As the tool may come to be: no flag of it is written down anywhere but here."""


def test_arguments_that_a_tool_gets_are_flags_by_themselves() -> None:
    line = "browse me/first --match '*.csv' --sort -size --depth 2 --detail --metadata=/a --metadata /b"
    assert parsed(line, NEW) == {
        "package": "me/first",
        "match": "*.csv",
        "sort": "-size",
        "depth": 2,
        "detail": True,
        "metadata": ["/a", "/b"],
    }
    assert parsed("browse me/first --metadata", NEW)["metadata"] is True
    assert parsed("browse --sort=-size --match -x me/first", NEW) == {
        "package": "me/first",
        "sort": "-size",
        "match": "-x",
    }
    with pytest.raises(SystemExit):
        parsed("browse me/first --match --detail", NEW)
