"""The bundle for desktop clients: what its format's own tool takes, and a server that works where the form was left empty."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from parts.node_tools import node_command
from quilt_mcp.option import OPTIONS

ROOT = Path(__file__).parents[2]
MCPB = "@anthropic-ai/mcpb/dist/cli/cli.js"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bundle") / "mcpb"
    subprocess.run([sys.executable, ROOT / "deploy/mcpb/bundle.py", made], check=True)
    return made


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.xdist_group("node")
def test_the_tool_of_the_format_packs_it_with_all_of_the_source(folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "quilt-mcp.mcpb"
    done = subprocess.run(
        [*node_command(MCPB), "pack", folder, packed], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = {name for name in zipfile.ZipFile(packed).namelist() if name.startswith("src/")}
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*") if path.is_file()}
    assert names == {name for name in source if "__pycache__" not in name}


@pytest.mark.xdist_group("node")
def test_the_tool_of_the_format_refuses_a_manifest_that_is_none(folder: Path, tmp_path: Path) -> None:
    wrong = manifest(folder)
    wrong["server"]["type"] = "uvx"
    (tmp_path / "manifest.json").write_text(json.dumps(wrong))
    command = [*node_command(MCPB), "validate", tmp_path / "manifest.json"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_it_is_a_uv_bundle_of_the_fourth_version_that_asks_for_no_package(folder: Path) -> None:
    told = manifest(folder)
    assert (told["manifest_version"], told["server"]["type"]) == ("0.4", "uv")
    assert (folder / told["server"]["entry_point"]).is_file()
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", told["version"])
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    names = {re.split("[=<>]", one)[0] for one in project["project"]["dependencies"]}
    assert {"mcp", "duckdb", "boto3"} < names and "quilt-mcp" not in names
    assert project["tool"]["uv"]["package"] is False


def test_it_brings_the_versions_that_the_tests_ran_with(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    assert project["dependencies"] == re.findall(r"^[^\s#-][^ \\\n]+", text, re.M)


def test_its_form_fills_settings_that_there_are_and_hides_what_is_secret(folder: Path) -> None:
    told = manifest(folder)
    filled = {
        name: value.removeprefix("${user_config.").removesuffix("}")
        for name, value in told["server"]["mcp_config"]["env"].items()
    }
    assert set(filled.values()) == told["user_config"].keys()
    kinds = {option.variable: option.kind for option in OPTIONS}
    for name, field in filled.items():
        asked = told["user_config"][field]
        assert name in kinds or name == "AWS_PROFILE"
        assert asked.get("sensitive", False) is (kinds.get(name) == "secret")
        assert asked.get("required") or "default" in asked, "what has none is put in as it stands: ${...}"


def test_a_form_that_was_left_empty_starts_a_server_that_reads(folder: Path, tmp_path: Path) -> None:
    told = manifest(folder)
    defaults = {name: one.get("default", str(tmp_path)) for name, one in told["user_config"].items()}
    values = {name: str(value).lower() if value is False else value for name, value in defaults.items()}
    environment = {
        name: values[value.removeprefix("${user_config.").removesuffix("}")]
        for name, value in told["server"]["mcp_config"]["env"].items()
    }
    command = [sys.executable, "-S", "-c", _STARTED, *_places(), str(folder / told["server"]["entry_point"])]
    found = status(command, tmp_path, environment)
    assert found["backend"] == "local" and str(tmp_path) in json.dumps(found["roots"])


@pytest.mark.nightly
def test_uv_brings_what_it_needs_and_runs_it(folder: Path, tmp_path: Path) -> None:
    pinned = re.findall(r'^UV = "(.+)"$', (ROOT / "requirements" / "compile.py").read_text(), re.M)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "tools"], check=True)
    pip = [tmp_path / "tools" / "bin" / "python", "-m", "pip"]
    subprocess.run([*pip, "install", "-qq", *pinned], check=True)
    told = manifest(folder)["server"]["mcp_config"]
    arguments = [one.replace("${__dirname}", str(folder)) for one in told["args"]]
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    index = subprocess.run(
        [*pip, "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    address = os.environ.get("PIP_INDEX_URL") or index.stdout.strip()
    environment |= {"UV_DEFAULT_INDEX": address} if address else {}
    environment |= {"QUILT_ROOT": str(tmp_path), "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    found = status([str(tmp_path / "tools" / "bin" / told["command"]), *arguments], tmp_path, environment)
    assert found["backend"] == "local"


def status(command: list[str], home: Path, environment: dict[str, str]) -> Any:
    """What the tool of that name answers, of a server on stdio that ends with its input."""
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "status", "arguments": {}}}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    done = subprocess.run(
        command,
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true"} | environment,
        input="".join(json.dumps(one) + "\n" for one in (INITIALIZE, ready, call)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines()) if "id" in one}
    assert answers[1]["result"]["serverInfo"]["name"]
    return answers[2]["result"]["structuredContent"]["data"]


_STARTED = (
    "import runpy, sys; sys.path += sys.argv[1:-1]; sys.argv[:] = sys.argv[-1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Without what is installed editable here: the bundle's own source is all that is found of quilt_mcp."""


def _places() -> list[str]:
    return [one for one in sys.path if one.endswith("site-packages")]
