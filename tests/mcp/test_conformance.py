"""The official conformance suite, on both protocol revisions that servers of today meet.

Its scenarios mostly call fixtures by name, so it runs twice: on the real server, where the scenarios without fixtures count,
and on ``conformance_app``, the fixtures on the real server's transport.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import environment

from parts.node_tools import node_command

SUITE = "@modelcontextprotocol/conformance/dist/index.js"
REVISIONS = ("2025-11-25", "2026-07-28")
APP = [sys.executable, str(Path(__file__).with_name("conformance_app.py"))]
REAL = [*APP, "--real"]

FREE_OF_FIXTURES = {
    "2025-11-25": {
        "server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection",
        "server-sse-multiple-streams",
    },
    "2026-07-28": {
        "tools-list", "resources-list", "prompts-list", "dns-rebinding-protection", "server-sse-multiple-streams",
        "sep-2164-resource-not-found", "caching", "http-header-validation",
        "input-required-result-unsupported-methods", "input-required-result-validate-input",
    },
}  # fmt: skip
"""What the suite can tell of any server, whatever its tools are called."""

NEEDS_A_SESSION = {
    "logging-set-level", "tools-call-with-logging", "tools-call-sampling", "tools-call-elicitation",
    "elicitation-sep1034-defaults", "elicitation-sep1330-enums", "resources-subscribe", "resources-unsubscribe",
}  # fmt: skip
"""2025-11-25 lets a server ask the client and push to it within a session. Ours is stateless over HTTP, asks nothing and
declares none of these; the suite calls them nevertheless."""


@contextmanager
def serving(command: list[str], home: Path) -> Iterator[str]:
    process = subprocess.Popen(
        command,
        cwd=home,
        env=environment(home, QUILT_DEFAULT_REGISTRY=str(home)),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/mcp", line):
                yield f"http://localhost:{found[1]}/mcp"
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def run_suite(url: str, revision: str, folder: Path) -> tuple[set[str], set[str], int]:
    """Scenarios that passed, those that failed, and the suite's exit code, which counts required scenarios only."""
    command = [
        *node_command(SUITE),
        "server",
        "--url",
        url,
        "--requirements",
        revision,
        "-o",
        str(folder / "out"),
    ]
    result = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=110, check=False
    )
    scored = result.stdout.split("=== SUMMARY ===")[1]
    lines = re.findall(r"^([✓✗]) ([\w-]+): \d+ passed, \d+ failed", scored, re.M)
    assert lines, result.stdout + result.stderr
    passed = {name for sign, name in lines if sign == "✓"}
    return passed, {name for sign, name in lines if sign == "✗"}, result.returncode


@pytest.mark.sampled(1)
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_real_server_passes_every_scenario_that_needs_no_fixture(revision: str, tmp_path: Path) -> None:
    with serving(REAL, tmp_path) as url:
        passed, failed, _ = run_suite(url, revision, tmp_path)
    assert FREE_OF_FIXTURES[revision] <= passed, FREE_OF_FIXTURES[revision] & failed


def test_the_fixtures_on_the_real_transport_pass_all_of_2026_07_28(tmp_path: Path) -> None:
    with serving(APP, tmp_path) as url:
        _, failed, code = run_suite(url, "2026-07-28", tmp_path)
    assert code == 0, failed


def test_the_fixtures_on_the_real_transport_pass_2025_11_25_but_what_needs_a_session(tmp_path: Path) -> None:
    with serving(APP, tmp_path) as url:
        _, failed, _ = run_suite(url, "2025-11-25", tmp_path)
    assert failed - {"json-schema-2020-12"} == NEEDS_A_SESSION, (
        "the suite itself counts json-schema-2020-12 as pending"
    )


def test_the_fixtures_with_sessions_pass_all_of_2025_11_25(tmp_path: Path) -> None:
    with serving([*APP, "--sessions"], tmp_path) as url:
        _, failed, code = run_suite(url, "2025-11-25", tmp_path)
    assert code == 0, failed
