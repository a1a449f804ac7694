"""docs/reference says what the code does, all of it, and nothing it does not."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from quilt_mcp.option import OPTIONS
from quilt_mcp.tools import TOOLS

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["tools.md", "search-syntax.md", "command-line.md", "settings.md", "errors.md"]
)
def test_the_reference_is_what_the_code_would_write(name: str) -> None:
    page = ROOT / "docs" / "reference" / name
    assert page.read_text(encoding="utf-8") == generator().pages()[name], "stale: run `make docs`"


def test_every_tool_and_every_argument_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "tools.md").read_text(encoding="utf-8")
    for tool in TOOLS:
        section = text.split(f"\n## {tool.name}\n")[1].split("\n## ")[0]
        for argument, schema in tool.arguments.items():
            assert f"`{argument}`" in section
            assert schema.get("description"), f"{tool.name}.{argument} has no description"


def test_every_tool_stands_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [tool.name for tool in TOOLS if f"`{tool.name}`" not in text]
    assert not missing


def test_every_variable_the_code_reads_is_a_documented_setting() -> None:
    known = {option.variable for option in OPTIONS}
    read = set[str]()
    for path in (ROOT / "src").rglob("*.py"):
        read |= set(re.findall(r"\bQUILT_[A-Z0-9_]+\b", path.read_text(encoding="utf-8")))
    assert read <= known, f"not in OPTIONS: {sorted(read - known)}"


def test_every_flag_of_every_command_stands_in_the_reference() -> None:
    folder = ROOT / "docs" / "reference"
    text = (folder / "command-line.md").read_text() + (folder / "settings.md").read_text()
    for _, command in generator().parsers():
        for action in command._actions:
            for flag in action.option_strings:
                assert flag in ("-h", "--help") or f"`{flag}" in text, flag


def test_every_dependency_has_its_reason_written_down() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=!~\[; ]", requirement)[0]
        assert f"| `{name}` |" in text, name
        pinned = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8").lower()
        assert f"\n{name.lower()}==" in pinned, f"{name} is not pinned: run `make requirements`"


def test_the_readme_promises_only_what_a_test_that_exists_shows() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.+\| (`tests/.+) \|$", text, re.M)
    assert len(rows) >= 5
    for row in rows:
        folder = ROOT
        for named in re.findall(r"`([^`]+)`", row):
            path = ROOT / named if "/" in named else folder / named
            assert path.exists(), named
            folder = path.parent
