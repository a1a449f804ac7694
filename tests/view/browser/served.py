"""What the tests of the view show it with: ``quilt-mcp view`` for the page, a host of MCP Apps before ``quilt-mcp serve``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from chromium import Driver, View

from parts.node_tools import MODULES, node_command

HERE = Path(__file__).parent
TOKEN = "the-token-of-the-tests-of-the-view"
ERAS = {"modern": {"pin": "2026-07-28"}, "legacy": "legacy"}


@dataclass(frozen=True)
class Place:
    """A home with a registry in it, and a folder that servers run in, which so is their root."""

    home: Path
    hashes: dict[str, list[str]]

    @property
    def registry(self) -> Path:
        return self.home / "registry"

    @property
    def here(self) -> Path:
        return self.home / "here"

    def environment(self, **variables: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key.startswith(("COVERAGE", "PYTHONPATH"))}
        own = {"QUILT_DEFAULT_REGISTRY": str(self.registry), "QUILT_MCP_CACHE_DIR": str(self.home / "cache")}
        return kept | {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | own | variables

    def uri(self, package: str, path: str = "", *, revision: int = -1) -> str:
        pinned = f"quilt+{self.registry.as_uri()}#package={package}@{self.hashes[package][revision]}"
        return f"{pinned}&path={quote(path)}" if path else pinned


def made_by_quilt3(home: Path) -> Place:
    made = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "shown_packages.py"), str(home)],
        env=Place(home, {}).environment(
            QUILT_DISABLE_USAGE_METRICS="true",
            QUILT_MINIMIZE_STDOUT="true",
            XDG_DATA_HOME=str(home / "quilt3"),
        ),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return Place(home, json.loads(made.stdout.splitlines()[-1]))


@contextmanager
def started(place: Place, stream: str, *arguments: str, **variables: str) -> Iterator[str]:
    """``quilt-mcp`` with these arguments, until it is left. Gives the first line with an address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "quilt_mcp", *arguments],
        cwd=place.here,
        env=place.environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = process.stdout if stream == "stdout" else process.stderr
        assert lines is not None
        line = lines.readline()
        assert "http://" in line, line + (process.stderr.read() if process.stderr else "")
        yield line[line.index("http://") :].strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@dataclass(frozen=True)
class Pages:
    """``quilt-mcp view``, whose page shows any address."""

    place: Place
    address: str

    def fragment(self, address: str, after: str = "") -> str:
        if after:
            return f"&before={quote(address, safe='')}&after={quote(after, safe='')}"
        return f"&address={quote(address, safe='')}" if address else ""

    def show(self, driver: Driver, face: str, address: str = "", after: str = "", **options: Any) -> View:
        """In a new tab, which is closed by ``with``."""
        return View(driver, **options).open(
            self.address.partition("&")[0] + self.fragment(address, after), face
        )

    def go(self, view: View, face: str, address: str, after: str = "") -> View:
        """In the same tab, as by another address typed into its bar."""
        fragment = self.fragment(address, after)[1:]
        view.js(
            f"(document.documentElement.dataset.state = 'loading', location.hash = {json.dumps(fragment)})"
        )
        return view.ready(face)


@contextmanager
def pages_of(place: Place) -> Iterator[Pages]:
    with started(place, "stdout", "view", "--no-open") as address:
        yield Pages(place, address)


class _Quiet(SimpleHTTPRequestHandler):
    """The host's page and the modules that it is made of: a hundred, by few connections."""

    protocol_version = "HTTP/1.1"

    def guess_type(self, path: Any) -> str:
        return "text/javascript" if str(path).endswith(".mjs") else super().guess_type(path)

    def translate_path(self, path: str) -> str:
        if path.startswith("/node_modules/"):
            return str(MODULES) + path.removeprefix("/node_modules")
        return str(HERE / "host.html")

    def log_message(self, format: str, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Chat:
    """A host on an origin of its own, before a server of one user that lets that origin in."""

    place: Place
    origin: str
    url: str

    def show(
        self,
        driver: Driver,
        face: str,
        tool: str,
        given: dict[str, Any],
        *,
        era: str = "modern",
        **options: Any,
    ) -> View:
        """``options``: ``mode``, ``context`` and ``capabilities`` of the host, all others of the tab."""
        told = {name: options.pop(name) for name in ("mode", "context", "capabilities") if name in options}
        asked = {"url": self.url, "token": TOKEN, "era": ERAS[era], "tool": tool, "given": given, **told}
        view = View(driver, **options)
        view.open(f"{self.origin}/#{quote(json.dumps(asked))}")
        view.frame = view.page.frame("view").kept()
        return view.ready(face) if face else view

    def go(self, view: View, face: str, tool: str, **given: Any) -> View:
        """The same view is told the result of another call."""
        view.js("document.documentElement.dataset.state = 'loading'")
        view.page.evaluate(f"host.show({json.dumps(tool)}, {json.dumps(given)})").do()
        return view.ready(face)


@contextmanager
def chat_of(place: Place) -> Iterator[Chat]:
    node_command("@modelcontextprotocol/ext-apps/dist/src/app-bridge.js")
    pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(HERE)))
    thread = threading.Thread(target=pages.serve_forever, args=(0.05,))
    thread.start()
    origin = f"http://localhost:{pages.server_port}"
    allowed = {"QUILT_MCP_ALLOWED_ORIGINS": origin, "QUILT_MCP_HTTP_TOKEN": TOKEN}
    try:
        with started(place, "stderr", "serve", "--http", "--single-user", "--port", "0", **allowed) as url:
            yield Chat(place, origin, url)
    finally:
        pages.shutdown()
        pages.server_close()
        thread.join()
