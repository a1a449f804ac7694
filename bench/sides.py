"""Two sides of a comparison, each a process of its own, run in turn on the same input.

A bench script calls itself: ``run(__file__, "quilt3", ...)`` starts it again with ``--side quilt3``; that process prints
its figures as one line of JSON. Interleaving is what makes the ratio fair on a machine that others use too.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Figures = dict[str, float]


def run(script: str, side: str, *arguments: str) -> Figures:
    """The figures one side prints, with a home of its own: no settings, no session, no cache of this user."""
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as home:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": home,
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_CACHE_HOME": f"{home}/cache",
            "QUILT_DISABLE_USAGE_METRICS": "true",
            "QUILT_MINIMIZE_STDOUT": "true",
        }
        command = [sys.executable, script, "--side", side, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"{side} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


def interleave(sides: dict[str, Callable[[], Figures]], rounds: int) -> dict[str, list[Figures]]:
    """Each side once a round, the order turned round every time."""
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in sides if turn % 2 == 0 else reversed(sides):
            found[name].append(sides[name]())
    return found


def medians(rounds: list[Figures]) -> Figures:
    return {name: round(statistics.median(figures[name] for figures in rounds), 4) for name in rounds[0]}


def ratio(over: list[Figures], over_name: str, under: list[Figures], under_name: str) -> float:
    """The median over the rounds of one figure by another of the same round."""
    pairs = zip(over, under, strict=True)
    return round(statistics.median(one[over_name] / other[under_name] for one, other in pairs), 3)


def peak_mb() -> float:
    """The most memory this process held. (ru_maxrss would count what the parent held when it forked.)"""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return round(int(line.split()[1]) / 1024, 1)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def resident_mb() -> float:
    """The memory this process holds now; Linux only."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return round(int(line.split()[1]) / 1024, 1)


def open_ours(registry: Path, cache: Path, *, roots: tuple[Path, ...] = (), writable: bool = False) -> Any:
    """The local backend."""
    from quilt_mcp.backends.local import open_local

    return open_local(registry.as_uri(), roots=roots, writable=writable, cache=cache, cache_bytes=1 << 30)


def answer(figures: dict[str, Any]) -> None:
    print(json.dumps(figures))
