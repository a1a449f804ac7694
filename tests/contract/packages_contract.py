"""Finding packages: match, sort, metadata and details of a listing."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from ops_base import NOWHERE, OpsContract

from quilt_mcp.domain.listing import PackageListing, Totals
from quilt_mcp.domain.search.where import parse_where
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.registry.reading import packages

NAMES = ("imaging/organoid-confocal", "imaging/Organoid_2", "rna/organoid", "rna/seq-1", "rna-2/seq")


RUNS: dict[str, Any] = {
    "rna/run-1": {"instrument": "MiSeq", "year": 2023, "run": {"day": "2023-05-01"}},
    "rna/run-2": {
        "instrument": "MiSeq",
        "year": 2024,
        "tags": ["raw", "paired"],
        "run": {"day": "2024-01-31"},
    },
    "rna/run-3": {"instrument": "NextSeq", "year": 2025, "name": "third"},
    "rna/run-4": None,
    "rna/run-5": {"instrument": "MiSeq", "year": "2025", "run": {"day": "2025-02-01"}},
    "wgs/run-6": {"instrument": "MiSeq", "year": 2026, "tags": []},
}

SCALARS = (None, True, False, *range(-3, 4), 0.5, "", "a", "b", "B", "1", "ab")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


PREDICATES: dict[str, Callable[[Any], bool]] = {
    "a = 1": lambda a: any(_is_number(one) and one == 1 for one in _elements(a)),
    "a > 0": lambda a: _is_number(a) and a > 0,
    "a < 1 and a >= -2": lambda a: _is_number(a) and -2 <= a < 1,
    "a <= 'a'": lambda a: isinstance(a, str) and a <= "a",
    "a in (b, 2, true)": lambda a: any(
        one is True or one == "b" or (_is_number(one) and one == 2) for one in _elements(a)
    ),
    "a contains b": lambda a: any(isinstance(one, str) and "b" in one.lower() for one in _elements(a)),
    "a is null": lambda a: a is None,
    "a is not null and a like '%'": lambda a: any(one is not None for one in _elements(a)),
}
"""Conditions, and what they mean for the value of their field."""


class PackagesContract(OpsContract):
    def make_runs(self) -> None:
        """Written by hand, since the engine would take longer; the first of each is its newest revision."""
        for number, (name, metadata) in enumerate(RUNS.items()):
            about = {} if metadata is None else {"user_meta": metadata}
            self.set_package(name, header={"version": "v0", "message": f"m{number}", **about})

    async def meeting(self, where: str, *, limit: int = 1000, **asked: Any) -> list[str]:
        """Names on all pages."""
        rows = list[str]()
        cursor: str | None = None
        while True:
            page = await self.ops.list_packages(
                self.registry, where=parse_where(where), limit=limit, cursor=cursor, **asked
            )
            rows += [one.name for one in page.items]
            assert len(page.items) <= limit
            assert page.total == (len(rows) if not cursor and page.next_cursor is None else None)
            cursor = page.next_cursor
            if cursor is None:
                return rows

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    @pytest.mark.parametrize(
        ("where", "numbers"),
        [
            ("instrument = 'MiSeq' and year >= 2024", "26"),
            ("year != 2024", "136"),
            ("year = '2025'", "5"),
            ("/run/day >= 2024-01-01", "25"),
            ("run/day < 2024-01-01", "1"),
            ("tags = paired", "2"),
            ("tags contains AI", "2"),
            ("tags is null", "1345"),
            ("instrument is not null and name like 'wgs/%'", "6"),
            ("name contains RUN-4", "4"),
            ("/name = 'third'", "3"),
            ("message in (m1, m4)", "25"),
            ("message = m1 and year = 2024", "2"),
            ("modified > 2000-01-01", "123456"),
            ("modified > '2000-01-01 23:59:59'", "123456"),
            ("modified < 2000-01-01 and year = 2024", ""),
        ],
    )
    async def test_packages_are_found_by_their_metadata(self, where: str, numbers: str, limit: int) -> None:
        self.make_runs()
        expected = [name for name in RUNS if name[-1] in numbers]
        assert await self.meeting(where, limit=limit) == expected
        assert await self.meeting(where, limit=limit, match="run") == expected
        assert await self.meeting(where, limit=limit, prefix="rna/") == [
            one for one in expected if one[:4] == "rna/"
        ]
        newest = await self.meeting(where, limit=limit, sort="-modified")
        assert sorted(newest) == expected

    async def test_rows_show_what_where_compares_beside_what_is_asked_for(self) -> None:
        self.make_runs()

        async def rows(where: str, **asked: Any) -> list[PackageListing]:
            page = await self.ops.list_packages(self.registry, where=parse_where(where), **asked)
            return [*page.items]

        [one] = await rows("/run/day = 2024-01-31 and year = 2024")
        assert one.metadata == {"/run/day": "2024-01-31", "year": 2024}
        assert (one.message, one.totals) == (None, None)
        [one] = await rows("year = 2024", metadata=("instrument", "year"), detail=True)
        assert one.metadata == {"instrument": "MiSeq", "year": 2024}
        assert (one.message, one.totals) == ("m1", Totals(0, 0))
        assert [one.metadata for one in await rows("year = 2024", metadata=True)] == [RUNS["rna/run-2"]]
        assert [(one.message, one.metadata) for one in await rows("message = m1")] == [("m1", None)]
        assert [(one.message, one.metadata) for one in await rows("name like '%2'")] == [(None, None)]

    async def test_what_no_package_could_meet_is_told(self) -> None:
        self.make_runs()

        async def warnings(where: str, **asked: Any) -> list[str]:
            return [
                *(await self.ops.list_packages(self.registry, where=parse_where(where), **asked)).warnings
            ]

        none, other = await warnings("instrument = 5")
        assert none == "no_match: none of 6 packages looked at meets where."
        assert other.startswith("other_type: 'instrument' is text in 5 of 5 packages")
        assert [one.partition(":")[0] for one in await warnings("year > 2024")] == ["other_type"]
        none, unknown = await warnings("instrment = MiSeq")
        assert unknown.startswith(
            "no_field: none of 6 packages looked at has 'instrment'. Close to it: instrument."
        )
        assert none.startswith("no_match:")
        assert await warnings("tags = raw") == await warnings("tags is null") == []
        [names] = await warnings("year = 2024", match="nowhere")
        assert names.startswith("no_match: no package name fits 'nowhere'")

    @pytest.mark.parametrize("asked", [{}, {"match": "run"}, {"sort": "-modified"}])
    @pytest.mark.parametrize(("bound", "most"), [("LOOKED_AT", 2), ("BYTES", 1)])
    async def test_a_long_look_pauses_and_goes_on_by_its_cursor(
        self, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, asked: dict[str, Any]
    ) -> None:
        self.make_runs()
        monkeypatch.setattr(packages, bound, most)
        monkeypatch.setattr(packages, "_CHUNK", 2)
        where = parse_where("year >= 2025")
        pages = [await self.ops.list_packages(self.registry, where=where, **asked)]
        while pages[-1].next_cursor is not None:
            pages.append(
                await self.ops.list_packages(
                    self.registry, where=where, cursor=pages[-1].next_cursor, **asked
                )
            )
        paused = [any(one.startswith("listing_paused: ") for one in page.warnings) for page in pages]
        assert paused == [True, True, False]
        assert not any(one.startswith("no_match") for page in pages for one in page.warnings)
        assert {page.total for page in pages} == {None}
        found = [one.name for page in pages for one in page.items]
        assert sorted(found) == ["rna/run-3", "wgs/run-6"]

    @pytest.mark.parametrize("limit", [1, 1000])
    async def test_a_package_that_cannot_be_looked_at_is_warned_of_once_and_not_found(
        self, limit: int
    ) -> None:
        self.make_runs()
        self.set_pointer("a/odd", "latest", "no hash")
        self.set_pointer("x/gone", "latest", NOWHERE)
        self.set_pointer("x/unfinished", "1700000000", NOWHERE)
        names, warnings, cursor = list[str](), list[str](), None
        while cursor is not None or not names:
            page = await self.ops.list_packages(
                self.registry, where=parse_where("nothing is null"), limit=limit, cursor=cursor
            )
            names += [one.name for one in page.items]
            warnings += page.warnings
            cursor = page.next_cursor
        assert names == [*RUNS]
        assert sorted(warning.partition(":")[0] for warning in warnings) == [
            "malformed_pointer", "missing_latest", "no_field", "unreadable_manifest",
        ]  # fmt: skip
        page = await self.ops.list_packages(self.registry, where=parse_where("name = 'a/odd'"))
        assert [one.name for one in page.items] == ["a/odd"]

    @pytest.mark.parametrize("seed", range(3))
    async def test_any_metadata_is_narrowed_as_plain_python_does(self, seed: int) -> None:
        rng = random.Random(seed)
        known = [
            {
                key: rng.choice((*SCALARS, rng.sample(SCALARS, rng.randrange(3))))
                for key in "ab"
                if rng.random() < 0.8
            }
            for _ in range(25)
        ]
        for number, metadata in enumerate(known):
            self.set_package(f"p/n{number:03}", header={"version": "v0", "user_meta": metadata})
        for where, is_met in PREDICATES.items():
            expected = [f"p/n{number:03}" for number, one in enumerate(known) if is_met(one.get("a"))]
            for limit in (3, 1000):
                assert await self.meeting(where, limit=limit) == expected, where

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
        assert warning.endswith("match looks at names alone: where compares metadata, and metadata shows it.")
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
        by_year = parse_where("year = 1")
        for asked in ({"match": "a"}, {"match": "o", "sort": "-modified"}, {"match": "o", "where": by_year}):
            with pytest.raises(InvalidArgument, match="cursor"):
                await self.ops.list_packages(self.registry, cursor=cursor, **asked)
