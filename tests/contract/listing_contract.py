"""Finding packages and revisions: list_buckets, list_packages, resolve, log."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ops_base import NOWHERE, OpsContract, inline

from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.plan import CreateRequest
from quilt_mcp.errors import (
    AmbiguousHash,
    CorruptManifest,
    InvalidArgument,
    InvalidName,
    PackageNotFound,
    RevisionNotFound,
)

NAMES = ("a/b", "a/b-2", "a/bc", "a/b_3", "a-b/c", "ab/c", "a_b/c", "é/ü", "z/z")
"""Names whose folders sort otherwise than the names do."""


class ListingContract(OpsContract):
    # -- registries --

    async def test_the_default_registry_is_listed_and_marked(self) -> None:
        page = await self.ops.list_buckets()
        assert [found.url for found in page.items if found.is_default] == [self.ops.default_registry]
        assert self.ops.default_registry == self.registry

    # -- list_packages --

    async def test_an_empty_registry_has_no_packages(self) -> None:
        page = await self.ops.list_packages(self.registry)
        assert (page.items, page.next_cursor) == ((), None)

    async def test_a_place_that_is_no_registry_is_told_from_an_empty_one(self) -> None:
        for asked in ({}, {"prefix": "team/"}, {"match": "confocal"}):
            page = await self.ops.list_packages(self.registry, **asked)
            [warning] = page.warnings
            assert page.items == () and warning.startswith(f"no_registry: {self.registry} ")
        commit = await self.create("a/b", {"f": "1"})
        await self.ops.delete(self.uri("a/b", commit.top_hash))
        assert (await self.ops.list_packages(self.registry)).warnings == ()

    async def test_packages_are_listed_with_their_latest_revision(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        assert first.top_hash != second.top_hash
        (found,) = (await self.ops.list_packages(self.registry)).items
        assert (found.name, found.top_hash) == ("a/b", second.top_hash)
        assert found.modified is not None
        assert found.modified.utcoffset() is not None

    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    async def test_pages_of_packages_join_to_each_package_once(self, limit: int) -> None:
        for name in NAMES:
            await self.create(name, {"f": name})
        found: list[str] = []
        cursor = None
        while True:
            page = await self.ops.list_packages(self.registry, limit=limit, cursor=cursor)
            assert len(page.items) <= limit
            found += [package.name for package in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(found) == sorted(NAMES)
        assert found == await self.names()

    async def test_a_package_made_between_pages_moves_no_other_out_of_the_listing(self) -> None:
        for name in ("a/1", "a/3", "a/5"):
            await self.create(name, {"f": name})
        first = await self.ops.list_packages(self.registry, limit=2)
        await self.create("a/0", {"f": "0"})
        await self.ops.delete(self.uri("a/3"), whole=True)
        rest = await self.ops.list_packages(self.registry, limit=2, cursor=first.next_cursor)
        assert [package.name for package in first.items] == ["a/1", "a/3"]
        assert [package.name for package in rest.items] == ["a/5"]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("a", ["a-b/c", "a/b", "a/b-2", "a/b_3", "a/bc", "a_b/c", "ab/c"]),
            ("a/", ["a/b", "a/b-2", "a/b_3", "a/bc"]),
            ("a/b", ["a/b", "a/b-2", "a/b_3", "a/bc"]),
            ("a/b-", ["a/b-2"]),
            ("a/bc", ["a/bc"]),
            ("ab/", ["ab/c"]),
            ("é", ["é/ü"]),
            ("nothing", []),
            ("a/nothing", []),
        ],
    )
    async def test_a_prefix_limits_the_listing_to_names_that_start_with_it(
        self, prefix: str, expected: list[str]
    ) -> None:
        for name in NAMES:
            await self.create(name, {"f": name})
        assert sorted(await self.names(prefix)) == sorted(expected)

    @pytest.mark.parametrize(
        ("prefix", "near"),
        [
            ("ME/", "me/first"),
            ("first", "me/first"),
            ("FIRS", "me/first"),
            ("mee/first", "me/first"),
            ("zzz", ""),
        ],
    )
    async def test_case_E11_names_near_a_prefix_that_fits_none_are_told(self, prefix: str, near: str) -> None:
        for name in ("me/first", "team/other"):
            await self.create(name, {"f": name})
        page = await self.ops.list_packages(self.registry, prefix=prefix)
        (warning,) = page.warnings
        assert warning.startswith("no_match: ") and ("Close to it" in warning) == bool(near)
        assert near in warning
        for fits in ("", "me", "me/f"):
            assert not (await self.ops.list_packages(self.registry, prefix=fits)).warnings
        if "/" in prefix:
            with pytest.raises(PackageNotFound, match="ME/first") as caught:
                await self.ops.browse(self.uri("ME/first"))
            assert "me/first" in caught.value.next_step

    async def test_a_prefix_is_paged_like_everything_else(self) -> None:
        for name in NAMES:
            await self.create(name, {"f": name})
        found: list[str] = []
        cursor = None
        for _ in range(len(NAMES)):
            page = await self.ops.list_packages(self.registry, prefix="a/b", limit=1, cursor=cursor)
            found += [package.name for package in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(found) == ["a/b", "a/b-2", "a/b_3", "a/bc"]

    async def test_what_stands_among_packages_and_is_none_is_warned_of_and_passed_over(self) -> None:
        await self.create("a/good", {"f": "1"})
        self.raw_set(".quilt/named_packages/stray", b"x")
        self.raw_set(".quilt/named_packages/a/stray", b"x")
        self.raw_set(".quilt/named_packages/a/not a name/1700000000", NOWHERE.encode())
        self.raw_set(".quilt/named_packages/a/no-latest/1700000000", NOWHERE.encode())
        self.raw_set(".quilt/named_packages/a/broken/latest", b"not a hash")
        page = await self.ops.list_packages(self.registry)
        found = {package.name: package.top_hash for package in page.items}
        assert set(found) == {"a/good", "a/no-latest", "a/broken"}
        assert found["a/good"] is not None
        assert (found["a/no-latest"], found["a/broken"]) == (None, None)
        codes = sorted(warning.partition(":")[0] for warning in page.warnings)
        assert codes == [
            "malformed_name", "malformed_pointer", "malformed_pointer", "malformed_pointer", "missing_latest",
        ]  # fmt: skip

    @pytest.mark.parametrize("key", ["ont/latest", "a/b c/latest", "stray", "a/x y"])
    async def test_what_is_no_pointer_is_named_with_how_to_remove_it(self, key: str) -> None:
        """case_W10: no tool writes there."""
        await self.create("a/good", {"f": "1"})
        self.raw_set(f".quilt/named_packages/{key}", NOWHERE.encode())
        page = await self.ops.list_packages(self.registry)
        assert [package.name for package in page.items] == ["a/good"]
        [warning] = page.warnings
        place = PhysicalKey.parse(self.registry)
        root = place.path if place.bucket is None else f"s3://{place.bucket}"
        command = warning.partition("To remove it: ")[2]
        *_, named = shlex.split(command)
        assert f"{root}/.quilt/named_packages/{key}".startswith(named.rstrip("/")), warning
        assert named.rstrip("/").removeprefix(f"{root}/.quilt/named_packages") not in ("", "/a"), warning
        assert shlex.split(command)[0] == ("rm" if place.bucket is None else "aws")

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    async def test_a_limit_out_of_range_is_refused(self, limit: int) -> None:
        with pytest.raises(InvalidArgument):
            await self.ops.list_packages(self.registry, limit=limit)

    async def test_a_cursor_belongs_to_its_call(self) -> None:
        """Its other arguments given otherwise, a page would leave files out or be of another package."""
        for name in ("a/b", "a/c"):
            first = await self.create(name, {"d/x": "1", "d/y": "2", "e/x": "3", "f": "4"})
            await self.patch(name, remove=("d/x", "d/y", "e/x"))
        own, other, before = self.uri("a/b", first.top_hash), self.uri("a/c", first.top_hash), first.top_hash
        folder, elsewhere = self.uri("a/b", before, path="d"), self.uri("a/b", before, path="e")
        ops, latest = self.ops, self.uri("a/b")
        for given, refused in (
            ((ops.browse, (own,), {}), [((own,), {"recursive": True}), ((other,), {}), ((folder,), {})]),
            (
                (ops.browse, (folder,), {}),
                [((elsewhere,), {}), ((own,), {}), ((folder,), {"recursive": True})],
            ),
            ((ops.browse, (own,), {"recursive": True}), [((own,), {}), ((folder,), {"recursive": True})]),
            ((ops.log, (latest,), {}), [((self.uri("a/c"),), {})]),
            ((ops.diff, (own, latest), {}), [((other, latest), {}), ((own, self.uri("a/b", path="d")), {})]),
            ((ops.list_packages, (self.registry,), {}), [((self.registry,), {"prefix": "a/"})]),
        ):
            call: Any = given[0]
            page: Any = await call(*given[1], limit=1, **given[2])
            cursor = getattr(page, "page", page).next_cursor
            assert cursor is not None
            await call(*given[1], limit=1, cursor=cursor, **given[2])
            for arguments, more in refused:
                with pytest.raises(InvalidArgument):
                    await call(*arguments, limit=1, cursor=cursor, **more)

    @pytest.mark.parametrize("cursor", ["x", "", "AAAA", "é", "W10", "WyJsb2ciLCIxIl0"])
    async def test_a_made_up_cursor_is_refused(self, cursor: str) -> None:
        await self.create("a/b", {"f": "1"})
        if cursor:
            with pytest.raises(InvalidArgument):
                await self.ops.list_packages(self.registry, cursor=cursor)
            with pytest.raises(InvalidArgument):
                await self.ops.browse(self.uri("a/b"), cursor=cursor)

    # -- resolve --

    async def test_latest_a_tag_a_short_and_a_full_hash_name_the_same_revision(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        (tag,) = (tag for tag in self.pointers("a/b") if tag != "latest")
        for uri in (
            self.uri("a/b"),
            self.uri("a/b", tag="latest"),
            self.uri("a/b", tag=tag),
            self.uri("a/b", commit.top_hash[:6]),
            self.uri("a/b", commit.top_hash[:63]),
            self.uri("a/b", commit.top_hash),
        ):
            assert (await self.ops.resolve(uri)).top_hash == commit.top_hash

    async def test_resolve_keeps_the_path(self) -> None:
        commit = await self.create("a/b", {"d/f": "1"})
        found = await self.ops.resolve(self.uri("a/b", path="d/f"))
        assert found == PackageUri(self.registry, "a/b", top_hash=commit.top_hash, path="d/f")

    async def test_an_old_revision_stays_in_reach(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        await self.patch("a/b", {"f": "2"})
        assert await self.contents(self.uri("a/b", first.top_hash)) == {"f": b"1"}

    async def test_an_unknown_package_is_not_found_and_near_names_are_suggested(self) -> None:
        await self.create("team/flowers", {"f": "1"})
        with pytest.raises(PackageNotFound) as caught:
            await self.ops.resolve(self.uri("team/flower"))
        assert caught.value.details["suggestions"] == ["team/flowers"]
        assert "team/flowers" in caught.value.next_step

    async def test_a_near_namespace_is_suggested_too(self) -> None:
        await self.create("team/flowers", {"f": "1"})
        with pytest.raises(PackageNotFound) as caught:
            await self.ops.browse(self.uri("taem/flowers"))
        assert caught.value.details["suggestions"] == ["team/flowers"]

    @pytest.mark.parametrize("top_hash", [NOWHERE, NOWHERE[:10]])
    async def test_an_unknown_hash_is_not_found(self, top_hash: str) -> None:
        await self.create("a/b", {"f": "1"})
        for call in (self.ops.resolve, self.ops.browse, self.ops.stat, self.roll_back, self.ops.delete):
            with pytest.raises(RevisionNotFound):
                await call(self.uri("a/b", top_hash))

    async def test_an_unknown_tag_is_not_found_and_the_tags_are_named(self) -> None:
        await self.create("a/b", {"f": "1"})
        with pytest.raises(RevisionNotFound) as caught:
            await self.ops.resolve(self.uri("a/b", tag="1234567890"))
        assert "latest" in caught.value.details["tags"]

    async def test_a_short_hash_that_fits_two_revisions_is_ambiguous_and_both_are_named(self) -> None:
        one, two = "abcdef" + "1" * 58, "abcdef" + "2" * 58
        self.set_package("a/b", top_hash=one, tag="1700000001")
        self.set_package("a/b", top_hash=two, tag="1700000002")
        with pytest.raises(AmbiguousHash) as caught:
            await self.ops.resolve(self.uri("a/b", "abcdef"))
        assert sorted(caught.value.details["candidates"]) == [one, two]
        assert (await self.ops.resolve(self.uri("a/b", "abcdef1"))).top_hash == one

    async def test_a_short_hash_is_settled_by_the_packages_own_revisions(self) -> None:
        one, two = "abcdef" + "1" * 58, "abcdef" + "2" * 58
        self.set_package("a/mine", top_hash=one)
        self.set_package("a/other", top_hash=two)
        assert (await self.ops.resolve(self.uri("a/mine", "abcdef"))).top_hash == one

    async def test_a_latest_pointer_that_is_no_hash_is_corrupt(self) -> None:
        await self.create("a/b", {"f": "1"})
        self.set_pointer("a/b", "latest", "nonsense")
        with pytest.raises(CorruptManifest):
            await self.ops.browse(self.uri("a/b"))

    @pytest.mark.parametrize("name", ["", "a", "a/", "/b", "a/b/c", "a b/c", "a/b\n", "../b", "a/.."])
    async def test_a_malformed_name_is_refused(self, name: str) -> None:
        package = PackageUri(self.registry, name)
        for call in (
            self.ops.resolve,
            self.ops.log,
            self.ops.browse,
            self.ops.delete,
            self.roll_back,
            self.ops.verify,
        ):
            with pytest.raises(InvalidName):
                await call(package)
        with pytest.raises(InvalidName):
            await self.ops.create(CreateRequest(package, files=inline({"f": "1"})))
        assert self.raw_keys() == []

    # -- log --

    async def test_the_log_has_every_revision_newest_first_with_its_message(self) -> None:
        made = [await self.create("a/b", {"f": "0"}, message="zero")]
        for number in range(1, 4):
            made.append(await self.patch("a/b", {"f": str(number)}, message=f"message {number}"))
        revisions = await self.log("a/b")
        assert [revision.top_hash for revision in revisions] == [commit.top_hash for commit in reversed(made)]
        assert [revision.message for revision in revisions] == ["message 3", "message 2", "message 1", "zero"]
        assert [revision.tags for revision in revisions] == [("latest",), (), (), ()]
        stamps = [revision.timestamp for revision in revisions if revision.timestamp]
        assert stamps == sorted(stamps, reverse=True)
        assert len(set(stamps)) == 4

    async def test_pages_of_the_log_join_while_revisions_are_added(self) -> None:
        made = [(await self.create("a/b", {"f": "0"})).top_hash]
        for number in range(1, 5):
            made.append((await self.patch("a/b", {"f": str(number)})).top_hash)
        first = await self.ops.log(self.uri("a/b"), limit=2)
        await self.patch("a/b", {"f": "new"})
        second = await self.ops.log(self.uri("a/b"), limit=2, cursor=first.next_cursor)
        third = await self.ops.log(self.uri("a/b"), limit=2, cursor=second.next_cursor)
        found = [revision.top_hash for page in (first, second, third) for revision in page.items]
        assert found == made[::-1]
        assert third.next_cursor is None

    async def test_a_latest_that_no_timestamp_logs_is_shown_and_warned_of(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        newest = max(tag for tag in self.pointers("a/b") if tag != "latest")
        self.raw_delete(f".quilt/named_packages/a/b/{newest}")
        page = await self.ops.log(self.uri("a/b"))
        assert [(r.top_hash, r.tags) for r in page.items] == [
            (second.top_hash, ("latest",)),
            (first.top_hash, ()),
        ]
        assert page.items[0].timestamp is None
        assert [warning.partition(":")[0] for warning in page.warnings] == ["unlogged_latest"]

    async def test_malformed_pointers_are_warned_of_and_the_rest_of_the_log_stands(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        self.set_pointer("a/b", "1600000000", "not a hash")
        self.set_pointer("a/b", "1600000001", NOWHERE)
        self.set_pointer("a/b", "v1.0", commit.top_hash)
        page = await self.ops.log(self.uri("a/b"))
        assert [revision.top_hash for revision in page.items] == [commit.top_hash, NOWHERE]
        assert sorted(warning.partition(":")[0] for warning in page.warnings) == [
            "malformed_pointer", "unknown_tag", "unreadable_manifest",
        ]  # fmt: skip

    async def test_a_pointer_with_a_newline_at_its_end_is_read(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        self.set_pointer("a/b", "latest", commit.top_hash + "\n")
        assert await self.latest("a/b") == commit.top_hash

    async def test_the_log_of_an_unknown_package_is_not_found(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.ops.log(self.uri("a/b"))
