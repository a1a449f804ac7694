"""What is measured: as Prometheus' text at an address of its own, and by OTLP to whom the variables name; nobody's name in it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from company import Two, company, free_port

pytest.importorskip("opentelemetry.sdk")


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Whatever comes, by its path."""
    came: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            came[self.path] = came.get(self.path, b"") + body
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.nightly
def test_metrics_are_at_an_address_of_their_own_and_go_where_the_variables_say(
    two: Two, tmp_path: Path
) -> None:
    place = f"127.0.0.1:{free_port()}"
    with collector() as (url, came):
        variables = {
            "QUILT_MCP_METRICS": place,
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        }
        with company(two.stack, two.server, tmp_path, **variables) as served:
            ada = two.token("ada")
            served.call(ada, "status")
            served.call(ada, "package_browse", package="lab/none")
            served.post("qk_nobody")
            with httpx2.Client(trust_env=False) as client:
                text = client.get(f"http://{place}/metrics").text
            assert served.send("GET", "/metrics").status_code == 404, "not where users are"
            lines = [line for line in text.splitlines() if line.startswith("quilt_mcp")]
            assert any('tool="status"' in line and 'outcome="done"' in line for line in lines), text
            assert any('code="package_not_found"' in line for line in lines)
            assert any(line.startswith("quilt_mcp_refusals") and 'status="401"' in line for line in lines)
            assert any(line.startswith("quilt_mcp_users") and line.endswith(" 1.0") for line in lines)
            for _ in range(100):
                if {"/v1/metrics", "/v1/traces"} <= came.keys():
                    break
                time.sleep(0.1)
        told = b"".join(came.values())
        assert b"quilt_mcp.calls" in told and b"tools/call" in told
        assert ada.encode() not in told and ada not in text
        assert not re.search(r"\bada\b", text)


def test_without_the_variables_nothing_of_it_is_imported(two: Two, tmp_path: Path) -> None:
    with company(two.stack, two.server, tmp_path) as served:
        served.call(two.token("ada"), "status")
        maps = Path(f"/proc/{served.process.pid}/maps")
        if maps.exists():
            assert "google/_upb" not in maps.read_text(), "what OTLP needs"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("place", ["9464", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_told_at_the_start(two: Two, tmp_path: Path, place: str) -> None:
    with (
        pytest.raises(AssertionError, match="QUILT_MCP_METRICS"),
        company(two.stack, two.server, tmp_path, QUILT_MCP_METRICS=place),
    ):
        pass
