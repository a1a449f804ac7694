"""A push that does all there is to it, over S3, for tests that fail it, cut it short and kill it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3_registry import NAME, S3Registry

from parts.s3_access import S3Access
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Commit, CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.ops import QuiltOps

LARGE = b"large" * 2_000_000
"""More than one part."""
FIRST = {"one": b"1", "two": b"2"}
SECOND = {"two": b"2", "inline": b"3", "folder/large": LARGE}


@contextmanager
def fresh(moto: S3Access) -> Iterator[S3Registry]:
    bucket = moto.make_bucket()
    with moto.boto() as raw:
        yield S3Registry(raw, bucket)


def package(ops: QuiltOps) -> PackageUri:
    return PackageUri(ops.default_registry, NAME)


async def make(ops: QuiltOps) -> Commit:
    files = tuple(InlineFile(key, content) for key, content in FIRST.items())
    return await ops.create(CreateRequest(package(ops), files=files))


async def change(ops: QuiltOps, root: Path, expected: str | None = None) -> Commit:
    """A push that does all there is to it: a file in parts (or what lies at ``root/large`` already), one of a request, one that
    goes, and a new message."""
    if not (root / "large").exists():
        (root / "large").write_bytes(LARGE)
    return await ops.patch(
        PatchRequest(
            package(ops),
            expected,
            add=(Source(str(root / "large"), "folder/large"),),
            files=(InlineFile("inline", b"3"),),
            remove=("one",),
            message="changed",
        )
    )


async def make_again(ops: QuiltOps, root: Path, registry: S3Registry, before: str) -> str:
    if registry.latest() == before:
        await change(ops, root)
    registry.check()
    assert registry.log()[0] == before
    assert len(registry.log()) == 2, "the push that failed and the one that did not are one line of the log"
    return str(registry.latest())
