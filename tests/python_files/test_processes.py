"""Where a filesystem lives: in threads that have loops of their own, in forked processes, and until an interpreter ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest
from lab import Lab

from parts.unmeasured import unmeasured
from quilt_mcp.python_files import PackageFiles

_CHILD = """
import json, multiprocessing, sys
from quilt_mcp.python_files import BucketFiles, FolderFiles

def read(fs, path, queue):
    queue.put((fs.cat_file(path, 0, 5).decode(), fs.info(path)["size"]))

kind, options, path, first = json.loads(sys.argv[1])
fs = {"quilt+s3": BucketFiles, "quilt+file": FolderFiles}[kind](**options)
if first:
    fs.cat_file(path)
context = multiprocessing.get_context("fork")
queue = context.Queue()
children = [context.Process(target=read, args=(fs, path, queue)) for _ in range(2)]
[one.start() for one in children]
print(json.dumps([queue.get(timeout=30) for _ in children]))
[one.join(30) for one in children]
assert [one.exitcode for one in children] == [0, 0]
file = fs.open(path)
file.read(1)
"""
"""Its file stays open, and its loop at work, when it ends."""

_AT_WORK = """
import json, sys, threading, time
from quilt_mcp.python_files import BucketFiles

[path] = json.loads(sys.argv[1])
fs = BucketFiles()
begun = threading.Semaphore(0)

def read():
    while True:
        fs.cat_file(path, 0, 5)
        begun.release()

for _ in range(4):
    threading.Thread(target=read, daemon=True).start()
for _ in range(40):
    begun.acquire()
"""
"""Requests are on their way when it ends."""

_IDLE = """
import sys
import tomllib
import quilt_mcp.cli.commands, quilt_mcp.session
assert "fsspec" not in sys.modules, "a server that reads no files for Python"
import quilt_mcp.python_files
from quilt_mcp.python_files import BucketFiles, FolderFiles
heavy = {"duckdb", "boto3", "obstore", "pandas", "pyarrow", "rich", "PIL", "awscrt"} & set(sys.modules)
assert not heavy, heavy
import threading
BucketFiles(), FolderFiles()
assert threading.active_count() == 1, "nothing is started before it is asked for"
"""

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("python_files")]


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, "-W", "ignore", "-c", script, json.dumps(arguments)]
    done = subprocess.run(command, env=unmeasured(), capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize(
    ("lab", "first"),
    [
        pytest.param("bucket", True, id="bucket, after a read"),
        pytest.param("bucket", False, id="bucket", marks=pytest.mark.nightly),
        pytest.param("folder", True, id="folder, after a read"),
        pytest.param("folder", False, id="folder", marks=pytest.mark.nightly),
    ],
    indirect=["lab"],
)
def test_forked_processes_read_and_their_parent_ends(lab: Lab, first: bool) -> None:
    path = lab.plain("data/growth.csv")
    size = (lab.source / "data" / "growth.csv").stat().st_size
    out = run(_CHILD, lab.protocol, lab.options, path, first)
    assert json.loads(out) == [["plant", size]] * 2


def test_an_interpreter_ends_well_in_the_middle_of_reads(bucket_lab: Lab) -> None:
    """It would abort, in one of six runs, where an answer comes while it is taken down."""
    for _ in range(2):
        run(_AT_WORK, bucket_lab.plain("data/growth.csv"))


def test_nothing_is_imported_or_started_before_it_is_needed(home: Path) -> None:
    run(_IDLE)


def test_threads_share_a_view(lab: Lab) -> None:
    fs, names = lab.view(), [f"data/part-{n % 3}.parquet" for n in range(12)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda name: fs.cat_file(lab.plain(name)), names))
    assert found == [(lab.source / name).read_bytes() for name in names]


def test_a_coroutine_may_call_it(lab: Lab) -> None:
    """It blocks that loop, as any file does, and needs none of it."""
    fs: PackageFiles = lab.view()

    async def read() -> bytes:
        return fs.cat_file(lab.plain("data/growth.csv"))

    assert asyncio.run(read()) == (lab.source / "data" / "growth.csv").read_bytes()


def test_an_installation_tells_fsspec_of_both_protocols() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    points: dict[str, str] = project["project"]["entry-points"]["fsspec.specs"]
    assert points.keys() == {"quilt+s3", "quilt+file"}
    for protocol, target in points.items():
        module, _, name = target.partition(":")
        assert getattr(import_module(module), name).protocol == protocol
