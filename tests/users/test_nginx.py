"""The example of docs/platform-teams.md, in front of a server of many users. Skipped where there is no nginx."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from company import HEADERS, Two, company, read

PAGE = Path(__file__).parents[2] / "docs" / "platform-teams.md"
NAME = "quilt-mcp.your-company.example"


def test_the_example_passes_requests_and_tells_who_asked(two: Two, tmp_path: Path) -> None:
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("nginx and openssl are not installed")
    public, port = f"https://{NAME}", _free_port()
    variables = {"QUILT_MCP_PUBLIC_URL": public, "QUILT_MCP_TRUSTED_PROXIES": "127.0.0.1"}
    with company(two.stack, two.server, tmp_path / "server", port=port, **variables) as served:
        with (
            nginx(tmp_path, port) as outside,
            httpx2.Client(verify=False, timeout=60, trust_env=False) as http,
        ):
            call = {"name": "status", "arguments": {}, "_meta": {"progressToken": 1}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            bearer = {"Authorization": f"Bearer {two.token('ada')}"}
            answer = http.post(f"{outside}/mcp", json=body, headers=HEADERS | bearer | {"Host": NAME})
            assert answer.status_code == 200, answer.text
            assert read(answer)["result"]["structuredContent"]["data"]["user"] == "ada"
            assert http.post(f"{outside}/mcp", json=body, headers=HEADERS | {"Host": NAME}).status_code == 401
            large = http.post(f"{outside}/mcp", content=b"x" * (5 << 20), headers={"Host": NAME})
            assert large.status_code == 413
        refused = next(one for one in served.audit() if one["outcome"] == "refused")
        assert refused["client"] == "127.0.0.2"


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[str]:
    """With the example as it stands, but for addresses and the certificate. It is asked from 127.0.0.2."""
    [block] = re.findall(r"```text\n(server \{.*?)```", PAGE.read_text(), re.S)
    outside = _free_port()
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{outside} ssl"),
        ("/etc/nginx/quilt-mcp.crt", str(certificate)),
        ("/etc/nginx/quilt-mcp.key", str(key)),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{port}"),
        ("$remote_addr", "127.0.0.2"),
    ):
        assert block.count(old) == 1, old
        block = block.replace(old, new)
    paths = "".join(
        f"{one}_temp_path {folder}/{one};\n" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{block}}}\n"
    )
    process = subprocess.Popen(["nginx", "-p", folder, "-e", folder / "error.log", "-c", settings])
    try:
        for _ in range(200):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", outside)) == 0:
                    break
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield f"https://127.0.0.1:{outside}"
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
