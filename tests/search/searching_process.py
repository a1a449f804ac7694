"""Run as a process of its own: searches a registry, again and again, and tells each answer as a line of JSON.

    searching_process.py REGISTRY CACHE TIMES [0]
    searching_process.py die REGISTRY CACHE:DIES_AT ...

``DIES_AT``: kills itself, beyond any clean-up, ahead of the n-th call that changes a file. With 0, tells how many there were.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from held_registry import ask, local_ops, named

from quilt_mcp.errors import QuiltError
from quilt_mcp.registry.reading import cataloguing

_calls = 0


def deadly(
    dies_at: int, act: Callable[..., Any], changes: Callable[..., bool] = lambda *_, **__: True
) -> Callable[..., Any]:
    def call(*args: Any, **given: Any) -> Any:
        global _calls
        if changes(*args, **given):
            _calls += 1
            if _calls == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **given)

    return call


def opens_to_write(_: object, mode: str = "r", *__: Any, **___: Any) -> bool:
    return any(letter in mode for letter in "wax+")


def arm(dies_at: int) -> None:
    """The engine's own writes are not among them: its files get their names by a rename."""
    os.replace = deadly(dies_at, os.replace)
    os.unlink = deadly(dies_at, os.unlink)
    os.mkdir = deadly(dies_at, os.mkdir)
    shutil.rmtree = deadly(dies_at, shutil.rmtree)  # pyright: ignore[reportAttributeAccessIssue]
    Path.open = deadly(dies_at, Path.open, opens_to_write)  # type: ignore[method-assign]
    Path.unlink = deadly(dies_at, Path.unlink)  # type: ignore[method-assign]


async def main(registry: Path, cache: Path, times: int) -> None:
    ops = local_ops(registry, cache)
    for _ in range(times):
        try:
            found = await ask(ops, "word")
            said = {"names": sorted(named(found.items)), "total": found.total, "warnings": found.warnings}
        except QuiltError as error:
            said = {"code": error.code, "message": error.message}
        print(json.dumps(said), flush=True)


def die(registry: Path, caches: list[str]) -> None:
    """Each in a fork of this process, which has no thread yet: importing it all again would take longer than the search."""
    for one in caches:
        cache, _, dies_at = one.rpartition(":")
        pid = os.fork()
        if pid == 0:
            arm(int(dies_at))
            anyio.run(main, registry, Path(cache), 1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"killed": os.WIFSIGNALED(status)}), flush=True)


if __name__ == "__main__":
    cataloguing.BATCH_PACKAGES = 2  # type: ignore[misc]  # so that there are several parts
    if sys.argv[1] == "die":
        import duckdb  # noqa: F401

        die(Path(sys.argv[2]), sys.argv[3:])
    else:
        if len(sys.argv) > 4:
            arm(int(sys.argv[4]))
        anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
        print(json.dumps({"calls": _calls}), flush=True)
