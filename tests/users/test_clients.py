"""Real clients of many users: both SDKs in both eras, mcp-remote, and a page of another origin in a real browser."""

from __future__ import annotations

import html
import json
import re
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from company import Company, Two, company
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from parts.node_tools import MODULES, node_command
from parts.programs import program

HERE = Path(__file__).parent
TYPESCRIPT = HERE.parent / "mcp" / "typescript_client.mjs"


@pytest.mark.sampled(1)
@pytest.mark.anyio
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_python_sdk_in_both_eras_as_two_users_at_once(two: Two, served: Company, era: str) -> None:
    async with (
        served.client(two.token("ada"), era) as ada,
        served.client(two.token("bob"), era) as bob,
    ):
        for client, name in ((ada, "ada"), (bob, "bob"), (ada, "ada")):
            told = await client.call_tool("package_browse", {"package": "lab/reads"})
            assert told.structured_content["data"]["top_hash"] == two.hashes[name]
            uri = f"{told.structured_content['uri']}&path=data/reads.csv"
            resource = (await client.list_resource_templates()).resource_templates[0]
            assert resource.uri_template
            content = await client.call_tool("object_read", {"uri": uri})
            assert f"{name},1" in content.structured_content["data"]["text"]
        listed = [one.name for one in (await ada.list_tools()).tools]
        assert "package_create" in listed and "package_install" not in listed
        refused = await bob.call_tool(
            "package_browse", {"package": "lab/reads", "registry": f"s3://{two.hers}"}
        )
        assert refused.is_error


def test_the_typescript_sdk(two: Two, served: Company) -> None:
    node = node_command("@modelcontextprotocol/sdk/package.json")[0]
    headers = {"Authorization": f"Bearer {two.token('ada')}"}
    done = subprocess.run(
        [node, str(TYPESCRIPT)],
        input=json.dumps({"modules": str(MODULES), "url": served.url, "headers": headers}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "package_browse" in seen["tools"] and seen["resources"]
    assert seen["failure"]["structuredContent"]["error"]["code"] == "package_not_found"


@pytest.mark.anyio
async def test_mcp_remote_carries_a_users_token(two: Two, served: Company, tmp_path: Path) -> None:
    node, script = node_command("mcp-remote/dist/proxy.js")
    header = f"Authorization:Bearer {two.token('bob')}"
    remote = StdioServerParameters(
        command=node,
        args=[script, served.url, "--allow-http", "--transport", "http-only", "--header", header],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
    )
    async with Client(stdio_client(remote)) as client:
        told = await client.call_tool("status", {})
        assert told.structured_content["data"]["user"] == "bob"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def seen_by_a_browser(folder: Path, served: Company, token: str, origin: str, port: int) -> dict[str, Any]:
    given = urlencode({"url": served.url, "token": token})
    done = subprocess.run(
        [
            program("chromium"),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder / 'browser'}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"{origin}:{port}/page.html?{given}",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )
    [text] = re.findall(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    return json.loads(html.unescape(text))


def test_a_page_of_another_origin_asks_where_it_may_and_nowhere_else(two: Two, tmp_path: Path) -> None:
    pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(HERE)))
    port = pages.server_port
    thread = threading.Thread(target=pages.serve_forever, args=(0.05,))
    thread.start()
    try:
        allowed = {"QUILT_MCP_ALLOWED_ORIGINS": f"http://localhost:{port}"}
        with company(two.stack, two.server, tmp_path / "server", **allowed) as served:
            ada = two.token("ada")
            seen = seen_by_a_browser(tmp_path, served, ada, "http://localhost", port)
            status, _, text = seen["good"]
            assert status == 200 and '"user":"ada"' in text.replace("\\", "").replace(" ", "")
            assert seen["nobody"][:2] == [401, "Bearer"], "the page can read why"
            elsewhere = seen_by_a_browser(tmp_path, served, ada, "http://127.0.0.1", port)
            assert elsewhere["good"][0] == 0, "the browser lets no page read that is not allowed"
    finally:
        pages.shutdown()
        pages.server_close()
        thread.join()
