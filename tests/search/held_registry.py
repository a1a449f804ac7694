"""A registry that changes under its catalog: what quilt3 did to it is known, so that each answer is held to a plain scan."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import quilt3
from scan import File, Maker, Package, file_fits, package_fits, packages_at_random, text_of

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.search.request import Found, Hit, SearchRequest
from quilt_mcp.search import folder


def local_ops(registry: Path, cache: Path, *, writable: bool = False, cache_bytes: int = 1 << 30) -> LocalOps:
    options = Options(roots=(registry.parent,), writable=writable, cache=cache, cache_bytes=cache_bytes)
    return LocalOps(registry.as_uri(), options)


class HeldRegistry:
    """``packages``: what its latest revisions are, by name."""

    def __init__(self, url: str, scratch: Path) -> None:
        self.url = url
        self.packages: dict[str, Package] = {}
        self._scratch = scratch
        self._scratch.mkdir(parents=True, exist_ok=True)

    def push(self, *wanted: Package) -> None:
        """By quilt3 in this process. A package that is there gets another revision."""
        for one in wanted:
            package = quilt3.Package()
            sources = Path(tempfile.mkdtemp(dir=self._scratch))  # they stay: a build refers to them
            for number, file in enumerate(one.files):
                source = sources / str(number)
                source.write_bytes(one.readme.encode() if file.path == "README.md" else b"x" * file.size)
                package.set(file.path, str(source), meta=file.meta)
            if one.meta is not None:
                package.set_meta(dict(one.meta))
            top_hash = package.build(one.name, registry=self.url, message=one.message)
            self.packages[one.name] = replace(one, top_hash=top_hash, modified=datetime.now(UTC))

    def push_at_random(self, seed: int, count: int, *, prefix: str = "") -> list[str]:
        made = [replace(one, name=f"{prefix}{one.name}") for one in packages_at_random(seed, count)]
        self.push(*made)
        return [one.name for one in made]

    def delete(self, name: str) -> None:
        quilt3.delete_package(name, registry=self.url)
        del self.packages[name]


def held_folder(tmp_path: Path) -> HeldRegistry:
    (tmp_path / "registry").mkdir()
    return HeldRegistry((tmp_path / "registry").as_uri(), tmp_path / "sources")


def named(hits: Iterable[Hit]) -> set[str]:
    return {PackageUri.parse(one.uri).name for one in hits}


async def ask(ops: Any, text: str = "*", scope: Any = "packages", **given: Any) -> Found:
    return await ops.search.search(SearchRequest(text, scope, **given), limit=1_000)


def wrong(found: Found, packages: Iterable[Package], text: str, fitting: set[str]) -> str:
    """How an answer differs from what a scan finds; '' where it does not."""
    told = named(found.items)
    if told == fitting and found.total == len(fitting):
        return ""
    return f"{text}: {found.total} {sorted(told ^ fitting)} {found.warnings}"


async def require_right(ops: Any, packages: Iterable[Package], seed: int = 0, count: int = 6) -> None:
    """Some queries at random, over packages and over files, and the query for everything."""
    packages = list(packages)
    asked = [("all",), *(Maker(seed * 1_009 + number).query() for number in range(count))]
    for query in asked:
        fitting = {one.name for one in packages if package_fits(one, query)}
        text = text_of(query)
        assert not (said := wrong(await ask(ops, text), packages, text, fitting)), said
    for query in [
        ("all",),
        *(Maker(seed * 1_013 + number, "entries").query() for number in range(count // 2)),
    ]:
        found = await ask(ops, text_of(query), "entries", sort="path")
        files = [
            (one.name, file.path)
            for one in packages
            for file in one.files
            if file_fits(file, query, size="size")
        ]
        told = [(PackageUri.parse(one.uri).name, PackageUri.parse(one.uri).path) for one in found.items]
        assert sorted(told) == sorted(files), text_of(query)
        assert found.total == len(files)


def one_package(
    name: str, message: str = "", *, readme: str = "", meta: Any = None, files: int = 2
) -> Package:
    some = [File(f"data/file{number}.csv", number) for number in range(files)]
    if readme:
        some.append(File("README.md", len(readme.encode())))
    return Package(name, message, meta, some, readme)


def catalog_folder(cache: Path) -> Path:
    """The folder of the only catalog in a cache."""
    [found] = (cache / folder.ROOT).iterdir()
    return found


def picture(place: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below a folder, and what tells that it was written anew."""
    return {
        str(path.relative_to(place)): (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != "lock"  # whose time says when the catalog was used
    }


def scratch_of(cache: Path) -> list[str]:
    """Whatever in a cache is unfinished."""
    found = [*(cache / "scratch").rglob("*"), *cache.rglob("unfinished-*")]
    return sorted({str(path.relative_to(cache)) for path in found})


async def paged(
    ops: Any, request: SearchRequest, limit: int, meanwhile: Callable[[], object]
) -> tuple[list[Hit], int | None]:
    """All pages, with something done after each."""
    found = await ops.search.search(request, limit=limit)
    hits: list[Hit] = [*found.items]
    total = found.total
    while found.next_cursor is not None:
        meanwhile()
        found = await ops.search.search(request, limit=limit, cursor=found.next_cursor)
        assert found.total == total
        hits += found.items
    return hits, total


def uris(hits: Sequence[Hit]) -> list[str]:
    return [one.uri for one in hits]
