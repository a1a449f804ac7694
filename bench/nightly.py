"""What CI does with smaller numbers, at full size: many processes that push to one package at once, every acknowledged push held
to be in the log (C1), in a folder and in a bucket on moto behind the tests' proxy; the same beside quilt3, which overwrites what
it likes, and how much of ours that was (C5); and packages generated, published by quilt3 and read by us, and the other way round,
to equal top hashes and manifest bytes, in a folder and in a bucket (C10); and every statement that would get out of SQL's box,
with each layer off (C24).

The tests themselves run by `make nightly ARGS=--junitxml=FILE`; ``--tests FILE`` keeps how that ended, with the commit that
it ran at.

python bench/nightly.py [--folder 32x50] [--bucket 32x50] [--beside-quilt3 8x10] [--packages 5000] [--only bucket ...]
                        [--tests FILE COMMIT]

What ``--only`` leaves out keeps the figures of its last run, so each part names the commit it was run at.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness import RESULTS, commit, report

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "reliability"))

import test_concurrent_pushes as races
import test_s3_quilt3_race as quilt3_races

from parts.moto_server import moto_server
from parts.proxy import Proxy

LAST = RESULTS / "nightly.json"
BOX = Path(__file__).parent.parent / "tests" / "sql"
INTEROP = Path(__file__).parent.parent / "tests" / "interop" / "test_engine_quilt3.py"


def run(size: str, race: Callable[[int, int, Path], None]) -> dict[str, Any]:
    """Fails as the test does when a push is lost."""
    writers, pushes = (int(part) for part in size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        race(writers, pushes, Path(folder))
        seconds = time.perf_counter() - start
    return {
        "processes": writers,
        "pushes each": pushes,
        "acknowledged and in the log": writers * pushes,
        "lost": 0,
        "seconds": round(seconds, 1),
        "acknowledged a minute": round(writers * pushes / seconds * 60),
    }


in_a_folder = races.test_in_a_folder_no_acknowledged_push_is_lost_and_the_log_is_one_line_of_parents


def in_a_bucket(writers: int, pushes: int, root: Path) -> None:
    with moto_server() as moto, Proxy(moto.url) as proxy:
        races.test_in_a_bucket_no_acknowledged_push_is_lost_and_the_log_is_one_line_of_parents(
            writers, pushes, moto, moto.via(proxy.url), root
        )


def beside_quilt3(size: str) -> dict[str, Any]:
    writers, pushes = (int(part) for part in size.split("x"))
    with tempfile.TemporaryDirectory() as folder, moto_server() as moto, Proxy(moto.url) as proxy:
        tally = quilt3_races.race_with_quilt3(writers, pushes, 2, moto, proxy, Path(folder))
    return {"processes": writers, "of quilt3": 2} | {
        name.replace("_", " "): number for name, number in asdict(tally).items()
    }


def interop(place: str, packages: int) -> dict[str, Any]:
    """``place``: "folder" or "bucket". Fails as the tests do when there is a difference."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--timeout", "3600", "-k", f"{place} and (we_read or quilt3_reads)",
         str(INTEROP)],
        env=os.environ | {"QUILT_MCP_INTEROP_PACKAGES": str(packages)},
        check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return {"packages each way": packages, "different": 0, "seconds": round(seconds, 1)}


def box() -> dict[str, Any]:
    """Fails as the tests do when a statement gets out, whichever layer is off, or a bomb is not answered in its time."""
    sys.path.insert(0, str(BOX))
    from bombs import BOMBS
    from corpus import ESCAPES

    files = [str(BOX / one) for one in ("test_box.py", "test_bombs.py")]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout", "3600", *files],
        env=os.environ | {"HYPOTHESIS_PROFILE": "nightly"},
        check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return {
        "statements that would get out": len(ESCAPES),
        "layers off": ["none", "gate", "settings", "kernel"],
        "got out": 0,
        "bombs": len(BOMBS),
        "not answered in time": 0,
        "seconds": round(seconds, 1),
    }


def tests_of(file: str) -> dict[str, Any]:
    """How a run of the whole profile ended."""
    [suite] = ElementTree.parse(file).getroot().iter("testsuite")
    return {
        "tests": int(suite.attrib["tests"]),
        "failed": int(suite.attrib["failures"]) + int(suite.attrib["errors"]),
        "skipped": int(suite.attrib["skipped"]),
        "seconds": round(float(suite.attrib["time"])),
    }


def last_figures() -> dict[str, Any]:
    """By part, each with its commit."""
    if not LAST.exists():
        return {}
    record = json.loads(LAST.read_text())
    return {part: {"commit": record["commit"]} | figures for part, figures in record["figures"].items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", default="32x50")
    parser.add_argument("--bucket", default="32x50")
    parser.add_argument("--beside-quilt3", default="8x10")
    parser.add_argument("--packages", type=int, default=5000)
    parser.add_argument(
        "--only", nargs="+", choices=("folder", "bucket", "quilt3", "interop", "interop-bucket", "box")
    )
    parser.add_argument("--tests", nargs=2, metavar=("FILE", "COMMIT"))
    given = parser.parse_args()
    parts: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
        "folder": ("race in a folder", lambda: run(given.folder, in_a_folder)),
        "bucket": ("race in a bucket", lambda: run(given.bucket, in_a_bucket)),
        "quilt3": ("race beside quilt3", lambda: beside_quilt3(given.beside_quilt3)),
        "interop": ("interop with quilt3", lambda: interop("folder", given.packages)),
        "interop-bucket": ("interop in a bucket", lambda: interop("bucket", given.packages)),
        "box": ("box of SQL", box),
    }
    figures = last_figures()
    if given.tests:
        file, at = given.tests
        figures["tests"] = {"commit": at} | tests_of(file)
    for name in given.only or (() if given.tests else parts):
        title, measure = parts[name]
        figures[title] = {"commit": commit()} | measure()
    report("nightly", figures)
