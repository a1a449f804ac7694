"""The example of docs/platform-teams.md, in front of a server of many users."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from company import HEADERS, Two, company, free_port, read
from nginx import nginx

from parts.programs import program

PAGE = Path(__file__).parents[2] / "docs" / "platform-teams.md"
NAME = "quilt-mcp.your-company.example"


def test_the_example_passes_requests_and_tells_who_asked(two: Two, tmp_path: Path) -> None:
    program("openssl")
    public, port = f"https://{NAME}", free_port()
    variables = {"QUILT_MCP_PUBLIC_URL": public, "QUILT_MCP_TRUSTED_PROXIES": "127.0.0.1"}
    with company(two.stack, two.server, tmp_path / "server", port=port, **variables) as served:
        with (
            example(tmp_path, port) as outside,
            httpx2.Client(verify=False, timeout=60, trust_env=False) as http,
        ):
            call = {"name": "status", "arguments": {}, "_meta": {"progressToken": 1}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            bearer = {"Authorization": f"Bearer {two.token('ada')}"}
            answer = http.post(f"{outside}/mcp", json=body, headers=HEADERS | bearer | {"Host": NAME})
            assert answer.status_code == 200, answer.text
            assert read(answer)["result"]["structuredContent"]["data"]["user"] == "ada"
            assert http.post(f"{outside}/mcp", json=body, headers=HEADERS | {"Host": NAME}).status_code == 401
            page = http.get(outside, headers={"Host": NAME}).text
            assert f"--transport http quilt {public}/mcp " in page and f":{port}" not in page
            large = http.post(f"{outside}/mcp", content=b"x" * (5 << 20), headers={"Host": NAME})
            assert large.status_code == 413
        refused = next(one for one in served.audit() if one["outcome"] == "refused")
        assert refused["client"] == "127.0.0.2"


@contextmanager
def example(folder: Path, port: int) -> Iterator[str]:
    """With the example as it stands, but for addresses and the certificate. It is asked from 127.0.0.2."""
    [block] = re.findall(r"```text\n(server \{.*?)```", PAGE.read_text(), re.S)
    outside = free_port()
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
    with nginx(folder, outside, block):
        yield f"https://127.0.0.1:{outside}"
