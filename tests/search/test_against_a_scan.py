"""Answers of the search against a plain scan of the same packages."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from library import local_ops
from scan import File, Maker, Package, file_fits, package_fits, text_of

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.search.request import Hit, SearchRequest

QUERIES = int(os.environ.get("QUILT_MCP_SEARCH_QUERIES", "500"))
"""500 in CI, more at night."""
BATCHES = 5

Library = tuple[Path, list[Package]]


async def whole(ops: object, request: SearchRequest, limit: int) -> tuple[list[Hit], int | None]:
    """All pages, one after the other, and the total, which each of them tells."""
    hits: list[Hit] = []
    cursor, total = None, None
    while True:
        found = await ops.search.search(request, limit=limit, cursor=cursor)  # type: ignore[attr-defined]
        assert total in (None, found.total)
        hits, total, cursor = [*hits, *found.items], found.total, found.next_cursor
        if cursor is None:
            return hits, total


@pytest.mark.sampled(1)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_packages_are_those_that_a_scan_finds_and_pages_add_up(
    library: Library, tmp_path_factory: pytest.TempPathFactory, batch: int
) -> None:
    registry, packages = library
    ops = local_ops(registry, tmp_path_factory.mktemp("cache"))

    async def ask() -> None:
        for number in range(QUERIES // BATCHES // 2):
            query = Maker(batch * 100_003 + number).query()
            text = text_of(query)
            wanted = {one.name for one in packages if package_fits(one, query)}
            sort = ("best", "name", "-size", "-modified", "entries")[number % 5]
            hits, total = await whole(ops, SearchRequest(text, sort=sort), 7)
            names = [PackageUri.parse(one.uri).name for one in hits]
            assert set(names) == wanted, text
            assert len(names) == len(set(names)) == total, text
            _require_order(sort, hits, text)

    anyio.run(ask)


def _require_order(sort: str, hits: list[Hit], text: str) -> None:
    values = {
        "name": lambda one: PackageUri.parse(one.uri).name,
        "-size": lambda one: -one.size,
        "-modified": lambda one: -one.modified.timestamp(),
        "entries": lambda one: one.entries,
    }
    if sort in values:
        told = [values[sort](one) for one in hits]
        assert told == sorted(told), text


@pytest.mark.sampled(1)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_files_are_those_that_a_scan_finds_and_pages_add_up(
    library: Library, tmp_path_factory: pytest.TempPathFactory, batch: int
) -> None:
    registry, packages = library
    ops = local_ops(registry, tmp_path_factory.mktemp("cache"))

    def fitting(query: tuple[object, ...]) -> set[tuple[str, str]]:
        def fits(file: File) -> bool:
            return file_fits(file, query, size="size")

        return {(one.name, file.path) for one in packages for file in one.files if fits(file)}

    async def ask() -> None:
        for number in range(QUERIES // BATCHES // 2):
            query = Maker(batch * 100_019 + number, "entries").query()
            text = text_of(query)
            sort = ("name", "path", "-path", "-size", "size", "-modified", "-name")[number % 7]
            hits, total = await whole(ops, SearchRequest(text, "entries", sort=sort), 50)
            found = [(PackageUri.parse(one.uri).name, PackageUri.parse(one.uri).path) for one in hits]
            assert set(found) == fitting(query), text
            assert len(found) == len(set(found)) == total, text
            _require_file_order(sort, hits, text)

    anyio.run(ask)


def _require_file_order(sort: str, hits: list[Hit], text: str) -> None:
    values = {
        "name": lambda one: PackageUri.parse(one.uri).name,
        "path": lambda one: PackageUri.parse(one.uri).path,
        "size": lambda one: one.size,
        "modified": lambda one: one.modified,
    }
    told = [values[sort.lstrip("-")](one) for one in hits]
    assert told == sorted(told, reverse=sort.startswith("-")), text
