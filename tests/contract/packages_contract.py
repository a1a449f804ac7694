"""Finding packages: match, sort, metadata and details of a listing."""

from __future__ import annotations

from typing import Any

import pytest
from ops_base import NOWHERE, OpsContract

from quilt_mcp.domain.listing import PackageListing, Totals
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.registry.reading import packages

NAMES = ("imaging/organoid-confocal", "imaging/Organoid_2", "rna/organoid", "rna/seq-1", "rna-2/seq")


class PackagesContract(OpsContract):
    async def found(self, *, limit: int = 1000, **asked: Any) -> list[PackageListing]:
        """All pages, each of which knows how many there are where the listing is read as a whole."""
        rows = list[PackageListing]()
        totals = set[int | None]()
        cursor: str | None = None
        while True:
            page = await self.ops.list_packages(self.registry, limit=limit, cursor=cursor, **asked)
            assert len(page.items) <= limit
            rows += page.items
            totals.add(page.total)
            cursor = page.next_cursor
            if cursor is None:
                break
        is_whole = self.registry.startswith("file:") or "match" in asked or "sort" in asked
        assert totals == ({len(rows)} if is_whole else {None})
        return rows

    async def make_packages(self) -> None:
        for number, name in enumerate(NAMES):
            await self.create(
                name, {"f": name, f"g{number}": ""}, message=f"m{number}", metadata={"n": number}
            )

    @pytest.mark.parametrize("limit", [1, 1000])
    @pytest.mark.parametrize(
        ("match", "expected"),
        [
            ("organoid", ["imaging/organoid-confocal", "imaging/Organoid_2", "rna/organoid"]),
            ("CONFOCAL organoid", ["imaging/organoid-confocal"]),
            (" rna  seq ", ["rna/seq-1", "rna-2/seq"]),
            ("rna/*", ["rna/organoid", "rna/seq-1"]),
            ("*/SEQ*", ["rna/seq-1", "rna-2/seq"]),
            ("organoid?2", ["imaging/Organoid_2"]),
            ("[r]na*", ["rna/organoid", "rna/seq-1", "rna-2/seq"]),
            ("nothing", []),
            ("", [*NAMES]),
        ],
    )
    async def test_packages_are_found_by_words_and_by_a_pattern(
        self, match: str, expected: list[str], limit: int
    ) -> None:
        await self.make_packages()
        found = await self.found(match=match, limit=limit) if match else await self.found(limit=limit)
        assert sorted(one.name for one in found) == sorted(expected)
        below = await self.found(match=match or "a", prefix="imaging/", limit=limit)
        assert {one.name for one in below} <= {name for name in NAMES if name.startswith("imaging/")}

    async def test_a_match_that_fits_none_is_told_with_names_near_to_it(self) -> None:
        await self.make_packages()
        page = await self.ops.list_packages(self.registry, match="organoyd")
        (warning,) = page.warnings
        assert warning.startswith("no_match: no package name fits 'organoyd'")
        assert (page.items, page.total) == ((), 0)
        page = await self.ops.list_packages(self.registry, prefix="rna/", match="imaging")
        assert "starts with 'rna/' and fits 'imaging'" in page.warnings[0]

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    async def test_the_newest_come_first_when_asked_for(self, limit: int) -> None:
        await self.make_packages()
        self.set_package("rna/seq-1")
        modified = {one.name: one.modified for one in await self.found()}
        found = await self.found(sort="-modified", limit=limit)
        assert {one.name: one.modified for one in found} == modified
        times = [one.modified for one in found if one.modified]
        assert times == sorted(times, reverse=True)
        assert len(times) == len(NAMES)
        assert [one.name for one in await self.found(sort="-modified", match="seq-1 ")] == ["rna/seq-1"]

    async def test_metadata_is_told_whole_or_by_pointer(self) -> None:
        metadata = {"site": {"id": 7, "a/b": [1, {"c": None}]}, "flag": True}
        await self.create("a/b", {"f": "1"}, metadata=metadata)
        await self.create("a/none", {"f": "1"})
        assert [one.metadata for one in await self.found(metadata=True)] == [metadata, None]
        pointers = (
            "/site/id",
            "flag",
            "/site/a~1b/1/c",
            "/site/a~1b/9",
            "/nope",
            "/flag/x",
            "/site/a~1b/" + "9" * 5000,
        )
        first, second = await self.found(metadata=pointers)
        assert first.metadata == {"/site/id": 7, "flag": True, "/site/a~1b/1/c": None}
        assert second.metadata == {}
        assert first.message is None and first.totals is None
        assert first.top_hash == await self.latest("a/b")
        assert (await self.found(metadata=("",)))[0].metadata == {"": metadata}

    @pytest.mark.parametrize("limit", [1, 1000])
    async def test_details_are_those_of_the_latest_revision(self, limit: int) -> None:
        await self.make_packages()
        await self.patch("rna/organoid", {"more": "1234"}, message="more of it")
        found = {one.name: one for one in await self.found(detail=True, limit=limit)}
        assert set(found) == set(NAMES)
        for name, one in found.items():
            browsed = await self.ops.browse(self.uri(name))
            assert (one.top_hash, one.message, one.totals) == (
                browsed.top_hash,
                browsed.message,
                browsed.totals,
            )
            assert (one.metadata, one.verified) == (None, True)
        assert found["rna/organoid"].message == "more of it"
        (both,) = await self.found(detail=True, metadata=True, prefix="rna-2")
        assert (both.metadata, both.message, both.totals) == ({"n": 4}, "m4", Totals(2, len("rna-2/seq")))

    async def test_a_package_that_cannot_be_read_stays_in_the_listing_with_a_warning(self) -> None:
        await self.create("a/good", {"f": "1"}, message="good")
        self.set_pointer("a/gone", "latest", NOWHERE)
        self.set_pointer("a/odd", "latest", "no hash")
        self.set_pointer("a/unfinished", "1700000000", NOWHERE)
        page = await self.ops.list_packages(self.registry, detail=True, metadata=True)
        assert {one.name: one.message for one in page.items} == {
            "a/good": "good", "a/gone": None, "a/odd": None, "a/unfinished": None,
        }  # fmt: skip
        assert sorted(warning.partition(":")[0] for warning in page.warnings) == [
            "malformed_pointer", "missing_latest", "unreadable_manifest",
        ]  # fmt: skip

    async def test_of_large_manifests_the_files_are_not_counted_for_a_listing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.make_packages()
        monkeypatch.setattr(packages, "BYTES", 1)
        page = await self.reader.list_packages(self.registry, detail=True)
        assert [(one.message is None, one.totals) for one in page.items] == [(False, None)] * len(NAMES)
        (warning,) = page.warnings
        assert warning.startswith("not_counted: the manifests of 5 packages")

    @pytest.mark.parametrize("asked", [{"sort": "modified"}, {"sort": ""}, {"match": "*" * 1001}])
    async def test_a_listing_that_cannot_be_made_is_refused(self, asked: dict[str, Any]) -> None:
        await self.make_packages()
        with pytest.raises(InvalidArgument):
            await self.ops.list_packages(self.registry, **asked)

    async def test_a_cursor_of_a_listing_belongs_to_its_question(self) -> None:
        await self.make_packages()
        cursor = (await self.ops.list_packages(self.registry, match="o", limit=1)).next_cursor
        assert cursor is not None
        for asked in ({"match": "a"}, {"match": "o", "sort": "-modified"}):
            with pytest.raises(InvalidArgument, match="cursor"):
                await self.ops.list_packages(self.registry, cursor=cursor, **asked)
