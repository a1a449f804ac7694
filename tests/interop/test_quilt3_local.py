"""quilt3_local 2.0, the catalog of one machine, as a second server that we did not write: what it answers of packages is read as
from any stack. It runs in an environment of its own, as it takes old libraries: QUILT3_LOCAL_PYTHON names its Python."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from quilt_mcp.auth.bearer import GivenToken, SignIn
from quilt_mcp.auth.stack_http import StackHttp
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.packages import StackPackages

PYTHON = os.environ.get("QUILT3_LOCAL_PYTHON")
PUSH = """
import quilt3, time
for name, message in arguments["pushes"]:
    package = quilt3.Package()
    with open("f", "w") as file:
        file.write(message)
    package.set("data/f", "f", meta={"a": 1})
    package.push(name, registry=arguments["registry"], message=message, force=True)
    time.sleep(1.1)
result = [[tag, top_hash] for tag, top_hash in quilt3.list_package_versions("lab/b", arguments["registry"])]
"""
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(PYTHON is None, reason="QUILT3_LOCAL_PYTHON names no Python that has quilt3_local"),
]


@pytest.fixture(scope="module")
def graph(moto: S3Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("local")
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **moto.environment()}
    command = [str(PYTHON), "-m", "uvicorn", "quilt3_local.main:app", "--port", str(port)]
    with subprocess.Popen(command, env=environment, cwd=home, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/config.json")
            # Its path ends in a slash, to which it would redirect: here the question mark takes what is put behind it.
            url = f"http://127.0.0.1:{port}/__reg/graphql/?asked="
            yield Graph(StackHttp(), lambda: url, GivenToken("nobody", SignIn("a token", "nothing")))
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("quilt3_local did not start")


def test_packages_and_their_logs_are_read_as_quilt3_reads_them(
    graph: Graph, moto: S3Access, tmp_path: Path
) -> None:
    bucket = moto.make_bucket()
    pushes = [["lab/b", "one"], ["lab/a", "two"], ["lab/b", "three"]]
    tags = Quilt3(tmp_path, moto).run(PUSH, registry=f"s3://{bucket}", pushes=pushes)
    told = StackPackages(graph)
    rows, total = told.page(bucket, number=1, size=10)
    assert ([one.name for one in rows], total) == (["lab/a", "lab/b"], 2)
    latest = dict(tags)["latest"]
    assert rows[1].top_hash == latest
    log = told.log(bucket, "lab/b")
    assert [one.top_hash for one in log.revisions] == [
        top_hash for tag, top_hash in sorted(tags, reverse=True) if tag != "latest"
    ]
    assert log.latest is not None and log.latest.top_hash == latest
    second, _ = told.page(bucket, number=2, size=1)
    assert [one.name for one in second] == ["lab/b"]
