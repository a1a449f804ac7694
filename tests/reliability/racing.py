"""Many processes that push to one package at one signal, and what must be so afterwards, wherever the package is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from parts.unmeasured import unmeasured


class Push(NamedTuple):
    """An acknowledged one: the parent it was built on, and latest as read just afterwards."""

    top_hash: str
    parent: str
    seen: str
    warnings: list[str]


Told = list[list[Push]]
"""By writer, in the order in which it made them."""


def race(
    arguments: Sequence[str],
    writers: int,
    pushes: int,
    seconds: int,
    at_the_signal: Callable[[], None] = lambda: None,
) -> Told:
    """``arguments``: what ``pusher`` takes to open the registry."""
    script = Path(__file__).with_name("pusher.py")
    running = [
        subprocess.Popen(
            [sys.executable, script, f"writer-{number}", str(pushes), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=unmeasured(),
            text=True,
        )
        for number in range(writers)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        at_the_signal()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=seconds)[0] for process in running]
        ended = [process.returncode for process in running]
        assert ended == [0] * writers, f"a pusher failed (its traceback stands on standard error): {ended}"
    finally:
        for process in running:
            process.kill()
            process.wait()
    return [[Push(*json.loads(line)) for line in output.splitlines()] for output in outputs]


def hold(told: Told, pushes: int, first: str, log: list[str], latest: str | None) -> None:
    """``first`` is the revision that all began on; ``log`` the top hashes afterwards, oldest first."""
    acknowledged = {push.top_hash: push.parent for pushed in told for push in pushed}
    assert len(acknowledged) == len(told) * pushes
    assert sorted(log) == sorted([first, *acknowledged]), "each is one line, and nothing else is"
    for before, after in pairwise(log):
        assert acknowledged[after] == before, "each was built on the line below it"
    assert latest == log[-1]
    place = {top_hash: number for number, top_hash in enumerate(log)}
    for pushed in told:
        own = [place[push.top_hash] for push in pushed]
        assert own == sorted(own), "a process's pushes stand in the order it made them"
        for push in pushed:
            assert place[push.seen] >= place[push.top_hash], (
                "latest never went back behind an acknowledged push"
            )


def pushed_files(writers: int, pushes: int) -> dict[str, bytes]:
    return {
        f"writer-{writer}/{number}": f"writer-{writer} {number}".encode()
        for writer in range(writers)
        for number in range(pushes)
    }
