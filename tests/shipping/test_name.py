"""Nothing here names a distribution that a package index would serve: the name is another program's there (decision 033)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("README.md", "CHANGELOG.md", "Makefile", ".ci", "docs", "src", "deploy", "requirements")
INSTALLS = re.compile(
    r"""\b(?:
        (?:pip3?|pipx|uv\ tool|uv\ pip)\s+(?:install|run|download)\b
      | uv\ add\b
      | uvx\b (?!.*--from\s+\.)
      | "uvx",
    )[^\n|`]*?
    (?<![\w./-])quilt[-_]mcp(?![\w/-]|\.whl)""",
    re.X,
)
EXTRA = re.compile(r"quilt[-_]mcp\[\w")


def found(text: str) -> list[str]:
    return [one.group() for pattern in (INSTALLS, EXTRA) for one in pattern.finditer(text)]


def test_no_text_installs_the_other_program() -> None:
    files = [file for place in PLACES for file in _files(ROOT / place)]
    assert len(files) > 200
    texts = {file: file.read_text(encoding="utf-8") for file in files if file.suffix != ".png"}
    assert {str(file): names for file, text in texts.items() if (names := found(text))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "pip install quilt-mcp",
        "python -m pip install --upgrade 'quilt-mcp'",
        "pipx install quilt-mcp==1.0",
        "pipx run quilt-mcp serve",
        "uvx quilt-mcp",
        '{"command": "uvx", "args": ["quilt-mcp"]}',
        "uv tool install quilt_mcp",
        "uv add quilt-mcp",
        "it takes quilt-mcp[telemetry]",
    ],
)
def test_what_would_install_it_is_found(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize(
    "text",
    [
        "pipx install ./quilt-mcp",
        "~/quilt/bin/pip install ./quilt-mcp",
        "uvx --from ./quilt-mcp quilt-mcp demo",
        "quilt-mcp install-client codex",
        "pip install dist/quilt_mcp-1.0.0-py3-none-any.whl",
    ],
)
def test_a_folder_or_a_file_is_no_name(text: str) -> None:
    assert not found(text)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
