"""What the parts of ``QuiltOpsContract`` share: the things a backend's test supplies, and short ways to say what a test does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parts.manifests import true_hash
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.diff import Diff
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import Item, Revision
from quilt_mcp.domain.plan import UNSET, Commit, CopyRequest, CreateRequest, InlineFile, PatchRequest
from quilt_mcp.ops import QuiltOps

NOWHERE = "0" * 64
"""A top hash that no revision has."""


@pytest.mark.anyio
class OpsContract:
    """A backend's test sets these before each test: two empty registries in reach, and local folders."""

    ops: QuiltOps
    """Opened for writing, its default registry is ``registry``."""
    reader: QuiltOps
    """The same registries, opened read-only."""
    registry: str
    other_registry: str
    folder: Path
    """A local folder that sources may be read from."""
    dest: Path
    """A local folder, which need not exist, that may be installed into."""
    outside: Path
    """A local folder outside of everything that was allowed."""

    @pytest.fixture(autouse=True)
    def end(self) -> Iterator[None]:
        """pytest keeps the object that a test ran on to the end of the session; its backends need not stay that long."""
        yield
        vars(self).clear()

    # -- around the backend --

    def raw_set(self, key: str, content: bytes) -> None:
        """Writes an object of ``registry``; for the next four likewise, without the backend."""
        raise NotImplementedError

    def raw_get(self, key: str) -> bytes | None:
        raise NotImplementedError

    def raw_delete(self, key: str) -> None:
        raise NotImplementedError

    def raw_keys(self, prefix: str = "") -> list[str]:
        raise NotImplementedError

    def raw_change(self, physical_key: str, content: bytes | None) -> None:
        """Replaces the very bytes that a physical key names, or takes them away."""
        raise NotImplementedError

    # -- short ways --

    def uri(self, name: str, top_hash: str | None = None, path: str | None = None, **more: Any) -> PackageUri:
        return PackageUri(self.registry, name, top_hash=top_hash, path=path, **more)

    async def create(self, name: str, files: Mapping[str, str | bytes] | None = None, **more: Any) -> Commit:
        """A package of inline files."""
        request = CreateRequest(self.uri(name), files=inline(files or {}), allow_empty=not files, **more)
        return await self.ops.create(request)

    async def patch(self, name: str, files: Mapping[str, str | bytes] | None = None, **more: Any) -> Commit:
        return await self.ops.patch(PatchRequest(self.uri(name), files=inline(files or {}), **more))

    async def roll_back(self, revision: PackageUri) -> Commit:
        """A revision onto its own name."""
        name = PackageUri(revision.registry, revision.name)
        return await self.ops.copy(CopyRequest(revision, name))

    async def items(self, package: PackageUri, *, recursive: bool = True) -> list[Item]:
        """All pages of a browse."""
        found: list[Item] = []
        cursor: str | None = None
        while True:
            page = (await self.ops.browse(package, recursive=recursive, limit=1000, cursor=cursor)).page
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def paths(self, package: PackageUri, *, recursive: bool = True) -> list[str]:
        return [item.path for item in await self.items(package, recursive=recursive)]

    async def contents(self, package: PackageUri) -> dict[str, bytes]:
        """Every file of a revision with its bytes, read and verified."""
        found: dict[str, bytes] = {}
        for path in await self.paths(replace(package, path=None)):
            content = await self.ops.read(replace(package, path=path))
            assert content.verified
            found[path] = content.data
        return found

    async def names(self, prefix: str = "") -> list[str]:
        page = await self.ops.list_packages(self.registry, prefix=prefix, limit=1000)
        return [package.name for package in page.items]

    async def log(self, name: str) -> list[Revision]:
        return list((await self.ops.log(self.uri(name), limit=1000)).items)

    async def latest(self, name: str) -> str | None:
        return (await self.ops.resolve(self.uri(name))).top_hash

    def write_files(self, files: Mapping[str, str | bytes], below: str = "") -> Path:
        """Local files in ``folder``."""
        for path, content in files.items():
            file = self.folder / below / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.folder / below

    def write_where_it_may_stay(self, files: Mapping[str, str | bytes], below: str) -> str:
        """Files outside the registry that its packages may refer to where they lie; the URL of their folder, with its slash."""
        return self.write_files(files, below).as_uri() + "/"

    def pointers(self, name: str) -> dict[str, str]:
        """A package's pointers as they lie in the registry: tag to content."""
        prefix = f".quilt/named_packages/{name}/"
        return {
            key.removeprefix(prefix): (self.raw_get(key) or b"").decode() for key in self.raw_keys(prefix)
        }

    def set_pointer(self, name: str, tag: str, content: str) -> None:
        self.raw_set(f".quilt/named_packages/{name}/{tag}", content.encode())

    def set_package(
        self,
        name: str,
        *records: Mapping[str, Any],
        tag: str = "1700000000",
        header: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        top_hash: str | None = None,
    ) -> str:
        """A package written by hand, which the engine would never write. ``body`` is its manifest when not made of ``records``;
        it goes by its true top hash, or by ``top_hash``."""
        lines = [
            json.dumps(one, ensure_ascii=False) + "\n" for one in (header or {"version": "v0"}, *records)
        ]
        body = "".join(lines).encode() if body is None else body
        top_hash = top_hash or true_hash(body)
        self.raw_set(f".quilt/packages/{top_hash}", body)
        self.set_pointer(name, tag, top_hash)
        self.set_pointer(name, "latest", top_hash)
        return top_hash

    def snapshot(self) -> Mapping[str, object]:
        """Every object of the registry by key, with what tells its content, to show that a call wrote nothing."""
        return {key: self.raw_get(key) for key in self.raw_keys()}


def inline(files: Mapping[str, str | bytes]) -> tuple[InlineFile, ...]:
    return tuple(
        InlineFile(key, content if isinstance(content, bytes) else content.encode())
        for key, content in files.items()
    )


def record(entry: Item | Entry, **edits: Any) -> dict[str, Any]:
    """The manifest line of an entry, for manifests written by hand."""
    path = entry.path if isinstance(entry, Item) else entry.logical_key
    assert entry.hash is not None
    return {
        "logical_key": path,
        "physical_keys": [entry.physical_key],
        "size": entry.size,
        "hash": {"type": entry.hash.type, "value": entry.hash.value},
        "meta": {},
        **edits,
    }


def kinds(diff: Diff) -> list[tuple[str, str]]:
    return [(change.kind, change.path) for change in diff.changes]


__all__ = ["NOWHERE", "UNSET", "OpsContract", "inline", "kinds", "record"]
