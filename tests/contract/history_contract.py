"""What changed when: the log of a path, counts of changes, which line is the latest, and fields of metadata that differ."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from ops_base import NOWHERE, OpsContract

from quilt_mcp.domain.diff import DiffTotals, FieldChange
from quilt_mcp.domain.listing import Revision
from quilt_mcp.domain.plan import UNSET, CopyRequest, Rename
from quilt_mcp.registry.reading import history


def told(revision: Revision) -> tuple[Any, ...]:
    change = revision.change
    assert change is not None
    return revision.message, change.path, change.kind, change.old_size, change.size


class HistoryContract(OpsContract):
    async def pages(self, path: str | None = None, *, limit: int = 1000, **more: Any) -> list[Revision]:
        """All pages of the log of a/b."""
        package, found = self.uri("a/b", path=path), list[Revision]()
        page = await self.ops.log(package, limit=limit, **more)
        while page.next_cursor is not None:
            found += page.items
            page = await self.ops.log(package, limit=limit, cursor=page.next_cursor, **more)
        return [*found, *page.items]

    async def make_history(self) -> None:
        await self.create("a/b", {"d/f": "1", "d/g": "1", "x": "x"}, message="first")
        await self.patch("a/b", {"d/f": "22"}, message="f grows")
        await self.patch("a/b", {"y": "y"}, message="elsewhere")
        await self.patch("a/b", entry_metadata={"d/f": {"k": 1}}, message="f is labelled")
        await self.patch("a/b", remove=("d/f",), message="f goes")
        await self.patch("a/b", rename=(Rename("x", "d/x"),), message="x comes")
        await self.patch("a/b", {"d/f/inner": "333"}, message="f is a folder")
        await self.patch("a/b", remove=("d/f/", "d/g", "d/x"), message="d goes")

    # -- the log of a path --

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    async def test_the_log_of_a_file_has_the_revisions_that_changed_it_and_how(self, limit: int) -> None:
        await self.make_history()
        found = await self.pages("d/f", limit=limit)
        assert [told(one) for one in found] == [
            ("d goes", "d/f/", "removed", 3, None),
            ("f is a folder", "d/f/", "added", None, 3),
            ("f goes", "d/f", "removed", 2, None),
            ("f is labelled", "d/f", "metadata", 2, 2),
            ("f grows", "d/f", "modified", 1, 2),
            ("first", "d/f", "added", None, 1),
        ]
        grown = found[4].change
        assert grown is not None and grown.hash is not None and grown.old_hash is not None
        assert grown.hash != grown.old_hash
        for revision in found[2:]:
            if revision.change is not None and revision.change.kind != "removed":
                at = self.uri("a/b", revision.top_hash, path="d/f")
                assert (await self.ops.stat(at)).hash == revision.change.hash
        assert await self.pages("d/f", limit=limit) == found

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    async def test_the_log_of_a_file_follows_it_through_renames(self, limit: int) -> None:
        await self.create("a/b", {"one": "1", "other": "same"}, message="first")
        await self.patch("a/b", {"one": "22"}, message="grows")
        await self.patch("a/b", rename=(Rename("one", "d/two"),), message="moves")
        await self.patch("a/b", {"one": "new"}, message="another comes")
        await self.patch("a/b", entry_metadata={"d/two": {"k": 1}}, message="is labelled")
        await self.patch("a/b", rename=(Rename("d/", "e/"),), entry_metadata={"d/two": None}, message="again")
        await self.patch("a/b", {"x": "same"}, message="a copy comes")
        await self.patch("a/b", {"e/two": "333"}, remove=("other",), message="changes")
        found = await self.pages("e/two", limit=limit)
        assert [(*told(one), one.change and one.change.old_path) for one in found] == [
            ("changes", "e/two", "modified", 2, 3, None),
            ("again", "e/two", "renamed", 2, 2, "d/two"),
            ("is labelled", "d/two", "metadata", 2, 2, None),
            ("moves", "d/two", "renamed", 2, 2, "one"),
            ("grows", "one", "modified", 1, 2, None),
            ("first", "one", "added", None, 1, None),
        ]
        counts = [one.counts for one in found]
        assert counts[1] == counts[3] == DiffTotals(0, 0, 0, 1, 0, 0)
        assert await self.pages("e/two", limit=limit) == found
        assert [(told(one)[0], told(one)[2]) for one in await self.pages("x")] == [("a copy comes", "added")]
        assert [(told(one)[0], told(one)[2]) for one in await self.pages("e/")] == [
            ("changes", "modified"), ("again", "added"),
        ]  # fmt: skip
        assert [told(one)[0] for one in await self.pages("one", limit=limit)] == [
            "another comes", "moves", "grows", "first",
        ]  # fmt: skip

    async def test_the_search_for_where_a_file_came_from_is_bounded_and_gets_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.create("a/b", {"one": "1", "x": "x"})
        for number in range(3):
            old, new = ("one", "two") if number % 2 == 0 else ("two", "one")
            await self.patch("a/b", {"x": f"x{number}"}, rename=(Rename(old, new),))
        monkeypatch.setattr(history, "BYTES", 1)
        page = await self.ops.log(self.uri("a/b", path="two"))
        assert [one.partition(":")[0] for one in page.warnings] == ["log_paused"]
        kinds = [told(one)[2] for one in await self.pages("two")]
        assert kinds == ["renamed", "renamed", "renamed", "added"]

    async def test_the_log_of_a_folder_counts_what_changed_in_it(self) -> None:
        await self.make_history()
        found = await self.pages("d/")
        assert [told(one) for one in found] == [
            ("d goes", "d/", "removed", 5, None),
            ("f is a folder", "d/", "modified", 2, 5),
            ("x comes", "d/", "modified", 1, 2),
            ("f goes", "d/", "modified", 3, 1),
            ("f is labelled", "d/", "metadata", 3, 3),
            ("f grows", "d/", "modified", 2, 3),
            ("first", "d/", "added", None, 2),
        ]
        assert found[0].counts == DiffTotals(0, 3, 0, 0, 0, 0)
        assert found[2].counts == DiffTotals(1, 0, 0, 0, 0, 1)
        assert found[-1].counts == DiffTotals(2, 0, 0, 0, 0, 0)

    async def test_the_log_with_counts_has_every_revision_with_what_it_changed(self) -> None:
        await self.make_history()
        found = await self.pages(counts=True, limit=3)
        assert [one.message for one in found] == [one.message for one in await self.log("a/b")]
        assert [one.change for one in found] == [None] * len(found)
        counts = [one.counts for one in found if one.counts]
        assert [(one.added, one.removed, one.modified, one.renamed, one.metadata) for one in counts] == [
            (0, 3, 0, 0, 0), (1, 0, 0, 0, 0), (0, 0, 0, 1, 0), (0, 1, 0, 0, 0),
            (0, 0, 0, 0, 1), (1, 0, 0, 0, 0), (0, 0, 1, 0, 0), (3, 0, 0, 0, 0),
        ]  # fmt: skip
        for newer, older in pairwise(found):
            diff = await self.ops.diff(self.uri("a/b", older.top_hash), self.uri("a/b", newer.top_hash))
            assert diff.totals == newer.counts

    async def test_a_path_that_no_revision_had_is_told(self) -> None:
        await self.make_history()
        page = await self.ops.log(self.uri("a/b", path="nope"))
        assert page.items == ()
        (warning,) = page.warnings
        assert warning.startswith("no_match: ") and "'nope'" in warning

    async def test_a_call_ends_where_enough_was_compared_and_the_next_goes_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.make_history()
        whole = await self.pages("d/f")
        assert [one.message for one in whole]
        for name, bound in (("MANIFESTS", 2), ("BYTES", 1)):
            with monkeypatch.context() as bounds:
                bounds.setattr(history, name, bound)
                page = await self.ops.log(self.uri("a/b", path="x" if bound == 1 else "y"))
                assert page.next_cursor is not None
                assert [one.partition(":")[0] for one in page.warnings] == ["log_paused"]
        assert await self.pages("d/f") == whole

    async def test_what_cannot_be_read_is_passed_over_with_a_warning(self) -> None:
        await self.create("a/b", {"f": "1"}, message="first")
        await self.patch("a/b", {"f": "22"}, message="second")
        oldest = min(int(tag) for tag in self.pointers("a/b") if tag != "latest")
        self.set_pointer("a/b", str(oldest - 1), NOWHERE)
        self.set_pointer("a/b", str(oldest + 10**9), NOWHERE)
        self.set_pointer("a/b", str(oldest + 10**8), "no hash")
        page = await self.ops.log(self.uri("a/b", path="f"))
        assert [told(one) for one in page.items] == [
            ("second", "f", "modified", 1, 2), ("first", "f", "added", None, 1),
        ]  # fmt: skip
        assert sorted(warning.partition(":")[0] for warning in page.warnings) == [
            "malformed_pointer", "unreadable_manifest", "unreadable_manifest",
        ]  # fmt: skip

    # -- one latest --

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    async def test_after_a_rollback_one_line_alone_is_the_latest(self, limit: int) -> None:
        first = await self.create("a/b", {"f": "1"}, message="first")
        second = await self.patch("a/b", {"f": "2"}, message="second")
        await self.ops.copy(CopyRequest(self.uri("a/b", first.top_hash), self.uri("a/b")))
        assert [one.tags for one in await self.pages(limit=limit)] == [(), ("latest",)]
        await self.ops.copy(CopyRequest(self.uri("a/b", second.top_hash), self.uri("a/b")))
        assert [one.tags for one in await self.pages(limit=limit)] == [("latest",), ()]
        newest = max(int(tag) for tag in self.pointers("a/b") if tag != "latest")
        self.set_pointer("a/b", str(newest + 1), first.top_hash)
        await self.ops.copy(CopyRequest(self.uri("a/b", first.top_hash), self.uri("a/b")))
        found = await self.pages(limit=limit)
        assert [one.top_hash == first.top_hash for one in found] == [True, False, True]
        assert [one.tags for one in found] == [("latest",), (), ()]
        for cursor in (None, (await self.ops.log(self.uri("a/b"), limit=1)).next_cursor):
            assert (await self.ops.log(self.uri("a/b"), limit=1, cursor=cursor)).latest == first.top_hash
        assert (await self.ops.log(self.uri("a/b", path="nope"))).latest == first.top_hash
        narrowed = await self.pages("f", limit=limit)
        assert [replace(one, change=None, counts=None) for one in narrowed] == found

    async def test_an_unlogged_latest_stands_in_one_line_of_all_pages(self) -> None:
        await self.create("a/b", {"f": "1"})
        second = await self.patch("a/b", {"f": "2"})
        third = await self.patch("a/b", {"f": "3"})
        newest = max(tag for tag in self.pointers("a/b") if tag != "latest")
        self.raw_delete(f".quilt/named_packages/a/b/{newest}")
        found = await self.pages(limit=1)
        assert [one.top_hash for one in found if one.tags] == [third.top_hash]
        assert found[0].top_hash == second.top_hash

    # -- differences --

    async def test_a_limit_of_none_tells_the_totals_of_a_diff_alone(self) -> None:
        before = await self.create("a/b", {"f": "1"}, metadata={"v": 1}, message="m")
        await self.patch("a/b", {"f": "2", "g": "3"}, metadata={"v": 2}, message="n")
        diff = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b"), limit=0)
        assert (diff.changes, diff.next_cursor) == ((), None)
        assert diff.totals == DiffTotals(1, 0, 1, 0, 0, 0)
        assert diff.fields == (FieldChange("/v", "modified", 1, 2),)
        assert diff.message == ("m", "n")

    async def test_metadata_of_a_package_and_of_a_file_differ_by_fields(self) -> None:
        old = {"site": {"id": 1, "a/b~c": [1, 2]}, "gone": None, "same": {"deep": [1.5]}, "flag": 1}
        new = {"site": {"id": 2, "a/b~c": [1, 3]}, "come": {}, "same": {"deep": [1.5]}, "flag": True}
        before = await self.create("a/b", {"f": "1"}, metadata=old)
        await self.patch("a/b", entry_metadata={"f": {"k": 1}}, metadata=new, metadata_mode="replace")
        diff = await self.ops.diff(self.uri("a/b", before.top_hash), self.uri("a/b"))
        assert repr(diff.fields) == repr((
            FieldChange("/come", "added", None, {}),
            FieldChange("/flag", "modified", 1, True),
            FieldChange("/gone", "removed", None, None),
            FieldChange("/site/a~1b~0c", "modified", [1, 2], [1, 3]),
            FieldChange("/site/id", "modified", 1, 2),
        ))  # fmt: skip
        assert diff.changes[0].fields == (FieldChange("/k", "added", None, 1),)

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            (1, True, [("", "modified")]), ([1], {"a": 1}, [("", "modified")]), ({"a": 1}, {"a": 1.0}, [("/a", "modified")]),
            (None, {}, []), (None, {"a": 0}, [("/a", "added")]), ({"": 1}, {"": 2}, [("/", "modified")]),
            ({"a": 1}, UNSET, [("/a", "removed")]),
        ],
    )  # fmt: skip
    async def test_any_two_metadata_can_be_compared(
        self, old: Any, new: Any, expected: list[tuple[str, str]]
    ) -> None:
        await self.create("a/b", {"f": "1"}, metadata=old)
        await self.create("a/c", {"f": "1"}, metadata=new)
        fields = (await self.ops.diff(self.uri("a/b"), self.uri("a/c"))).fields
        assert [(one.field, one.kind) for one in fields] == expected
