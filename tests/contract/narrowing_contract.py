"""Finding and narrowing inside a package: match, sort and depth of a browse, with its totals."""

from __future__ import annotations

from typing import Any

import pytest
from ops_base import OpsContract

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.listing import Item, Totals
from quilt_mcp.errors import EntryNotFound, InvalidArgument

FILES = {
    "README.md": "# a study",
    "a.csv": "1",
    "data/b.csv": "22",
    "data/b.txt": "333",
    "data/raw/c.csv": "4444",
    "data/raw/deep/d.csv": "55555",
    "data-2/.hidden.csv": "666666",
    "images/cells.csv/1.tif": "7777777",
    "images/x.tif": "",
}
SIZES = {path: len(content) for path, content in FILES.items()}


class NarrowingContract(OpsContract):
    async def narrowed(self, package: PackageUri, *, limit: int = 1000, **asked: Any) -> list[Item]:
        """All pages of a browse. Each page tells the same totals, and the rows of all are what these count."""
        found: list[Item] = []
        shown = set[Totals]()
        cursor: str | None = None
        while True:
            page = await self.ops.browse(package, limit=limit, cursor=cursor, **asked)
            assert len(page.page.items) <= limit
            found += page.page.items
            shown.add(page.shown)
            cursor = page.page.next_cursor
            if cursor is None:
                break
        sums = Totals(sum(item.entries or 1 for item in found), sum(item.size for item in found))
        assert shown == {sums}
        assert page.page.total == len(found)
        assert page.totals == Totals(len(FILES), sum(SIZES.values()))
        return found

    # -- match --

    @pytest.mark.parametrize(
        ("match", "path", "expected"),
        [
            ("*.csv", None, ["a.csv", "data/b.csv", "data/raw/c.csv", "data/raw/deep/d.csv",
                             "data-2/.hidden.csv", "images/cells.csv/1.tif"]),
            ("*.csv", "data", ["data/b.csv", "data/raw/c.csv", "data/raw/deep/d.csv"]),
            ("data/*.csv", None, ["data/b.csv"]),
            ("data/**/*.csv", None, ["data/b.csv", "data/raw/c.csv", "data/raw/deep/d.csv"]),
            ("data/**/*.csv", "data/raw", ["data/raw/c.csv", "data/raw/deep/d.csv"]),
            ("raw", None, ["data/raw/c.csv", "data/raw/deep/d.csv"]),
            ("deep/", None, ["data/raw/deep/d.csv"]),
            ("/a.csv", None, ["a.csv"]),
            ("./*.md", None, ["README.md"]),
            ("b.???", "data/", ["data/b.csv", "data/b.txt"]),
            ("[xc]*.tif", None, ["images/x.tif"]),
            ("b.csv", "data/b.csv", ["data/b.csv"]),
            ("*.txt", "data/b.csv", []),
            ("nothing", None, []),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("limit", [1, 1000])
    async def test_a_pattern_leaves_the_files_it_takes_however_deep(
        self, match: str, path: str | None, expected: list[str], limit: int
    ) -> None:
        await self.create("a/b", FILES)
        found = await self.narrowed(self.uri("a/b", path=path), match=match, limit=limit)
        assert [(item.path, item.type, item.size) for item in found] == [
            (path, "file", SIZES[path]) for path in expected
        ]
        assert [await self.ops.stat(PackageUri.parse(item.uri)) for item in found] == found

    @pytest.mark.parametrize(
        ("match", "path", "said"),
        [
            ("*.cvs", None, "no file fits '*.cvs'. Close to it: *.csv."),
            ("**/*.TXT", "data", "no file below 'data/' fits '**/*.TXT'. Close to it: *.txt."),
            ("*.parquet", "images", "There are: *."),
            ("REDME*", None, "Close to it: README.md."),
            ("zzzzzzzzzz", None, "no file fits 'zzzzzzzzzz'."),
        ],
    )
    async def test_a_pattern_that_takes_nothing_is_warned_of_with_what_is_near(
        self, match: str, path: str | None, said: str
    ) -> None:
        await self.create("a/b", FILES)
        found = (await self.ops.browse(self.uri("a/b", path=path), match=match)).page
        [warning] = found.warnings
        assert warning.startswith("no_match: ") and said in warning
        assert not (await self.ops.browse(self.uri("a/b", path=path), match="*")).page.warnings

    async def test_a_pattern_with_a_depth_takes_no_file_that_lies_deeper(self) -> None:
        await self.create("a/b", FILES)
        for depth, count in ((1, 1), (2, 3), (3, 5), (4, 6), (1000, 6)):
            found = await self.narrowed(self.uri("a/b"), match="*.csv", depth=depth)
            assert len(found) == count, depth

    @pytest.mark.parametrize("match", ["/", "./", "a\0b", "*" * 1001], ids=range(4))
    async def test_what_is_no_pattern_is_refused(self, match: str) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(InvalidArgument, match="no pattern"):
            await self.ops.browse(self.uri("a/b"), match=match)

    @pytest.mark.parametrize(
        "match", ["*a" * 500, "**/" * 300 + "x", "?" * 1000, "[" * 1000, "[a-" * 300], ids=range(5)
    )
    async def test_a_hostile_pattern_is_over_soon(self, match: str) -> None:
        await self.create("a/b", {"/".join(["a" * 200] * 4): "1", "b" * 200: "2"})
        assert (await self.ops.browse(self.uri("a/b"), match=match)).shown == Totals(0, 0)

    # -- sort --

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    @pytest.mark.parametrize("asked", [{"recursive": True}, {"match": "*"}, {}, {"depth": 2}])
    async def test_rows_are_sorted_by_size_and_then_in_walk_order(
        self, asked: dict[str, Any], limit: int
    ) -> None:
        await self.create("a/b", {**FILES, "zz": "22"})
        for path in (None, "data", "images/"):
            package = self.uri("a/b", path=path)
            plain = (await self.ops.browse(package, **asked)).page.items
            for sort, sign in (("size", 1), ("-size", -1)):
                more: dict[str, Any] = {**asked, "sort": sort, "limit": limit}
                found: list[Item] = []
                page = (await self.ops.browse(package, **more)).page
                while page.next_cursor is not None:
                    found += page.items
                    page = (await self.ops.browse(package, cursor=page.next_cursor, **more)).page
                found += page.items
                assert found == sorted(plain, key=lambda item: sign * item.size)
                assert page.total == len(plain)

    async def test_pages_of_a_sorted_browse_stay_on_their_revision(self) -> None:
        await self.create("a/b", FILES)
        first = await self.ops.browse(self.uri("a/b"), recursive=True, sort="-size", limit=5)
        await self.patch("a/b", {"huge": "9" * 100})
        rest = await self.ops.browse(
            self.uri("a/b"), recursive=True, sort="-size", cursor=first.page.next_cursor
        )
        paths = [item.path for item in (*first.page.items, *rest.page.items)]
        assert paths == sorted(FILES, key=SIZES.__getitem__, reverse=True)

    @pytest.mark.parametrize("sort", ["-modified", "modified", "name", "", "-path"])
    async def test_a_sort_that_a_manifest_knows_nothing_of_is_refused_with_those_it_knows(
        self, sort: str
    ) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(InvalidArgument) as caught:
            await self.ops.browse(self.uri("a/b"), sort=sort)
        assert caught.value.details["sorts"] == ["path", "size", "-size"]
        assert "path, size, -size" in caught.value.next_step

    # -- depth --

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    async def test_folders_at_the_last_level_are_rows_with_sums_and_those_above_are_none(
        self, limit: int
    ) -> None:
        await self.create("a/b", FILES)
        for depth, expected in {
            1: ["README.md", "a.csv", "data/", "data-2/", "images/"],
            2: ["README.md", "a.csv", "data/b.csv", "data/b.txt", "data/raw/", "data-2/.hidden.csv",
                "images/cells.csv/", "images/x.tif"],
            3: ["README.md", "a.csv", "data/b.csv", "data/b.txt", "data/raw/c.csv", "data/raw/deep/",
                "data-2/.hidden.csv", "images/cells.csv/1.tif", "images/x.tif"],
            4: [*FILES],
        }.items():  # fmt: skip
            found = await self.narrowed(self.uri("a/b"), depth=depth, limit=limit)
            assert [item.path for item in found] == expected
        assert [item.path for item in await self.narrowed(self.uri("a/b", path="data"), depth=2)] == [
            "data/b.csv", "data/b.txt", "data/raw/c.csv", "data/raw/deep/",
        ]  # fmt: skip
        assert await self.narrowed(self.uri("a/b"), depth=9) == await self.items(self.uri("a/b"))

    @pytest.mark.parametrize("depth", [0, -1, 1001])
    async def test_a_depth_that_is_no_number_of_levels_is_refused(self, depth: int) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(InvalidArgument, match="depth"):
            await self.ops.browse(self.uri("a/b"), depth=depth)

    async def test_a_cursor_of_a_narrowed_browse_belongs_to_its_question(self) -> None:
        await self.create("a/b", FILES)
        package = self.uri("a/b")
        asked: dict[str, Any] = {"match": "*.csv", "sort": "size", "depth": 3}
        cursor = (await self.ops.browse(package, limit=1, **asked)).page.next_cursor
        others: list[dict[str, Any]] = [
            {"match": "*.txt"},
            {"sort": "-size"},
            {"depth": 4},
            {"recursive": True},
        ]
        for other in others:
            with pytest.raises(InvalidArgument, match="cursor"):
                await self.ops.browse(package, cursor=cursor, **{**asked, **other})
        with pytest.raises(EntryNotFound):
            await self.ops.browse(self.uri("a/b", path="nope"), **asked)
