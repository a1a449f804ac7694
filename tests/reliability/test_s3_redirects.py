"""case_X6: a server that sends requests away to another host is not followed, and the other host never hears of a token."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.s3_access import S3Access
from quilt_mcp.errors import QuiltError
from quilt_mcp.storage.s3.store import S3Store

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def collect_what_urllib3_leaves_open() -> Iterator[None]:
    """urllib3 leaves its socket to the garbage collector where it fails at a redirect."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def serving(status: int, location: str, seen: list[dict[str, str]]) -> Iterator[str]:
    """A server that answers every request so; its address by number."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(dict(self.headers))
            self.send_response(status)
            if location:
                self.send_header("Location", location + self.path)
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


ACTS: dict[str, Callable[[S3Store], Awaitable[object]]] = {
    "get": lambda store: store.get("k"),
    "stat": lambda store: store.stat("k"),
    "put": lambda store: store.put("k", b"x"),
    "put if absent": lambda store: store.put("k", b"x", if_absent=True),
    "get by boto3": lambda store: store.get("a//b"),
    "put by boto3": lambda store: store.put("a//b", b"x"),
    "list": lambda store: store.list_folder(),
    "delete": lambda store: store.delete("k"),
}


@pytest.mark.sampled(1)
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # urllib3 drops a connection at a 303
@pytest.mark.parametrize("by_proxy", [False, True], ids=["direct", "by a proxy"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_host_is_not_followed(
    status: int, by_proxy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere: list[dict[str, str]] = []
    asked: list[dict[str, str]] = []
    with ExitStack() as held:
        other = held.enter_context(serving(200, "", elsewhere))
        # The same machine by another name is another host.
        url = held.enter_context(serving(status, other.replace("127.0.0.1", "localhost"), asked))
        if by_proxy:
            monkeypatch.setenv("HTTP_PROXY", held.enter_context(Proxy(url)).url)
            url = "http://192.0.2.1:9000"
        await _refuses_all(url, tmp_path)
    assert elsewhere == []
    assert any(headers.get("x-amz-security-token") == "TOKEN" for headers in map(_lower, asked))


async def _refuses_all(url: str, root: Path) -> None:
    access = S3Access(url, session_token="TOKEN")
    ops = iam_ops(access, "bucket", roots=(root,), cache=root / "cache")
    store = ops._stores.registry("s3://bucket")
    assert isinstance(store, S3Store)
    for name, act in ACTS.items():
        with pytest.raises(QuiltError) as caught:
            await act(store)
        assert caught.value.next_step, name


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
