"""Revisions: what is read of a package, by the verbs of QuiltOps. Coroutines, for the engine to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.listing import Item
from quilt_mcp.errors import ChangedMeanwhile, HashMismatch, PackageNotFound, QuiltError, RegistryNotFound
from quilt_mcp.ops import QuiltOps
from quilt_mcp.storage.workers import collect

PIECE: Final = 16 << 20
"""The most bytes that a read of QuiltOps answers."""
_PIECES_AT_ONCE: Final = 4
_RANGES_AT_ONCE: Final = 8
_PAGE: Final = 1000
_FULL: Final = 64


def is_pinned(package: PackageUri) -> bool:
    return package.top_hash is not None and len(package.top_hash) == _FULL


async def pin(ops: QuiltOps, package: PackageUri) -> str:
    """The full top hash."""
    return (await ops.resolve(replace(package, path=None))).top_hash or ""


async def listed(ops: QuiltOps, package: PackageUri, depth: int | None) -> list[Item]:
    """What is in a folder, so many levels of it; None: every file below. A file's path answers that file."""
    items: list[Item] = []
    cursor: str | None = None
    while True:
        found = await ops.browse(package, recursive=depth is None, depth=depth, limit=_PAGE, cursor=cursor)
        items += found.page.items
        cursor = found.page.next_cursor
        if cursor is None:
            return items


async def written(ops: QuiltOps, package: PackageUri) -> datetime | None:
    """When the revision's manifest was written."""
    return (await ops.browse(replace(package, path=None), limit=1)).modified


async def packages(ops: QuiltOps, registry: str, namespace: str, *, some: bool = False) -> list[str]:
    """The names of a namespace's packages, or of all; ``some``: the first.
    Raises PackageNotFound where a namespace has none."""
    prefix = f"{namespace}/" if namespace else ""
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = await ops.list_packages(registry, prefix=prefix, limit=_PAGE, cursor=cursor)
        names += [item.name for item in page.items]
        cursor = page.next_cursor
        if cursor is None or (some and names):
            break
    if not names and any(one.startswith("no_registry") for one in page.warnings):
        raise RegistryNotFound(page.warnings[-1].partition(": ")[2])
    if namespace and not names:
        raise PackageNotFound(
            f"There is no package whose name starts with {prefix} in {registry}.",
            details={"suggestions": list(await ops.near_packages(registry, prefix))},
        )
    return names


async def fetch(ops: QuiltOps, package: PackageUri, start: int, end: int) -> bytes:
    """The bytes [start, end) of a file; of a file read whole at once, verified. Raises ChangedMeanwhile for one that somebody
    writes to between its pieces."""
    spans = [(at, min(at + PIECE, end)) for at in range(start, end, PIECE)] or [(start, end)]
    moments: set[datetime | None] = set()

    async def piece(span: tuple[int, int]) -> bytes:
        content = await ops.read(package, offset=span[0], length=span[1] - span[0])
        moments.add(content.modified)
        if len(content.data) != span[1] - span[0]:
            raise _changed(package)
        return content.data

    found = await collect(spans, _PIECES_AT_ONCE, piece)
    if len(moments) > 1:
        raise _changed(package)
    return found[0] if len(found) == 1 else b"".join(found)


async def fetch_many(
    ops: QuiltOps, wanted: Sequence[tuple[int, PackageUri, tuple[int, int]]]
) -> list[tuple[int, bytes | QuiltError]]:
    """Ranges of files, each with its number. One that cannot be had is its error."""

    async def one(number: int, package: PackageUri, span: tuple[int, int]) -> tuple[int, bytes | QuiltError]:
        try:
            return number, await fetch(ops, package, *span)
        except QuiltError as error:
            return number, error

    return await collect(wanted, _RANGES_AT_ONCE, lambda each: one(*each))


def _changed(package: PackageUri) -> ChangedMeanwhile:
    return ChangedMeanwhile(
        f"{package.path!r} of {package.name} was written to while it was read.",
        next_step="Read it again; a package whose files somebody changes in place is to be packaged anew.",
    )


def mismatch(item: Item, found: Hash) -> HashMismatch:
    """Of a file whose bytes have another hash than the recorded one."""
    recorded = item.hash.value if item.hash else "no hash"
    return HashMismatch(
        f"{item.physical_key} is not what the package recorded for {item.path!r}: {found.value}, recorded {recorded}.",
        details={
            "path": item.path,
            "physical_key": item.physical_key,
            "found": found.value,
            "expected": recorded,
        },
    )
