"""Run as a process of its own: for n = 1, 2, ... forks a writer that is killed ahead of its n-th system call, in a folder
of its own below argv[1]. Prints 'n acknowledged-steps' a line, and stops after the first writer that came to the end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from crashing import STEPS, Suicidal

from quilt_mcp.storage.local.store import LocalStore


async def write(root: Path, scratch: Path, dies_at: int, acknowledge: int) -> None:
    store = LocalStore(root, kernel=Suicidal(dies_at))
    for step, _ in STEPS:
        await step(store, scratch)
        os.write(acknowledge, b".")


def main() -> None:
    base = Path(sys.argv[1])
    is_whole = False
    dies_at = 0
    while not is_whole:
        dies_at += 1
        root, scratch = base / str(dies_at), base / f"{dies_at}.scratch"
        root.mkdir()
        scratch.mkdir()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            anyio.run(write, root, scratch, dies_at, writing)
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(pid, 0)
        is_whole = os.WIFEXITED(status)
        assert not is_whole or os.WEXITSTATUS(status) == 0, status
        print(dies_at, len(os.read(reading, 1000)), flush=True)
        os.close(reading)


if __name__ == "__main__":
    main()
