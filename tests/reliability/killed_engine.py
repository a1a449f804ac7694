"""Run as a process of its own: forks an engine that carries out the act argv[2], and then, for each storage call it made, one
that is killed before that call, and one that is killed after it if it wrote; each in a folder of its own below argv[1], which
are printed, one a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from faulty_store import Fault, at, open_faulty

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, InlineFile, PatchRequest, Rename, Source
from quilt_mcp.ops import QuiltOps

NAME = "a/b"
SOURCES = {"one": b"first", "two": b"second", "sub/three": b"third" * 100}


def package(ops: QuiltOps) -> PackageUri:
    return PackageUri(ops.default_registry, NAME)


async def create(ops: QuiltOps, root: Path) -> str:
    sources = (Source(str(root / "data"), "d/"),)
    files = (InlineFile("README.md", b"read me"), InlineFile("d/one-more", b"first"))
    request = CreateRequest(package(ops), sources, files, metadata={"k": 1}, message="made", overwrite=True)
    return (await ops.create(request)).top_hash


async def patch(ops: QuiltOps, root: Path) -> str:
    request = PatchRequest(
        package(ops),
        add=(Source(str(root / "data"), "new/"),),
        remove=("old/gone",),
        rename=(Rename("old/kept", "renamed"),),
        metadata={"j": 2},
        message="patched",
    )
    return (await ops.patch(request)).top_hash


async def delete_latest(ops: QuiltOps, root: Path) -> str:
    return (await ops.delete(PackageUri(ops.default_registry, NAME, tag="latest"))).latest or ""


async def delete_all(ops: QuiltOps, root: Path) -> str:
    return (await ops.delete(package(ops), whole=True)).latest or ""


async def copy_back(ops: QuiltOps, root: Path) -> str:
    """The first revision again, by the hash that the preparation left."""
    first = (root / "first").read_text()
    source = PackageUri(ops.default_registry, NAME, top_hash=first)
    return (await ops.copy(CopyRequest(source, package(ops)))).top_hash


ACTS: dict[str, Callable[[QuiltOps, Path], Awaitable[str]]] = {
    act.__name__: act for act in (create, patch, delete_latest, delete_all, copy_back)
}


async def prepare(root: Path, act: str) -> None:
    """Two revisions of the package (none for the first ``create``), a sibling, and the local sources."""
    for path, content in SOURCES.items():
        file = root / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    ops = open_faulty(root).ops
    sibling = PackageUri(ops.default_registry, "a/b-2")
    await ops.create(CreateRequest(sibling, files=(InlineFile("f", b"sibling"),)))
    if act == "create":
        return
    files = (InlineFile("old/gone", b"1"), InlineFile("old/kept", b"2"))
    first = await ops.create(CreateRequest(package(ops), files=files, message="first"))
    (root / "first").write_text(first.top_hash)
    await ops.patch(PatchRequest(package(ops), metadata={"second": True}, message="second"))


async def run(root: Path, act: str, number: int, fault: Fault) -> None:
    opened = open_faulty(root, at(number, fault))
    await ACTS[act](opened.ops, root)
    (root / "calls").write_text("".join("w" if call.writes else "r" for call in opened.stores.calls))


def fork(root: Path, act: str, number: int, fault: Fault) -> bool:
    """Whether the act came to its end."""
    root.mkdir()
    pid = os.fork()
    if pid == 0:
        anyio.run(prepare, root, act)
        anyio.run(run, root, act, number, fault)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    print(root.name, os.WEXITSTATUS(status) if os.WIFEXITED(status) else "killed", flush=True)
    return os.WIFEXITED(status)


def main() -> None:
    base, act = Path(sys.argv[1]), sys.argv[2]
    whole = base / "whole"
    fork(whole, act, -1, Fault.FAIL)
    for number, kind in enumerate((whole / "calls").read_text()):
        fork(base / f"{number}-before", act, number, Fault.DIE_BEFORE)
        if kind == "w":  # to die after reading is to die before the next call
            fork(base / f"{number}-after", act, number, Fault.DIE_AFTER)


if __name__ == "__main__":
    main()
