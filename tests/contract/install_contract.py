"""Taking a revision out and holding it to its word: install, verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ops_base import NOWHERE, OpsContract, record

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Rename
from quilt_mcp.errors import (
    AlreadyExists,
    CredentialPlace,
    EntryNotFound,
    HashMismatch,
    InvalidArgument,
    InvalidName,
    InvalidUri,
    NotFound,
    OutsideRoots,
    PackageNotFound,
    QuiltError,
    SourceNotFound,
)
from quilt_mcp.registry.reading import left_behind

FILES = {"README.md": "# hi", "a/x.csv": "1,2\n", "a/deep/z": "z", "a-b/x": "x"}

LARGE = (8 << 20) + 1
"""Bytes of a file that verify reads in parts."""


class InstallContract(OpsContract):
    def installed(self) -> dict[str, str]:
        """What stands in ``dest``."""
        return {
            os.path.relpath(os.path.join(folder, name), self.dest): _text(os.path.join(folder, name))
            for folder, _, names in os.walk(self.dest)
            for name in names
        }

    async def physical_key(self, name: str, path: str) -> str:
        key = (await self.ops.stat(self.uri(name, path=path))).physical_key
        assert key is not None
        return key

    # -- install --

    @pytest.mark.parametrize(
        "key", [".ssh/authorized_keys", "a/.AWS/config", ".netrc", ".config/gcloud/x.json"]
    )
    async def test_case_S1_no_package_writes_a_place_of_credentials(self, key: str) -> None:
        await self.create("a/b", {"good.txt": "1", key: "forged"})
        for dry_run in (True, False):
            with pytest.raises(CredentialPlace, match="place of credentials"):
                await self.ops.install(self.uri("a/b"), str(self.dest), overwrite=True, dry_run=dry_run)
        assert not self.dest.exists(), "nothing refused has changed anything"
        await self.ops.install(self.uri("a/b", path="good.txt"), str(self.dest))
        assert self.installed() == {"good.txt": "1"}

    async def test_case_S1_verify_reads_no_place_of_credentials(self) -> None:
        await self.create("a/b", {"good.txt": "1", ".ssh/id_rsa": "guess"})
        await self.ops.install(self.uri("a/b", path="good.txt"), str(self.dest))
        (self.dest / ".ssh").mkdir()
        (self.dest / ".ssh/id_rsa").write_text("guess")
        found = await self.ops.verify(self.uri("a/b"), dest=str(self.dest))
        assert not found.ok
        assert {(one.path, one.problem) for one in found.problems} == {
            (".ssh", "extra"), (".ssh/id_rsa", "unreadable"),
        }  # fmt: skip
        assert all("place of credentials" in str(one.found) for one in found.problems)
        with pytest.raises(CredentialPlace):
            await self.ops.verify(self.uri("a/b", path=".ssh/id_rsa"), dest=str(self.dest / ".ssh"))

    async def test_install_puts_every_file_in_its_place(self) -> None:
        commit = await self.create("a/b", FILES)
        outcome = await self.ops.install(self.uri("a/b"), str(self.dest))
        assert self.installed() == FILES
        assert (outcome.installed, outcome.unchanged, outcome.bytes_copied) == (4, 0, 10)
        assert (outcome.done, outcome.uri) == (True, commit.uri)
        verified = await self.ops.verify(self.uri("a/b"), dest=str(self.dest))
        assert (verified.ok, verified.dest) == (True, outcome.dest)
        assert (await self.ops.verify(self.uri("a/b"))).dest is None

    async def test_a_dry_run_installs_nothing_and_says_what_would_be(self) -> None:
        await self.create("a/b", FILES)
        outcome = await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=True)
        assert (outcome.installed, outcome.bytes_copied, outcome.done) == (4, 10, False)
        assert self.installed() == {}

    async def test_a_dry_run_lists_the_first_files_and_what_would_become_of_them(self) -> None:
        await self.create("a/b", {**FILES, **{f"many/{number:02}": "1" for number in range(30)}})
        self.dest.mkdir(parents=True)
        (self.dest / "README.md").write_text("mine")
        planned = await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=True, overwrite=True)
        assert (planned.installed, len(planned.changes)) == (34, 20)
        first = [(one.path, one.action, one.size) for one in planned.changes[:3]]
        assert first == [("README.md", "replace", 4), ("a/deep/z", "add", 1), ("a/x.csv", "add", 4)]
        done = await self.ops.install(self.uri("a/b"), str(self.dest), overwrite=True)
        assert done.changes == planned.changes
        assert (await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=True)).changes == ()

    async def left(self, package: PackageUri, **more: Any) -> list[str]:
        outcome = await self.ops.install(package, str(self.dest), overwrite=True, **more)
        return [one.partition(": ")[2] for one in outcome.warnings if one.startswith("left_behind: ")]

    async def test_files_that_another_revision_left_in_the_folder_are_told_and_stay(self) -> None:
        first = await self.create("a/b", {**FILES, "gone": "1"})
        await self.patch("a/b", remove=("gone",), rename=(Rename("a/", "moved/"),))
        await self.patch("a/b", {"new": "2"})
        assert await self.left(self.uri("a/b", first.top_hash)) == []
        (self.dest / "mine").write_text("my own")
        for dry_run in (True, False):
            (told,) = await self.left(self.uri("a/b"), dry_run=dry_run)
            assert told.startswith("3 files ") and told.endswith(": a/deep/z, a/x.csv, gone.")
        assert {"gone", "a/x.csv", "mine", "new"} <= self.installed().keys()
        assert await self.left(self.uri("a/b", path="moved/")) == []
        (told,) = await self.left(self.uri("a/b", first.top_hash))
        assert told.endswith(": moved/deep/z, moved/x.csv, new.")

    async def test_many_files_left_in_the_folder_are_counted_and_the_first_named(self) -> None:
        first = await self.create("a/b", {f"{number}": "1" for number in range(8)})
        await self.patch("a/b", {"x": "1"}, remove=("[1-7]",))
        await self.left(self.uri("a/b", first.top_hash))
        (self.dest / "7").unlink()
        (self.dest / "7").mkdir()
        (told,) = await self.left(self.uri("a/b"))
        assert told.startswith("6 files ") and told.endswith(": 1, 2, 3, 4, 5 and 1 more.")

    async def test_what_was_left_is_looked_for_within_bounds_and_past_damage(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = await self.create("a/b", {"f": "1", "gone": "1"})
        second = await self.patch("a/b", remove=("gone",))
        await self.left(self.uri("a/b", first.top_hash))
        for name in ("PATHS", "REVISIONS"):
            with monkeypatch.context() as bounds:
                bounds.setattr(left_behind, name, 0)
                assert await self.left(self.uri("a/b")) == []
        self.set_pointer("a/b", "1500000000", NOWHERE)
        newest = max(int(tag) for tag in self.pointers("a/b") if tag != "latest")
        self.set_pointer("a/b", str(newest), first.top_hash)
        assert await self.latest("a/b") == second.top_hash
        assert len(await self.left(self.uri("a/b"))) == 1

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("a/", {"a/x.csv", "a/deep/z"}),
            ("a", {"a/x.csv", "a/deep/z"}),
            ("a/x.csv", {"a/x.csv"}),
            ("a-b/", {"a-b/x"}),
        ],
    )
    async def test_a_path_limits_the_installation_and_keys_stay(self, path: str, expected: set[str]) -> None:
        await self.create("a/b", FILES)
        await self.ops.install(self.uri("a/b", path=path), str(self.dest))
        assert set(self.installed()) == expected

    async def test_an_old_revision_is_installed_as_it_was(self) -> None:
        first = await self.create("a/b", {"f": "1"})
        await self.patch("a/b", {"f": "2"})
        await self.ops.install(self.uri("a/b", first.top_hash), str(self.dest))
        assert self.installed() == {"f": "1"}

    async def test_run_again_it_takes_what_is_there_and_brings_what_is_missing(self) -> None:
        await self.create("a/b", FILES)
        await self.ops.install(self.uri("a/b"), str(self.dest))
        (self.dest / "a/x.csv").unlink()
        (self.dest / "mine").write_text("my own file")
        outcome = await self.ops.install(self.uri("a/b"), str(self.dest))
        assert (outcome.installed, outcome.unchanged, outcome.bytes_copied) == (1, 3, 4)
        assert self.installed() == {**FILES, "mine": "my own file"}

    async def test_a_differing_file_is_refused_before_anything_is_written(self) -> None:
        await self.create("a/b", FILES)
        (self.dest / "a").mkdir(parents=True)
        (self.dest / "a/x.csv").write_text("mine")
        for dry_run in (True, False):
            with pytest.raises(AlreadyExists) as caught:
                await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=dry_run)
            assert caught.value.details["paths"] == ["a/x.csv"]
        assert self.installed() == {"a/x.csv": "mine"}

    async def test_overwrite_replaces_a_differing_file(self) -> None:
        await self.create("a/b", FILES)
        (self.dest / "a").mkdir(parents=True)
        (self.dest / "a/x.csv").write_text("mine")
        outcome = await self.ops.install(self.uri("a/b"), str(self.dest), overwrite=True)
        assert outcome.installed == 4
        assert self.installed() == FILES

    async def test_damaged_bytes_are_not_installed(self) -> None:
        await self.create("a/b", {"f": "hello", "g": "fine"})
        self.raw_change(await self.physical_key("a/b", "f"), b"hellO")
        with pytest.raises(HashMismatch):
            await self.ops.install(self.uri("a/b"), str(self.dest))
        assert "f" not in self.installed()
        assert self.installed().items() <= {"g": "fine"}.items()
        self.raw_change(await self.physical_key("a/b", "f"), b"longer than it was")
        with pytest.raises(HashMismatch):
            await self.ops.install(self.uri("a/b", path="f"), str(self.dest))
        self.raw_change(await self.physical_key("a/b", "f"), None)
        with pytest.raises(NotFound):
            await self.ops.install(self.uri("a/b", path="f"), str(self.dest))

    async def test_a_destination_outside_the_roots_is_refused(self) -> None:
        await self.create("a/b", FILES)
        with pytest.raises(OutsideRoots):
            await self.ops.install(self.uri("a/b"), str(self.outside / "here"))
        assert list(self.outside.iterdir()) == []

    async def test_a_link_in_the_destination_is_not_followed_out(self) -> None:
        await self.create("a/b", FILES)
        self.dest.mkdir(parents=True)
        (self.dest / "a").symlink_to(self.outside)
        (self.outside / "mine").write_text("untouched")
        with pytest.raises(QuiltError):
            await self.ops.install(self.uri("a/b"), str(self.dest), overwrite=True)
        assert [path.name for path in self.outside.iterdir()] == ["mine"]

    async def test_a_registrys_own_folder_is_not_installed_into(self) -> None:
        await self.create("a/b", FILES)
        if not self.registry.startswith("file://"):
            pytest.skip("the registry is not a local folder")
        folder = self.registry.removeprefix("file://")
        before = self.snapshot()
        with pytest.raises(QuiltError):
            await self.ops.install(self.uri("a/b"), f"{folder}/.quilt/named_packages")
        key = (await self.items(self.uri("a/b")))[0]
        top_hash = self.set_package("h/h", record(key, logical_key=".quilt/named_packages/x/y/latest"))
        with pytest.raises(QuiltError):
            await self.ops.install(self.uri("h/h"), folder)
        assert set(self.snapshot()) - set(before) == {
            f".quilt/packages/{top_hash}",
            ".quilt/named_packages/h/h/1700000000",
            ".quilt/named_packages/h/h/latest",
        }

    async def test_what_is_not_there_cannot_be_installed(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.ops.install(self.uri("a/b"), str(self.dest))
        await self.create("a/b", FILES)
        with pytest.raises(EntryNotFound):
            await self.ops.install(self.uri("a/b", path="nothing/"), str(self.dest))

    async def test_progress_ends_at_all_of_the_bytes_installed_and_verified(self) -> None:
        await self.create("a/b", FILES)
        seen: list[tuple[float, float | None]] = []

        async def progress(done: float, total: float | None, message: str) -> None:
            seen.append((done, total))

        await self.ops.install(self.uri("a/b"), str(self.dest), progress=progress)
        assert seen[-1] == (10, 10)
        seen.clear()
        await self.ops.verify(self.uri("a/b"), progress=progress)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1] == (10, 10)

    # -- verify --

    async def test_a_whole_package_verifies(self) -> None:
        commit = await self.create("a/b", FILES)
        report = await self.ops.verify(self.uri("a/b"))
        assert (report.ok, report.manifest_ok, report.problems, report.uri) == (True, True, (), commit.uri)
        assert (report.checked.entries, report.checked.bytes) == (4, 10)
        assert report.checks == {"sha2-256-chunked": 4}

    async def test_verify_reads_no_more_than_the_path_asks(self) -> None:
        await self.create("a/b", FILES)
        self.raw_change(await self.physical_key("a/b", "README.md"), b"broken")
        assert (await self.ops.verify(self.uri("a/b", path="a/"))).checked.entries == 2
        assert (await self.ops.verify(self.uri("a/b", path="a/x.csv"))).ok
        assert not (await self.ops.verify(self.uri("a/b"))).ok

    async def test_each_kind_of_problem_is_told_apart(self) -> None:
        await self.create(
            "a/b", {"gone": "1", "short": "12", "flipped": "123", "fine": "1234", "odd": "12345"}
        )
        items = {item.path: item for item in await self.items(self.uri("a/b"))}
        self.set_package(
            "h/h",
            *(record(items[path]) for path in ("fine", "flipped", "gone")),
            record(items["odd"], hash={"type": "NEW", "value": "x"}),
            record(items["fine"], logical_key="outside", physical_keys=[(self.outside / "f").as_uri()]),
            record(items["short"]),
        )
        (self.outside / "f").write_text("1234")
        for path, content in (("gone", None), ("short", b"1"), ("flipped", b"12x")):
            self.raw_change(await self.physical_key("a/b", path), content)
        report = await self.ops.verify(self.uri("h/h"))
        outside = "not_allowed" if self.registry.startswith("file:") else "unreadable"
        assert [(problem.path, problem.problem) for problem in report.problems] == [
            ("flipped", "hash"), ("gone", "missing"), ("odd", "unsupported_hash"), ("outside", outside),
            ("short", "size"),
        ]  # fmt: skip
        assert (report.ok, report.manifest_ok, report.problem_count) == (False, True, 5)
        assert report.checked.entries == 6
        found = {problem.path: problem for problem in report.problems}
        assert (found["short"].expected, found["short"].found) == ("2", "1")

    async def test_an_installed_copy_is_verified_where_it_stands(self) -> None:
        await self.create("a/b", FILES)
        await self.ops.install(self.uri("a/b"), str(self.dest))
        (self.dest / "README.md").write_text("# hj")
        (self.dest / "a/x.csv").unlink()
        (self.dest / "a/extra").write_text("more")
        report = await self.ops.verify(self.uri("a/b"), dest=str(self.dest))
        assert [(problem.path, problem.problem) for problem in report.problems] == [
            ("README.md", "hash"), ("a/extra", "extra"), ("a/x.csv", "missing"),
        ]  # fmt: skip
        assert (await self.ops.verify(self.uri("a/b", path="a-b/"), dest=str(self.dest))).ok

    async def test_an_odd_file_in_an_installed_copy_is_one_problem_beside_the_others(self) -> None:
        await self.create("a/b", FILES)
        await self.ops.install(self.uri("a/b"), str(self.dest))
        (self.outside / "f").write_text("# hi")
        for name in ("README.md", "a/deep/z"):
            (self.dest / name).unlink()
        (self.dest / "README.md").symlink_to(self.outside / "f")
        (self.dest / "a/notes").symlink_to(self.outside / "f")
        (self.dest / "a/here").symlink_to(self.dest / "a-b")
        (self.dest / "a/nowhere").symlink_to("nothing")
        os.mkfifo(self.dest / "a/pipe")
        Path(os.fsdecode(os.fsencode(self.dest) + b"/\xff.csv")).write_text("12")
        (self.dest / "z").write_text("123")
        report = await self.ops.verify(self.uri("a/b"), dest=str(self.dest))
        assert [(problem.path, problem.problem, problem.found) for problem in report.problems[1:]] == [
            ("\\xff.csv", "extra", "2 bytes"),
            ("a/deep/z", "missing", report.problems[2].found),
            ("a/here", "extra", "a symbolic link"),
            ("a/notes", "extra", "a symbolic link"),
            ("a/nowhere", "extra", "a symbolic link"),
            ("a/pipe", "extra", "a pipe, socket or device"),
            ("z", "extra", "3 bytes"),
        ]
        assert (report.problems[0].path, report.problems[0].problem) == ("README.md", "unreadable")
        assert (report.checked.entries, report.problem_count) == (4, 8)

    async def test_a_copy_whose_folder_cannot_be_used_is_refused_before_anything_is_read(self) -> None:
        await self.create("a/b", FILES)
        self.dest.parent.mkdir(parents=True, exist_ok=True)
        file = self.dest.parent / "file"
        file.write_text("not a folder")
        steps: list[str] = []

        async def progress(done: float, total: float | None, message: str) -> None:
            steps.append(message)

        for dest, error in (
            (self.dest, SourceNotFound),
            (file, SourceNotFound),
            (self.outside, OutsideRoots),
        ):
            for path in (None, "a/", "README.md"):
                if (dest, path) == (file, "README.md"):
                    continue
                with pytest.raises(error):
                    await self.ops.verify(self.uri("a/b", path=path), dest=str(dest), progress=progress)
        assert steps == []
        self.dest.mkdir()
        report = await self.ops.verify(self.uri("a/b", path="a/"), dest=str(self.dest))
        assert [problem.problem for problem in report.problems] == ["missing", "missing"]

    async def test_a_single_file_is_compared_with_a_single_file_of_any_name(self) -> None:
        await self.create("a/b", {"data/x.csv": "1,2", "large.bin": b"x" * LARGE})
        self.dest.mkdir(parents=True, exist_ok=True)
        for name, content, path, problems in (
            ("right.csv", b"1,2", "data/x.csv", []),
            ("wrong.csv", b"1,3", "data/x.csv", [("data/x.csv", "hash")]),
            ("short.csv", b"1", "data/x.csv", [("data/x.csv", "size")]),
            ("right.bin", b"x" * LARGE, "large.bin", []),
            ("wrong.bin", b"x" * (LARGE - 1) + b"y", "large.bin", [("large.bin", "hash")]),
        ):
            (self.dest / name).write_bytes(content)
            report = await self.ops.verify(self.uri("a/b", path=path), dest=str(self.dest / name))
            assert [(one.path, one.problem) for one in report.problems] == problems, name
            assert (report.ok, report.checked.entries) == (not problems, 1)
        for path in ("data", None):
            with pytest.raises(SourceNotFound, match="is a file"):
                await self.ops.verify(self.uri("a/b", path=path), dest=str(self.dest / "right.csv"))
        with pytest.raises(SourceNotFound):
            await self.ops.verify(self.uri("a/b", path="data/x.csv"), dest=str(self.dest / "none.csv"))

    @pytest.mark.parametrize("edit", [{"size": 2}, {"meta": {"user_meta": {"k": 1}}}])
    async def test_a_changed_manifest_does_not_verify(self, edit: dict[str, Any]) -> None:
        commit = await self.create("a/b", {"f": "1"})
        item = await self.ops.stat(self.uri("a/b", path="f"))
        self.set_package("a/b", record(item, **edit), top_hash=commit.top_hash)
        assert not (await self.ops.verify(self.uri("a/b"))).manifest_ok

    async def test_what_is_not_there_cannot_be_verified(self) -> None:
        with pytest.raises(PackageNotFound):
            await self.ops.verify(self.uri("a/b"))
        await self.create("a/b", FILES)
        with pytest.raises(EntryNotFound):
            await self.ops.verify(self.uri("a/b", path="nothing"))

    # -- what a package may not bring, and what is told (cases X11, W9) --

    @pytest.mark.parametrize(
        "path",
        [
            ".git/hooks/post-checkout", "deep/.GIT/config", ".g\u200cit/config", ".git./config", ".ｇit/config",
        ],
    )  # fmt: skip
    async def test_a_package_with_what_git_runs_is_refused_whole_case_X11(self, path: str) -> None:
        await self.create("a/b", {"A first": "1", path: "x", "z": "2"})
        for dry_run in (True, False):
            with pytest.raises(InvalidArgument) as caught:
                await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=dry_run)
            assert caught.value.details["path"] == path
            assert "path argument" in caught.value.next_step
        assert self.installed() == {}
        await self.ops.install(self.uri("a/b", path="z"), str(self.dest))
        assert set(self.installed()) == {"z"}

    async def test_what_tools_would_run_is_named_case_X11(self) -> None:
        run = [".envrc", ".mcp.json", ".vscode/tasks.json", "AGENTS.md", "tests/conftest.py"]
        await self.create("a/b", dict.fromkeys([*run, "Makefile", "data.csv", ".gitignore"], "x"))
        for dry_run in (True, False):
            outcome = await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=dry_run)
            (warning,) = outcome.warnings
            assert warning.startswith("run_by_tools: ")
            assert all(name in warning for name in run)
            assert "Makefile" not in warning and ".gitignore" not in warning
        again = await self.ops.install(self.uri("a/b"), str(self.dest))
        assert again.unchanged == 8 and again.warnings == outcome.warnings
        await self.create("c/d", {"settings.json": "x"})
        inside = await self.ops.install(self.uri("c/d"), f"{self.dest}/.claude", dry_run=True)
        assert [warning.partition(":")[0] for warning in inside.warnings] == ["run_by_tools"]

    async def test_a_folder_is_named_by_a_path_or_a_file_url_and_no_other_case_W9(self) -> None:
        await self.create("a/b", FILES)
        await self.ops.install(self.uri("a/b"), f"{self.dest.as_uri()}/with%20space")
        assert set(self.installed()) == {f"with space/{key}" for key in FILES}
        assert (await self.ops.verify(self.uri("a/b"), dest=f"{self.dest.as_uri()}/with%20space")).ok
        for dest in (
            "s3://vers/x",
            "https://example.org/x",
            "quilt+s3://b#package=a/b",
            "S3://vers/x",
            "",
            " ",
        ):
            for verb in (self.ops.install, self.ops.verify):
                with pytest.raises(InvalidUri) as caught:
                    await verb(self.uri("a/b"), dest=dest)
                assert not dest.strip() or "package_copy" in caught.value.next_step
        assert not any(name.endswith(":") for name in os.listdir(self.dest.parent))

    # -- what stands in the way (case E8) --

    async def test_a_file_or_folder_in_the_way_is_told_before_anything_is_written_case_E8(self) -> None:
        await self.create("a/b", {"0": "first", "a/deep/z": "z", "f": "f"})
        (self.dest / "f").mkdir(parents=True)
        for place in ("f", "a"):
            for dry_run in (True, False):
                with pytest.raises(AlreadyExists) as caught:
                    await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=dry_run, overwrite=True)
                assert caught.value.details["path"].endswith(place)
                assert "Move it away" in caught.value.next_step
            assert not (self.dest / "0").exists()
            if place == "f":
                (self.dest / "f").rmdir()
                (self.dest / "a").write_text("a file")

    async def test_a_name_too_long_for_the_folder_is_told_before_anything_is_written_case_E8(self) -> None:
        await self.create("a/b", {"0": "first", "x" * 300: "z"})
        for dry_run in (True, False):
            with pytest.raises(InvalidName) as caught:
                await self.ops.install(self.uri("a/b"), str(self.dest), dry_run=dry_run)
            assert "path argument" in caught.value.next_step and "rename" in caught.value.next_step
        assert self.installed() == {}


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
