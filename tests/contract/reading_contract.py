"""Reading a revision: browse, stat, read, link, diff."""

from __future__ import annotations

import pytest
from ops_base import OpsContract, inline, kinds, record

from quilt_mcp.domain.checksums import hash_bytes
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest, Rename
from quilt_mcp.errors import (
    EntryNotFound,
    HashMismatch,
    InvalidArgument,
    NotAFile,
    ObjectNotFound,
    PackageNotFound,
)

FILES = {
    "README.md": "# hi",
    "a/x.csv": "1,2\n",
    "a/y.csv": "3,4\n",
    "a/deep/z": "z",
    "a-b/x": "x",
    "a.b": "b",
}
WALK_ORDER = ["README.md", "a/deep/z", "a/x.csv", "a/y.csv", "a-b/x", "a.b"]


class ReadingContract(OpsContract):
    # -- browse --

    async def test_browse_shows_the_root_folders_and_files_in_walk_order(self) -> None:
        commit = await self.create("a/b", FILES, metadata={"k": [1, None]}, message="first")
        found = await self.ops.browse(self.uri("a/b"))
        assert [(item.path, item.type, item.size) for item in found.page.items] == [
            ("README.md", "file", 4), ("a/", "folder", 9), ("a-b/", "folder", 1), ("a.b", "file", 1),
        ]  # fmt: skip
        assert (found.registry, found.name, found.top_hash) == (self.registry, "a/b", commit.top_hash)
        assert (found.message, found.metadata, found.workflow) == ("first", {"k": [1, None]}, None)
        assert (found.totals.entries, found.totals.bytes) == (6, 15)
        assert found.page.total == 4
        assert found.page.items[1].entries == 3

    async def test_every_address_of_a_browse_is_accepted_by_stat_and_read(self) -> None:
        from quilt_mcp.domain.address import PackageUri

        await self.create("a/b", FILES)
        found = await self.ops.browse(self.uri("a/b"))
        assert await self.ops.resolve(PackageUri.parse(found.uri)) == PackageUri.parse(found.uri)
        for item in found.page.items:
            again = await self.ops.stat(PackageUri.parse(item.uri))
            assert again == item
            if item.type == "file":
                content = await self.ops.read(PackageUri.parse(item.uri))
                assert (content.uri, len(content.data)) == (item.uri, item.size)

    async def test_browse_recursive_shows_every_file_below_in_walk_order(self) -> None:
        await self.create("a/b", FILES)
        assert await self.paths(self.uri("a/b")) == WALK_ORDER
        assert await self.paths(self.uri("a/b", path="a/")) == ["a/deep/z", "a/x.csv", "a/y.csv"]

    @pytest.mark.parametrize("path", ["a", "a/"])
    async def test_a_folder_is_browsed_with_and_without_its_slash(self, path: str) -> None:
        await self.create("a/b", FILES)
        found = await self.ops.browse(self.uri("a/b", path=path))
        assert [item.path for item in found.page.items] == ["a/deep/", "a/x.csv", "a/y.csv"]
        assert found.path == "a/"

    async def test_browse_of_a_files_path_answers_that_file(self) -> None:
        await self.create("a/b", FILES)
        found = await self.ops.browse(self.uri("a/b", path="a/x.csv"))
        assert [(item.path, item.type) for item in found.page.items] == [("a/x.csv", "file")]

    async def test_pages_of_a_browse_join_and_stay_on_the_revision_they_began_on(self) -> None:
        await self.create("a/b", FILES)
        for recursive, expected in ((True, WALK_ORDER), (False, ["README.md", "a/", "a-b/", "a.b"])):
            first = await self.ops.browse(self.uri("a/b"), recursive=recursive, limit=2)
            await self.patch("a/b", {f"0-{recursive}": "new first file"})
            found = list(first.page.items)
            cursor = first.page.next_cursor
            while cursor is not None:
                page = await self.ops.browse(self.uri("a/b"), recursive=recursive, limit=2, cursor=cursor)
                assert page.top_hash == first.top_hash
                assert page.page.total == first.page.total
                found += page.page.items
                cursor = page.page.next_cursor
            seen = [item.path for item in found if not item.path.startswith("0-")]
            assert seen == expected

    async def test_the_empty_package_is_a_package(self) -> None:
        await self.create("a/b")
        found = await self.ops.browse(self.uri("a/b"))
        assert (found.page.items, found.totals.entries, found.metadata) == ((), 0, None)

    async def test_a_path_that_is_not_there_is_not_found_and_a_near_one_suggested(self) -> None:
        await self.create("a/b", FILES)
        for call in (self.ops.browse, self.ops.stat, self.ops.read):
            with pytest.raises(EntryNotFound) as caught:
                await call(self.uri("a/b", path="a/x.cvs"))
            assert caught.value.details["suggestions"][0] == "a/x.csv"

    async def test_metadata_of_files_and_folders_is_shown(self) -> None:
        files = (InlineFile("d/f", b"1", metadata={"f": 1}), InlineFile("d/g", b"2"))
        await self.ops.create(CreateRequest(self.uri("a/b"), files=files))
        await self.ops.patch(PatchRequest(self.uri("a/b"), entry_metadata={"d/": {"dir": True}}))
        assert (await self.ops.stat(self.uri("a/b", path="d/"))).metadata == {"dir": True}
        (folder,) = (await self.ops.browse(self.uri("a/b"))).page.items
        assert folder.metadata == {"dir": True}
        files_found = (await self.ops.browse(self.uri("a/b", path="d"))).page.items
        assert [item.metadata for item in files_found] == [{"f": 1}, None]

    # -- stat --

    async def test_stat_of_a_file_says_size_hash_and_place(self) -> None:
        await self.create("a/b", {"f": "hello\n"})
        item = await self.ops.stat(self.uri("a/b", path="f"))
        assert (item.type, item.size, item.entries) == ("file", 6, None)
        assert item.hash is not None
        assert (item.hash.type, item.hash.value) == (
            "sha2-256-chunked",
            "7LZbuY+dkFtwRYmGw5/LrXcV5fL8w7Hwd2fXyD4kOMw=",
        )
        assert item.physical_key is not None

    async def test_stat_of_the_root_and_of_a_folder_sums_what_lies_below(self) -> None:
        await self.create("a/b", FILES)
        root = await self.ops.stat(self.uri("a/b"))
        assert (root.path, root.type, root.size, root.entries) == ("", "folder", 15, 6)
        folder = await self.ops.stat(self.uri("a/b", path="a"))
        assert (folder.path, folder.size, folder.entries) == ("a/", 9, 3)

    # -- read --

    async def test_a_whole_read_is_verified(self) -> None:
        await self.create("a/b", {"d/f.json": '{"a": 1}'})
        content = await self.ops.read(self.uri("a/b", path="d/f.json"))
        assert (content.data, content.offset, content.size) == (b'{"a": 1}', 0, 8)
        assert content.verified
        assert content.media_type == "application/json"

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [(0, 3, b"hel"), (2, 2, b"ll"), (3, None, b"lo"), (4, 99, b"o"), (5, None, b""), (1, 0, b"")],
    )
    async def test_a_range_is_read_and_not_called_verified(
        self, offset: int, length: int | None, expected: bytes
    ) -> None:
        await self.create("a/b", {"f": "hello"})
        content = await self.ops.read(self.uri("a/b", path="f"), offset=offset, length=length)
        assert (content.data, content.offset, content.size) == (expected, offset, 5)
        assert not content.verified

    async def test_an_empty_file_is_read_and_verified(self) -> None:
        await self.create("a/b", {"f": ""})
        content = await self.ops.read(self.uri("a/b", path="f"))
        assert (content.data, content.size, content.verified) == (b"", 0, True)

    @pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1), (6, None)])
    async def test_a_range_outside_the_file_is_refused(self, offset: int, length: int | None) -> None:
        await self.create("a/b", {"f": "hello"})
        with pytest.raises(InvalidArgument):
            await self.ops.read(self.uri("a/b", path="f"), offset=offset, length=length)

    @pytest.mark.parametrize("path", ["d", "d/", None])
    async def test_a_folder_cannot_be_read(self, path: str | None) -> None:
        await self.create("a/b", {"d/f": "1"})
        with pytest.raises(NotAFile):
            await self.ops.read(self.uri("a/b", path=path))

    async def test_bytes_that_changed_are_not_read_as_the_packages_own(self) -> None:
        await self.create("a/b", {"f": "hello"})
        key = (await self.ops.stat(self.uri("a/b", path="f"))).physical_key
        assert key is not None
        self.raw_change(key, b"hellO")
        with pytest.raises(HashMismatch):
            await self.ops.read(self.uri("a/b", path="f"))
        self.raw_change(key, b"hello, longer")
        with pytest.raises(HashMismatch):
            await self.ops.read(self.uri("a/b", path="f"), offset=0, length=2)

    async def test_bytes_that_are_gone_are_not_found(self) -> None:
        await self.create("a/b", {"f": "hello"})
        key = (await self.ops.stat(self.uri("a/b", path="f"))).physical_key
        assert key is not None
        self.raw_change(key, None)
        with pytest.raises(ObjectNotFound):
            await self.ops.read(self.uri("a/b", path="f"))

    @pytest.mark.parametrize(
        ("hash_type", "value"),
        [
            ("SHA256", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
            ("CRC64NVME", "nq/LnSYcwnA="),
        ],
    )
    async def test_files_with_the_older_and_the_newer_hash_are_verified_too(
        self, hash_type: str, value: str
    ) -> None:
        await self.create("a/src", {"f": "hello\n"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        digest = {"type": hash_type, "value": value}
        self.set_package("a/b", record(item, hash=digest))
        if hash_type == "CRC64NVME":
            digest["value"] = hash_bytes(b"hello\n", hash_type).value
            self.set_package("a/b", record(item, hash=digest))
        assert (await self.ops.read(self.uri("a/b", path="f"))).verified
        digest["value"] = value[::-1]
        self.set_package("a/c", record(item, hash=digest))
        with pytest.raises(HashMismatch):
            await self.ops.read(self.uri("a/c", path="f"))

    async def test_a_hash_of_unknown_type_is_read_and_not_called_verified(self) -> None:
        await self.create("a/src", {"f": "hello\n"})
        item = await self.ops.stat(self.uri("a/src", path="f"))
        self.set_package("a/b", record(item, hash={"type": "NEW", "value": "x"}))
        content = await self.ops.read(self.uri("a/b", path="f"))
        assert (content.data, content.verified) == (b"hello\n", False)

    # -- link --

    async def test_a_link_is_made_for_a_file_and_for_an_object(self) -> None:
        await self.create("a/b", {"f": "1"})
        item = await self.ops.stat(self.uri("a/b", path="f"))
        assert item.physical_key is not None
        for uri in (item.uri, item.physical_key):
            link = await self.ops.link(uri)
            assert link.url
            assert link.uri == uri

    async def test_a_link_to_nothing_is_refused(self) -> None:
        await self.create("a/b", {"f": "1"})
        with pytest.raises(EntryNotFound):
            await self.ops.link(str(self.uri("a/b", path="g")))
        with pytest.raises(ObjectNotFound):
            await self.ops.link(f"{self.registry}/nothing-here")

    # -- diff --

    async def test_a_diff_tells_added_removed_modified_renamed_and_metadata_apart(self) -> None:
        before = await self.create(
            "a/b",
            {"gone": "1", "kept": "2", "changed": "3", "old-name": "4", "labelled": "5"},
            metadata={"v": 1},
        )
        after = await self.patch(
            "a/b",
            {"new": "6", "changed": "33"},
            remove=("gone",),
            rename=(Rename("old-name", "new-name"),),
            entry_metadata={"labelled": {"l": 1}},
            metadata={"v": 2},
            message="second",
        )
        diff = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b"))
        assert kinds(diff) == [
            ("modified", "changed"), ("removed", "gone"), ("metadata", "labelled"), ("added", "new"),
            ("renamed", "new-name"),
        ]  # fmt: skip
        totals = diff.totals
        assert (totals.added, totals.removed, totals.modified, totals.renamed) == (1, 1, 1, 1)
        assert (totals.metadata, totals.unchanged) == (1, 1)
        assert diff.package_metadata == ({"v": 1}, {"v": 2})
        assert diff.message == (None, "second")
        renamed = diff.changes[-1]
        assert (renamed.old_path, renamed.size) == ("old-name", 1)
        assert (diff.before, diff.after) == (before.uri, after.uri)

    async def test_a_revision_does_not_differ_from_itself(self) -> None:
        await self.create("a/b", FILES, metadata={"v": 1})
        diff = await self.ops.diff(self.uri("a/b"), self.uri("a/b"))
        assert (diff.changes, diff.package_metadata, diff.message) == ((), None, None)
        assert diff.totals.unchanged == len(FILES)

    async def test_pages_of_a_diff_join_while_the_package_moves_on(self) -> None:
        before = await self.create("a/b", {f"f{n}": "old" for n in range(5)})
        await self.patch("a/b", {f"f{n}": f"new {n}" for n in range(5)}, metadata={"v": 2})
        found: list[str] = []
        cursor = None
        pages = 0
        while True:
            diff = await self.ops.diff(
                self.uri("a/b", before.top_hash), self.uri("a/b"), limit=2, cursor=cursor
            )
            found += [change.path for change in diff.changes]
            assert (diff.package_metadata is not None) == (pages == 0)
            pages += 1
            cursor = diff.next_cursor
            if cursor is None:
                break
            await self.patch("a/b", {f"more-{pages}": "x"})
        assert found == [f"f{n}" for n in range(5)]

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("a/", ["a/f"]),
            ("a", ["a/f"]),
            ("a-b/", ["a-b/f"]),
            ("ab", ["ab"]),
            ("nothing/", []),
        ],
    )
    async def test_a_path_limits_a_diff_to_that_folder_or_file(self, path: str, expected: list[str]) -> None:
        files = {"a/f": "1", "a-b/f": "1", "ab": "1", "abc": "1"}
        before = await self.create("a/b", files)
        await self.patch("a/b", dict.fromkeys(files, "22"))
        diff = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b", path=path))
        assert [change.path for change in diff.changes] == expected
        assert bool(diff.warnings) == (path == "nothing/")
        same = await self.ops.diff(self.uri("a/b", before.top_hash, path=path), self.uri("a/b"))
        assert (same.changes, same.warnings) == (diff.changes, diff.warnings)

    async def test_a_diff_of_a_path_says_nothing_of_the_packages_metadata(self) -> None:
        before = await self.create("a/b", {"a/f": "1"}, metadata={"k": 1})
        await self.patch("a/b", {"a/f": "22"}, metadata={"k": 2})
        whole = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b"))
        assert whole.package_metadata == ({"k": 1}, {"k": 2})
        below = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b", path="a/"))
        assert (kinds(below), below.package_metadata) == ([("modified", "a/f")], None)

    async def test_a_diff_of_two_paths_is_refused(self) -> None:
        await self.create("a/b", {"a/f": "1", "b/f": "2"})
        with pytest.raises(InvalidArgument, match="two paths"):
            await self.ops.diff(self.uri("a/b", path="a/"), self.uri("a/b", path="b/"))
        assert not (await self.ops.diff(self.uri("a/b", path="a"), self.uri("a/b", path="a/"))).warnings

    async def test_two_packages_are_compared_as_two_revisions_are(self) -> None:
        await self.create("a/b", {"f": "1"})
        await self.create("a/c", {"f": "1", "g": "2"})
        diff = await self.ops.diff(self.uri("a/b"), self.uri("a/c"))
        assert kinds(diff) == [("added", "g")]

    @pytest.mark.parametrize("path", ["price$end/", ") OR true --$first", "' OR '1'='1", "*", "[a-z]/"])
    async def test_text_of_the_caller_is_a_path_and_never_code(self, path: str) -> None:
        """Review R7."""
        before = await self.create("a/b", {"f": "1", "g/h": "2"})
        await self.create("a/b", {"f": "3"}, overwrite=True)
        diff = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b", path=path))
        assert (diff.changes, diff.totals.unchanged) == ((), 0)

    async def test_a_diff_with_an_unknown_package_is_not_found(self) -> None:
        await self.create("a/b", {"f": "1"})
        with pytest.raises(PackageNotFound):
            await self.ops.diff(self.uri("a/b"), self.uri("a/zzz"))

    async def test_null_and_absent_metadata_are_different_revisions(self) -> None:
        absent = await self.ops.create(CreateRequest(self.uri("a/absent"), files=inline({"f": "1"})))
        null = await self.ops.create(
            CreateRequest(self.uri("a/null"), files=inline({"f": "1"}), metadata=None)
        )
        assert absent.top_hash != null.top_hash
