"""A real proxy before servers of many users."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parts.programs import program


@contextmanager
def nginx(folder: Path, port: int, blocks: str) -> Iterator[None]:
    """With ``blocks`` of its configuration inside ``http``, of which one listens on ``port``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = "".join(
        f"{one}_temp_path {folder}/{one};\n" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{blocks}}}\n"
    )
    command = [program("nginx"), "-p", folder, "-e", folder / "error.log", "-c", settings]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def balanced(port: int, servers: list[int]) -> str:
    """Blocks: requests are spread over servers of this machine; what refuses a connection is passed over."""
    named = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in servers)
    return f"""
        upstream quilt {{ {named} }}
        server {{
            listen 127.0.0.1:{port};
            location / {{
                proxy_pass http://quilt;
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_set_header Host $http_host;
                proxy_buffering off;
            }}
        }}
    """
