"""What killed processes leave in the cache and its scratch folder goes; what a living one holds stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faulty_store import open_faulty

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile

pytestmark = pytest.mark.anyio
YESTERDAY = time.time() - 25 * 3600
KILLED = """
import sys, anyio
from pathlib import Path
from faulty_store import Call, Fault, open_faulty
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile

async def script(call):
    if call.verb == "put" and "/packages/" in call.key:
        if sys.argv[2] == "dies":
            return Fault.DIE_BEFORE
        print("holds", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
    return None

async def main():
    ops = open_faulty(Path(sys.argv[1]), script).ops
    file = InlineFile("f", sys.argv[2].encode())
    await ops.create(CreateRequest(PackageUri(ops.default_registry, f"a/{sys.argv[2]}"), files=(file,)))

anyio.run(main)
"""


def start(root: Path, way: str) -> subprocess.Popen[str]:
    """A process that makes a package, up to the point at which its manifest is stored: there it dies, or waits for its input."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root), way],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def scratch(root: Path) -> set[Path]:
    return set((root / "cache/scratch").iterdir())


async def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    with start(tmp_path, "dies") as killed:
        assert killed.wait(60) == -9
    (left,) = scratch(tmp_path)
    with start(tmp_path, "dies") as killed_just_now:
        assert killed_just_now.wait(60) == -9
    (young,) = scratch(tmp_path) - {left}
    with start(tmp_path, "waits") as living:
        assert living.stdout is not None and living.stdout.readline() == "holds\n"
        (held,) = scratch(tmp_path) - {left, young}
        unfinished = tmp_path / "cache/unfinished-old"
        unfinished.write_bytes(b"x")
        for path in (left, held, unfinished):
            os.utime(path, (YESTERDAY, YESTERDAY))
        ops = open_faulty(tmp_path).ops
        name = PackageUri(ops.default_registry, "a/mine")
        await ops.plan_create(CreateRequest(name, files=(InlineFile("f", b"1"),)))
        assert scratch(tmp_path) == {young, held}
        assert not unfinished.exists()
        living.communicate("go on", timeout=60)
        assert living.returncode == 0
    assert scratch(tmp_path) == {young}
