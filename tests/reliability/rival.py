"""Run as a process of its own, beside another: for each line 'verb key condition' on stdin tries that write on the store at
argv[1] with its own name (argv[2]) as the bytes, and answers 'won' or 'lost'."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from quilt_mcp.errors import PreconditionFailed
from quilt_mcp.storage.local.store import LocalStore


async def attempt(store: LocalStore, name: bytes, verb: str, key: str, etag: str) -> str:
    try:
        if verb == "create":
            await store.put(key, name, if_absent=True)
        elif verb == "swap":
            await store.put(key, name, if_match=etag)
        elif verb == "add":
            for _ in range(int(etag)):
                await increment(store, key)
    except PreconditionFailed:
        return "lost"
    return "won"


async def increment(store: LocalStore, key: str) -> None:
    while True:
        stat, content = await store.get(key)
        try:
            await store.put(key, b"%d" % (int(content) + 1), if_match=stat.etag)
        except PreconditionFailed:
            continue
        return


async def main() -> None:
    store = LocalStore(Path(sys.argv[1]))
    for line in sys.stdin:
        print(await attempt(store, sys.argv[2].encode(), *line.split()), flush=True)


if __name__ == "__main__":
    anyio.run(main)
