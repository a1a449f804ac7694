"""Every code block of the README and the docs does what it says.

bash blocks run, those of one page one after another in one empty home; JSON blocks parse, and the servers they name answer.
A block that cannot run here says why in a comment above it, and those are counted.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = {
    "README.md": 2,
    "docs/comparing-tables.md": 1,
    "docs/platform-teams.md": 2,
    "docs/published-tables.md": 1,
    "docs/view.md": 1,
}
"""How many blocks of a page may say that they are not run."""
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.M | re.S
)
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "docs", "version": "1"},
    },
}


@dataclass(frozen=True)
class CodeBlock:
    page: Path
    language: str
    body: str
    reason: str | None

    @property
    def runs(self) -> str:
        """With the placeholders that a reader fills in filled in."""
        text = self.body.replace("/path/to/quilt-mcp/.venv/bin", str(BIN))
        return text.replace("/path/to/data", str(ROOT)).replace("${workspaceFolder}", str(ROOT))


def blocks(page: Path) -> list[CodeBlock]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [CodeBlock(page, one["language"], one["body"], one["reason"]) for one in found]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if any(block.language == language for block in blocks(page))]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody new: an empty home, quilt-mcp on the PATH, no credentials."""
    environment = {"HOME": str(tmp_path), "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "CI": "true"}
    kept = {
        key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "PIP_", "npm_config"))
    }
    return environment | kept


def test_every_fence_is_closed_and_names_a_language_that_is_checked() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall("^```", text, re.M)) == 2 * len(blocks(page)), name(page)
        for block in blocks(page):
            assert block.language in {"bash", "json", "text"}, (name(page), block.body)


def test_only_the_counted_blocks_are_not_run() -> None:
    counted = {name(page): sum(block.reason is not None for block in blocks(page)) for page in PAGES}
    assert {page: count for page, count in counted.items() if count} == NOT_RUN


@pytest.mark.parametrize("page", pages_with("bash"), ids=name)
def test_the_shell_blocks_of_a_page_run_in_order(page: Path, home: dict[str, str]) -> None:
    script = "set -euo pipefail\n" + "\n".join(shell_lines(page))
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=home["HOME"],
        env=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def shell_lines(page: Path) -> Iterator[str]:
    """Make targets run in the checkout; a client that is not installed here is stood in for by its server's start."""
    for block in blocks(page):
        if block.language != "bash" or block.reason:
            continue
        for line in block.runs.splitlines():
            if line.startswith("make "):
                yield f"(cd {shlex.quote(str(ROOT))} && {line})"
            elif line.startswith("claude mcp add "):
                server = line.split(" -- ", 1)[1]
                yield f"{server} </dev/null"
            else:
                yield line


@pytest.mark.parametrize("page", pages_with("json"), ids=name)
def test_the_json_blocks_of_a_page_parse_and_their_servers_answer(page: Path, home: dict[str, str]) -> None:
    for block in blocks(page):
        if block.language != "json":
            continue
        value: dict[str, Any] = json.loads(block.runs)
        for server in (value.get("mcpServers") or value.get("servers") or {}).values():
            if "command" in server:
                assert answers([server["command"], *server.get("args", [])], home)
            else:
                assert server["url"].startswith("http://127.0.0.1:")


def answers(command: list[str], home: dict[str, str]) -> bool:
    """Whether a server shakes hands and ends with its input."""
    result = subprocess.run(
        command,
        cwd=home["HOME"],
        env=home,
        input=json.dumps(INITIALIZE) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[0])["result"]["serverInfo"]["name"] != ""
