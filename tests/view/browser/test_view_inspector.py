"""The view in MCP Inspector's own web page: a host of other authors, with a policy and a sandbox of its own, over stdio."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chromium import Driver, View
from served import Place

from parts.node_tools import node_command

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("view")]

INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"


def free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


@contextmanager
def inspector(place: Place) -> Iterator[str]:
    """The address of its page. It starts the server with nothing but the variables that it is told."""
    server = [sys.executable, "-m", "quilt_mcp", "--registry", str(place.registry)]
    ports = {name: free_port() for name in ("CLIENT_PORT", "MCP_SANDBOX_PORT", "MCP_APP_ORIGIN_PORT")}
    own = {"MCP_AUTO_OPEN_ENABLED": "false", "MCP_STORAGE_DIR": str(place.home / "inspector")}
    environment = place.environment(**own, **ports)
    told = ["-e", f"PYTHONPATH={environment['PYTHONPATH']}"] if "PYTHONPATH" in environment else []
    process = subprocess.Popen(
        [*node_command(INSPECTOR), "--web", *told, *server],
        cwd=place.here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(r"http://\S+API_TOKEN=\S+", line):
                yield found[0]
                break
        else:
            pytest.fail(said)
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def inspected(place: Place) -> Iterator[str]:
    with inspector(place) as url:
        yield url


def test_the_inspector_shows_a_package_and_opens_a_file_from_inside_the_view(
    inspected: str, driver: Driver
) -> None:
    with View(driver) as view:
        view.open(inspected)
        view.role("switch", "Connect").click({"force": True}).do()
        view.role("radiogroup").getByText("Apps", {"exact": True}).click().do()
        view.click("button", "package_browse")
        view.frame.getByLabel("package", {"exact": False}).first().fill("lab/cells").do()
        view.click("button", "Open App")
        view.frame = view.page.frameLocator("iframe").frameLocator("iframe").kept()
        view.ready("browse")
        assert "Cells under a lens" in view.frame.locator("body").innerText().do()
        view.entry("last.txt").click().do()
        view.ready("file")
        assert view.seen["errors"] == []
