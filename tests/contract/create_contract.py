"""Making a package: plan_create, create."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from ops_base import OpsContract, inline

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile, Source
from quilt_mcp.errors import (
    AlreadyExists,
    DuplicateKey,
    EntryNotFound,
    HashMismatch,
    InvalidArgument,
    InvalidMetadata,
    InvalidName,
    NotSupported,
    OutsideRoots,
    PackageNotFound,
    QuiltError,
    SourceNotFound,
)

TREE = {"x.csv": "1", "y.txt": "2", "deep/z.csv": "3", "deep/.hidden": "4"}


class CreateContract(OpsContract):
    async def from_sources(self, *sources: Source, name: str = "a/b") -> dict[str, bytes]:
        """A new package of these sources, planned and made; its files as they are read back."""
        request = CreateRequest(self.uri(name), sources=sources)
        plan = await self.ops.plan_create(request)
        commit = await self.ops.create(request)
        told = plan.top_hash or commit.top_hash  # of what lies in a bucket none is known before
        known = {} if plan.top_hash else {"top_hash": told, "bytes_to_copy": commit.bytes_copied}
        assert commit.plan == replace(plan, **known)
        assert commit.bytes_copied <= plan.bytes_to_copy
        assert commit.top_hash == told
        found = await self.contents(self.uri(name))
        assert plan.added == len(found)
        return found

    # -- sources --

    async def test_inline_files_stand_at_their_keys(self) -> None:
        await self.create("a/b", {"README.md": "# hi", "d/é ü+%#?.txt": "odd", "bin": bytes(range(256))})
        assert await self.contents(self.uri("a/b")) == {
            "README.md": b"# hi",
            "bin": bytes(range(256)),
            "d/é ü+%#?.txt": b"odd",
        }

    @pytest.mark.parametrize(
        ("to", "expected"),
        [("", "x.csv"), ("named", "named"), ("d/", "d/x.csv"), ("d/named.csv", "d/named.csv")],
    )
    async def test_a_single_file_goes_to_a_key_or_into_a_folder(self, to: str, expected: str) -> None:
        folder = self.write_files(TREE)
        assert await self.from_sources(Source(str(folder / "x.csv"), to)) == {expected: b"1"}

    async def test_case_S4_what_is_rarely_meant_for_a_package_is_named_in_one_warning(self) -> None:
        folder = self.write_files({
            "a.csv": "1", ".env": "2", "app/.ENV.local": "3", ".git/config": "4", ".git/objects/x": "5", "my.env": "6",
            "x.git/y": "7", ".environment": "8",
        })  # fmt: skip
        sources = (Source(str(folder)), Source(str(folder / ".env"), to="again"))
        request = CreateRequest(self.uri("a/b"), sources=sources)
        for warnings in (
            (await self.ops.plan_create(request)).warnings,
            (await self.ops.create(request)).warnings,
        ):
            (warning,) = [one for one in warnings if one.startswith("private_files")]
            named = warning.removeprefix("private_files: ").partition(" would")[0]
            assert sorted(named.split(", ")) == [".env", ".git", "app/.ENV.local"]
        left = Source(str(folder), exclude=(".env*", ".git", ".ENV*"))
        plan = await self.ops.plan_create(CreateRequest(self.uri("a/c"), sources=(left,)))
        assert not any(one.startswith("private_files") for one in plan.warnings)

    async def test_links_within_the_roots_bring_what_they_lead_to(self) -> None:
        folder = self.write_files({"data/a": "1", "data/c": "3", "data/e": "5", "far/b": "2"})
        (folder / "data/b").symlink_to(folder / "far/b")
        (folder / "data/d").symlink_to("c")
        (folder / "near").symlink_to("data")
        expected = {"a": b"1", "b": b"2", "c": b"3", "d": b"3", "e": b"5"}
        assert await self.from_sources(Source(str(folder / "data"))) == expected
        assert await self.from_sources(Source(str(folder / "near/*")), name="a/c") == expected
        single = await self.from_sources(Source(str(folder / "near/b"), "x"), name="a/d")
        assert single == {"x": b"2"}

    @pytest.mark.parametrize(("to", "prefix"), [("", ""), ("d", "d/"), ("d/", "d/"), ("d/e/", "d/e/")])
    async def test_a_folder_goes_below_a_prefix_hidden_files_included(self, to: str, prefix: str) -> None:
        folder = self.write_files(TREE, "data")
        found = await self.from_sources(Source(str(folder), to))
        assert found == {prefix + key: content.encode() for key, content in TREE.items()}

    async def test_a_quiltignore_of_the_folder_is_kept(self) -> None:
        folder = self.write_files({**TREE, ".quiltignore": "*.csv\n"}, "data")
        assert set(await self.from_sources(Source(str(folder)))) == {"y.txt", "deep/.hidden", ".quiltignore"}

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("*.csv", {"x.csv": "1"}),
            ("**/*.csv", {"x.csv": "1", "deep/z.csv": "3"}),
            ("**", {"x.csv": "1", "y.txt": "2", "deep/z.csv": "3"}),
            ("deep/?.csv", {"z.csv": "3"}),
            ("*/z.*", {"deep/z.csv": "3"}),
            ("deep/.*", {".hidden": "4"}),
            ("[!x].*", {"y.txt": "2"}),
        ],
    )
    async def test_a_glob_takes_the_same_of_a_folder_and_of_a_registry(
        self, pattern: str, expected: dict[str, str]
    ) -> None:
        for path, content in TREE.items():
            await self.ops.put_object(f"{self.registry}/raw/in put/{path}", content.encode())
        folder = self.write_files(TREE, "in put")
        origins = (folder, folder.as_uri(), f"{self.registry}/raw/in%20put", f"{self.registry}/raw/in put")
        for number, origin in enumerate(origins):
            found = await self.from_sources(Source(f"{origin}/{pattern}", "to/"), name=f"a/{number}")
            assert found == {f"to/{key}": content.encode() for key, content in expected.items()}, origin

    async def test_where_the_bytes_of_an_older_revision_lie_is_a_source(self) -> None:
        """A version that is no longer the latest, in a bucket that keeps them; and names of wildcards' characters."""
        files = {"a[1]*?.csv": "1", "a1x?.csv": "2"}
        old = await self.create("a/src", files)
        await self.create("a/src", dict.fromkeys(files, "new"), overwrite=True)
        for number, (path, content) in enumerate(files.items()):
            item = await self.ops.stat(self.uri("a/src", top_hash=old.top_hash, path=path))
            assert item.physical_key is not None
            found = await self.from_sources(Source(item.physical_key, "k"), name=f"a/{number}")
            assert found == {"k": content.encode()}

    async def test_an_object_uri_is_a_source(self) -> None:
        await self.ops.put_object(f"{self.registry}/raw/data.csv", b"1,2")
        assert await self.from_sources(Source(f"{self.registry}/raw/data.csv", "d/")) == {
            "d/data.csv": b"1,2"
        }

    @pytest.mark.parametrize(
        ("include", "exclude", "expected"),
        [
            ((), (), {"x.csv", "y.txt", "deep/z.csv", "deep/.hidden"}),
            (("*.csv",), (), {"x.csv", "deep/z.csv"}),
            (("?.csv", "deep/*"), (), {"x.csv", "deep/z.csv", "deep/.hidden"}),
            ((), ("deep/*",), {"x.csv", "y.txt"}),
            ((), ("deep/",), {"x.csv", "y.txt"}),
            ((), ("deep",), {"x.csv", "y.txt"}),
            (("deep",), ("./deep/*.csv",), {"deep/.hidden"}),
            (("*.csv",), ("deep/*",), {"x.csv"}),
            (("[xy].*",), ("*.CSV",), {"x.csv", "y.txt"}),
        ],
    )
    async def test_include_and_exclude_choose_below_every_kind_of_source(
        self, include: tuple[str, ...], exclude: tuple[str, ...], expected: set[str]
    ) -> None:
        for path, content in TREE.items():
            await self.ops.put_object(f"{self.registry}/raw/in/{path}", content.encode())
        await self.create("a/src", {f"in/{path}": content for path, content in TREE.items()})
        origins = (
            str(self.write_files(TREE, "data")),
            f"{self.registry}/raw/in/",
            f"{self.registry}/raw/in",
            str(self.uri("a/src", path="in/")),
        )
        for number, origin in enumerate(origins):
            found = await self.from_sources(
                Source(origin, "to/", include=include, exclude=exclude), name=f"a/{number}"
            )
            assert found == {f"to/{key}": TREE[key].encode() for key in expected}, origin

    async def test_patterns_that_match_nothing_are_warned_of_in_the_plan_and_after(self) -> None:
        folder = str(self.write_files(TREE, "data"))
        await self.create("a/src", TREE)
        for number, origin in enumerate((folder, str(self.uri("a/src")))):
            source = Source(origin, include=("*.csv", "*.tsv"), exclude=("node_modules/", "y.*", "?.c"))
            request = CreateRequest(self.uri(f"a/{number}"), sources=(source,))
            told = f"no_match: in {origin} nothing matches include '*.tsv', exclude 'node_modules/', exclude '?.c'."
            assert (await self.ops.plan_create(request)).warnings == (told,)
            assert told in (await self.ops.create(request)).warnings
        source = Source(folder, exclude=tuple(map(str, range(9))))
        [told] = (await self.ops.plan_create(CreateRequest(self.uri("a/2"), sources=(source,)))).warnings
        assert told.endswith("exclude '4', and 4 more.")

    @pytest.mark.parametrize("copy", [True, False], ids=["copied", "in place"])
    @pytest.mark.parametrize("size", [100, 200 << 10, 20 << 20])
    async def test_case_T7_a_file_rewritten_in_place_while_it_is_read_is_refused(
        self, size: int, copy: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its size stays, and so a mixture of both would have been stored without a word."""
        path = self.write_files({"f": b"1" * size}, "data") / "f"
        os.utime(path, (1_700_000_000, 1_700_000_000))
        reads = [os.pread, os.preadv]
        rewritten: list[bool] = []

        def watched(read: Any) -> Any:
            def read_and_rewrite(fd: int, *rest: Any) -> Any:
                found = read(fd, *rest)
                if not rewritten and os.path.samestat(os.fstat(fd), path.stat()):
                    rewritten.append(True)
                    with path.open("r+b") as file:
                        file.write(b"2" * (size // 2))
                return found

            return read_and_rewrite

        for read in reads:
            monkeypatch.setattr(os, read.__name__, watched(read))
        request = CreateRequest(self.uri("a/changing"), sources=(Source(str(path)),), copy=copy)
        is_refused_anyway = not copy and self.registry.startswith("s3:")
        with pytest.raises(NotSupported if is_refused_anyway else HashMismatch) as caught:
            await self.ops.create(request)
        if not is_refused_anyway:
            assert rewritten
            assert "while it was being read" in caught.value.message
            assert "nothing writes to the file" in caught.value.next_step
        assert "a/changing" not in await self.names()
        monkeypatch.undo()
        if copy:
            await self.ops.create(request)

    async def test_patterns_that_leave_no_file_are_told_as_that(self) -> None:
        folder = self.write_files(TREE, "data")
        await self.create("a/src", TREE)
        for origin in (
            str(folder),
            str(folder / "x.csv"),
            str(self.uri("a/src")),
            str(self.uri("a/src", path="x.csv")),
        ):
            with pytest.raises(SourceNotFound, match="include and exclude"):
                await self.from_sources(Source(origin, exclude=("*",)), name="a/none")
        assert "a/none" not in await self.names()

    async def test_a_file_of_another_package_keeps_its_hash_and_metadata(self) -> None:
        await self.ops.create(
            CreateRequest(self.uri("a/src"), files=(InlineFile("d/f", b"1", metadata={"k": 1}),))
        )
        source = str(self.uri("a/src", path="d/f"))
        assert await self.from_sources(Source(source)) == {"f": b"1"}
        before = await self.ops.stat(self.uri("a/src", path="d/f"))
        after = await self.ops.stat(self.uri("a/b", path="f"))
        assert (after.hash, after.metadata) == (before.hash, {"k": 1})

    async def test_a_folder_of_another_package_goes_below_a_prefix(self) -> None:
        await self.create("a/src", {"d/f": "1", "d/e/g": "2", "d-2/h": "3", "top": "4"})
        source = str(self.uri("a/src", path="d/"))
        assert await self.from_sources(Source(source, "to/")) == {"to/f": b"1", "to/e/g": b"2"}

    async def test_a_whole_package_of_another_revision_and_registry_is_a_source(self) -> None:
        other = PackageUri(self.other_registry, "o/src")
        first = await self.ops.create(CreateRequest(other, files=inline({"f": "1", "d/g": "2"})))
        await self.ops.create(CreateRequest(other, files=inline({"f": "new"}), overwrite=True))
        assert await self.from_sources(Source(first.uri)) == {"f": b"1", "d/g": b"2"}

    async def test_metadata_of_a_source_becomes_each_files_own(self) -> None:
        folder = self.write_files(TREE, "data")
        source = Source(str(folder), metadata={"from": "here"})
        await self.ops.create(CreateRequest(self.uri("a/b"), sources=(source,)))
        assert {str(item.metadata) for item in await self.items(self.uri("a/b"))} == {"{'from': 'here'}"}

    async def test_bytes_are_copied_so_a_revision_stays_when_its_source_changes(self) -> None:
        folder = self.write_files({"f": "before"}, "data")
        await self.ops.create(CreateRequest(self.uri("a/b"), sources=(Source(str(folder)),)))
        (folder / "f").write_text("changed")
        assert await self.contents(self.uri("a/b")) == {"f": b"before"}

    async def test_equal_bytes_are_stored_once(self) -> None:
        await self.create("a/b", {"f": "same", "g": "same"})
        keys = set(self.raw_keys())
        commit = await self.create("a/c", {"h": "same"})
        assert commit.bytes_copied == 0
        assert {key for key in set(self.raw_keys()) - keys if "/named_packages/" not in key} == {
            f".quilt/packages/{commit.top_hash}"
        }

    # -- what is refused --

    @pytest.mark.parametrize("origin", ["missing.csv", "missing/", "nothing-*.csv", "data/x.cvs"])
    async def test_a_source_that_does_not_exist_is_not_found(self, origin: str) -> None:
        self.write_files(TREE, "data")
        with pytest.raises(SourceNotFound):
            await self.from_sources(Source(f"{self.folder}/{origin}"))

    async def test_a_near_source_is_suggested(self) -> None:
        self.write_files(TREE, "data")
        with pytest.raises(SourceNotFound) as caught:
            await self.from_sources(Source(f"{self.folder}/data/y.tx"))
        assert "y.txt" in str(caught.value.details) + caught.value.message

    async def test_an_empty_folder_is_no_source(self) -> None:
        (self.folder / "empty").mkdir(parents=True)
        with pytest.raises(SourceNotFound):
            await self.from_sources(Source(str(self.folder / "empty")))

    async def test_a_package_source_that_does_not_exist_is_not_found(self) -> None:
        await self.create("a/src", {"f": "1"})
        with pytest.raises(PackageNotFound):
            await self.from_sources(Source(str(self.uri("a/nothing"))))
        with pytest.raises(EntryNotFound):
            await self.from_sources(Source(str(self.uri("a/src", path="nothing"))))

    async def test_a_source_outside_the_roots_is_refused_naming_folder_and_flag(self) -> None:
        (self.outside / "secret").write_text("s")
        with pytest.raises(OutsideRoots) as caught:
            await self.from_sources(Source(str(self.outside / "secret")))
        assert "--root" in caught.value.next_step
        assert str(self.outside) in caught.value.next_step
        assert await self.names() == []

    @pytest.mark.parametrize("to", ["/abs", "../up", "a//b", "a/../b", "./a", "a\0b"])
    async def test_a_destination_that_is_no_logical_key_is_refused(self, to: str) -> None:
        folder = self.write_files(TREE, "data")
        with pytest.raises(InvalidName):
            await self.from_sources(Source(str(folder / "x.csv"), to))

    @pytest.mark.parametrize("key", ["", "/", "d/", "../x", "a//b", ".", "a\0"])
    async def test_an_inline_file_needs_a_logical_key(self, key: str) -> None:
        with pytest.raises(InvalidName):
            await self.create("a/b", {key: "1"})
        assert await self.names() == []

    async def test_two_sources_for_one_key_are_refused_and_both_named(self) -> None:
        folder = self.write_files({"one/f": "1", "two/f": "2"})
        with pytest.raises(DuplicateKey) as caught:
            await self.from_sources(Source(str(folder / "one")), Source(str(folder / "two")))
        assert "one" in caught.value.message
        assert "two" in caught.value.message
        with pytest.raises(DuplicateKey):
            await self.ops.create(
                CreateRequest(
                    self.uri("a/b"), sources=(Source(str(folder / "one")),), files=inline({"f": "3"})
                )
            )
        with pytest.raises(DuplicateKey):
            twice = (InlineFile("f", b"1"), InlineFile("f", b"1"))
            await self.ops.create(CreateRequest(self.uri("a/b"), files=twice))

    async def test_a_file_where_a_folder_stands_is_refused(self) -> None:
        with pytest.raises(DuplicateKey):
            await self.create("a/b", {"d": "1", "d/f": "2"})
        with pytest.raises(DuplicateKey):
            await self.create("a/b", {"d/e/f": "2", "d-x": "0", "d/e": "1"})
        assert await self.names() == []

    @pytest.mark.parametrize(
        "metadata", [float("nan"), float("inf"), {"deep": [float("-inf")]}, {1, 2}, b"bytes", {"k": object()}]
    )
    async def test_metadata_that_is_not_json_is_refused(self, metadata: object) -> None:
        with pytest.raises(InvalidMetadata):
            await self.create("a/b", {"f": "1"}, metadata=metadata)
        with pytest.raises(InvalidMetadata):
            files = (InlineFile("f", b"1", metadata=metadata),)
            await self.ops.create(CreateRequest(self.uri("a/b"), files=files))
        assert self.raw_keys() == []

    async def test_metadata_too_large_for_a_record_is_refused_before_anything_is_stored(self) -> None:
        with pytest.raises(QuiltError) as caught:
            await self.create("a/b", {"f": "1"}, metadata={"k": "x" * 1_000_000})
        assert caught.value.code in ("invalid_metadata", "too_large")
        assert self.raw_keys() == []

    async def test_a_target_that_names_a_revision_or_a_path_is_refused(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        for target in (
            self.uri("a/b", commit.top_hash),
            self.uri("a/b", path="d/"),
            self.uri("a/b", tag="latest"),
        ):
            with pytest.raises(InvalidArgument):
                await self.ops.create(CreateRequest(target, files=inline({"f": "2"}), overwrite=True))

    # -- an existing package --

    async def test_an_existing_name_is_refused_and_its_revision_named(self) -> None:
        commit = await self.create("a/b", {"f": "1"})
        before = self.snapshot()
        for call in (self.ops.create, self.ops.plan_create):
            with pytest.raises(AlreadyExists) as caught:
                await call(CreateRequest(self.uri("a/b"), files=inline({"f": "2"})))
            assert caught.value.details["top_hash"] == commit.top_hash
        assert self.snapshot() == before

    async def test_overwrite_replaces_everything_and_counts_kept_added_and_removed(self) -> None:
        await self.create("a/b", {"kept": "1", "changed": "2", "gone": "3"}, metadata={"old": 1})
        commit = await self.create("a/b", {"kept": "1", "changed": "22", "new": "4"}, overwrite=True)
        plan = commit.plan
        assert (plan.added, plan.replaced, plan.removed, plan.kept) == (1, 1, 1, 1)
        assert await self.contents(self.uri("a/b")) == {"kept": b"1", "changed": b"22", "new": b"4"}
        assert len(await self.log("a/b")) == 2

    async def test_making_the_very_same_revision_again_writes_no_line_of_log(self) -> None:
        first = await self.create("a/b", {"f": "1"}, message="m")
        again = await self.create("a/b", {"f": "1"}, message="m", overwrite=True)
        assert (again.top_hash, again.created) == (first.top_hash, False)
        assert len(await self.log("a/b")) == 1

    async def test_a_package_deleted_may_be_made_again(self) -> None:
        await self.create("a/b", {"f": "1"})
        await self.ops.delete(self.uri("a/b"), whole=True)
        again = await self.create("a/b", {"f": "1"})
        assert again.created
        assert await self.contents(self.uri("a/b")) == {"f": b"1"}

    # -- plans and outcomes --

    async def test_a_plan_writes_nothing_and_says_what_create_then_does(self) -> None:
        folder = self.write_files(TREE, "data")
        request = CreateRequest(
            self.uri("a/b"),
            sources=(Source(str(folder), "d/"),),
            files=inline({"README.md": "hi"}),
            message="m",
        )
        plan = await self.ops.plan_create(request)
        assert self.raw_keys() == []
        assert (plan.parent, plan.added, plan.kept, plan.bytes_to_copy) == (None, 5, 0, 6)
        assert [(change.action, change.path, change.size) for change in plan.changes] == [
            ("add", "README.md", 2), ("add", "d/deep/.hidden", 1), ("add", "d/deep/z.csv", 1), ("add", "d/x.csv", 1),
            ("add", "d/y.txt", 1),
        ]  # fmt: skip
        assert (await self.ops.plan_create(request)) == plan
        commit = await self.ops.create(request)
        assert commit.plan == plan
        assert commit.bytes_copied == plan.bytes_to_copy

    async def test_a_commit_names_the_revision_that_readers_now_see(self) -> None:
        commit = await self.create("a/b", {"f": "1"}, metadata={"k": 1}, message="first")
        found = await self.ops.browse(PackageUri.parse(commit.uri))
        assert (found.top_hash, found.message, found.metadata) == (commit.top_hash, "first", {"k": 1})
        assert await self.latest("a/b") == commit.top_hash
        assert commit.created
        assert sorted(self.pointers("a/b").values()) == [commit.top_hash] * 2

    async def test_progress_ends_at_all_of_the_bytes(self) -> None:
        folder = self.write_files({f"f{n}": "x" * n for n in range(1, 6)}, "data")
        seen: list[tuple[float, float | None]] = []

        async def progress(done: float, total: float | None, message: str) -> None:
            seen.append((done, total))

        await self.ops.create(CreateRequest(self.uri("a/b"), sources=(Source(str(folder)),)), progress)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1] == (15, 15)

    # -- copy=False --

    async def test_without_copy_files_are_referred_to_where_they_lie(self) -> None:
        lying = self.write_where_it_may_stay({"f": "1"}, "data/")
        commit = await self.ops.create(CreateRequest(self.uri("a/b"), sources=(Source(lying),), copy=False))
        assert (commit.bytes_copied, commit.plan.bytes_to_copy) == (0, 0)
        item = await self.ops.stat(self.uri("a/b", path="f"))
        assert item.physical_key is not None
        assert item.physical_key.partition("?")[0] == f"{lying}f"
        assert await self.contents(self.uri("a/b")) == {"f": b"1"}
        self.raw_change(item.physical_key, b"2")
        report = await self.ops.verify(self.uri("a/b"))
        assert [(problem.path, problem.problem) for problem in report.problems] == [("f", "hash")]

    async def test_with_and_without_copy_the_top_hash_is_the_same(self) -> None:
        sources = (Source(self.write_where_it_may_stay(TREE, "data/")),)
        in_place = await self.ops.create(CreateRequest(self.uri("a/b"), sources=sources, copy=False))
        copied = await self.ops.create(CreateRequest(self.uri("a/c"), sources=sources))
        assert in_place.top_hash == copied.top_hash
        assert (in_place.bytes_copied, copied.bytes_copied) == (0, 4)
        self.write_where_it_may_stay({"x.csv": "changed"}, "data/")
        assert (await self.contents(self.uri("a/c")))["x.csv"] == b"1"

    # -- what cannot be taken, and what is left out --

    async def test_what_exclude_names_is_not_looked_at_case_A8(self) -> None:
        folder = self.write_files({"a.txt": "a", "deep/b.txt": "b"}, below="mixed")
        (folder / "deep/[out]").symlink_to(self.outside)
        (self.outside / "secret").write_text("secret")
        (folder / "deep/out*.txt").symlink_to(self.outside / "secret")
        (folder / "caf\udce9").write_text("x")
        source = Source(str(folder))
        for expected in ("caf", "deep/out*.txt"):
            with pytest.raises((OutsideRoots, InvalidName)) as caught:
                await self.ops.plan_create(CreateRequest(self.uri("a/b"), (source,)))
            assert expected in caught.value.message
            assert "exclude=" in caught.value.next_step
            source = replace(source, exclude=(*source.exclude, "caf*" if expected == "caf" else "out*"))
        await self.ops.create(CreateRequest(self.uri("a/b"), (source,)))
        assert await self.paths(self.uri("a/b")) == ["a.txt", "deep/b.txt"]

    async def test_the_exclude_that_a_refusal_gives_works_as_it_is_case_E8(self) -> None:
        folder = self.write_files({"a.txt": "a"}, below="links")
        (self.outside / "secret").write_text("secret")
        (folder / "o[u]t*").symlink_to(self.outside / "secret")
        source = Source(str(folder))
        with pytest.raises(OutsideRoots) as caught:
            await self.ops.plan_create(CreateRequest(self.uri("a/b"), (source,)))
        source = replace(source, exclude=(caught.value.details["exclude"],))
        assert (await self.ops.plan_create(CreateRequest(self.uri("a/b"), (source,)))).added == 1

    async def test_a_private_source_is_told_to_be_less_private_in_the_registry_case_X12(self) -> None:
        folder = self.write_files({"a.txt": "a", "b.txt": "b"}, below="private")
        (folder / "b.txt").chmod(0o600)
        request = CreateRequest(self.uri("a/b"), (Source(str(folder)),))
        for plan in (await self.ops.plan_create(request), (await self.ops.create(request)).plan):
            (warning,) = [one for one in plan.warnings if one.startswith("private: ")]
            assert "b.txt" in warning and "a.txt" not in warning

    async def test_a_number_that_is_no_json_is_named_by_its_place_case_E8(self) -> None:
        metadata = {"a": [1, {"b/c": float("nan")}]}
        for request in (
            CreateRequest(self.uri("a/b"), files=inline({"f": "x"}), metadata=metadata),
            CreateRequest(self.uri("a/b"), files=(InlineFile("f", b"x", metadata),)),
        ):
            for verb in (self.ops.plan_create, self.ops.create):
                with pytest.raises(InvalidMetadata) as caught:
                    await verb(request)
                assert "NaN stands at /a/1/b/c" in caught.value.message
                assert "Give null" in caught.value.next_step
