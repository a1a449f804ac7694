"""The local backend keeps the contract of QuiltOps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ops_base import record
from ops_contract import QuiltOpsContract

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.plan import CreateRequest, PatchRequest, Source
from quilt_mcp.errors import AlreadyExists, HashMismatch, NotSupported, ObjectNotFound, RegistryNotFound
from quilt_mcp.registry.manifests.cache import ManifestCache

PAGE = 1000


class TestLocalOps(QuiltOpsContract):
    @pytest.fixture(autouse=True)
    def open_backend(self, tmp_path: Path) -> None:
        allowed = tmp_path / "allowed"
        self.root = allowed / "registry"
        other = allowed / "other"
        self.folder, self.dest = allowed / "sources", allowed / "installed"
        self.outside = tmp_path / "outside"
        for folder in (self.root, other, self.folder, self.outside):
            folder.mkdir(parents=True)
        self.registry, self.other_registry = self.root.as_uri(), other.as_uri()
        self.ops, self.reader = (
            LocalOps(
                self.registry,
                Options(
                    roots=(allowed,),
                    writable=writable,
                    cache=tmp_path / f"cache-{writable}",
                    cache_bytes=1 << 20,
                ),
            )
            for writable in (True, False)
        )

    def raw_set(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def raw_get(self, key: str) -> bytes | None:
        path = self.root / key
        return path.read_bytes() if path.is_file() else None

    def raw_delete(self, key: str) -> None:
        (self.root / key).unlink()

    def raw_keys(self, prefix: str = "") -> list[str]:
        """All but the locks, which a local registry keeps beside its objects."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        keys = (path.relative_to(self.root).as_posix() for path in files)
        return sorted(key for key in keys if key.startswith(prefix) and not key.startswith(".quilt/locks/"))

    def raw_change(self, physical_key: str, content: bytes | None) -> None:
        path = Path(PhysicalKey.parse(physical_key).path)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    async def test_a_configured_folder_that_is_not_there_yet_is_empty(self) -> None:
        self.root.rmdir()
        page = await self.reader.list_packages(self.registry)
        assert (page.items, page.total) == ((), 0)
        assert page.warnings[0].startswith("registry_empty:")

    async def test_a_package_of_several_pages_is_installed_where_files_are_missing_and_verified(self) -> None:
        names = [f"{number:04d}" for number in range(2 * PAGE + 1)]
        files = {name: f"content {name}" for name in names}
        commit = await self.create("a/b", files)
        kept = [name for number, name in enumerate(names) if number % 3 == 0]
        differing = [names[1], names[PAGE], names[-2]]
        for name in kept:
            self.write_installed(name, files[name])
        for name in differing:
            self.write_installed(name, "another")
        with pytest.raises(AlreadyExists) as refused:
            await self.ops.install(commit.plan.package, str(self.dest))
        assert (refused.value.details["count"], refused.value.details["paths"]) == (3, differing)
        outcome = await self.ops.install(commit.plan.package, str(self.dest), overwrite=True)
        assert (outcome.installed, outcome.unchanged) == (len(names) - len(kept), len(kept))
        assert {path.name: path.read_text() for path in self.dest.iterdir()} == files
        assert (await self.ops.verify(commit.plan.package, dest=str(self.dest))).checked.entries == len(names)

    async def test_case_S3_files_outside_the_roots_are_told_once_and_are_no_damage(self) -> None:
        """As `quilt3 ... build` leaves them: where they lie."""
        await self.create("a/b", {"fine": "1", "flipped": "2"})
        items = {item.path: item for item in await self.items(self.uri("a/b"))}
        self.raw_change(items["flipped"].physical_key or "", b"3")
        folders = [self.outside / "one", self.outside / "one/deep", self.outside / "other one"]
        records: list[str] = []
        for number, folder in enumerate(folders):
            folder.mkdir()
            (folder / "f").write_text("1")
            key = f"out/{number}"
            records.append(record(items["fine"], logical_key=key, physical_keys=[(folder / "f").as_uri()]))
        secret = (self.folder / ".ssh/id_key").as_uri()
        records.append(record(items["fine"], logical_key="secret", physical_keys=[secret]))
        self.set_package("h/h", record(items["fine"]), record(items["flipped"]), *records)
        browsed = await self.ops.browse(self.uri("h/h"))
        report = await self.ops.verify(self.uri("h/h"))
        flags = f"--root {self.outside / 'one'} --root '{self.outside / 'other one'}'"
        for warnings in (browsed.page.warnings, report.warnings):
            (warning,) = warnings
            assert warning.startswith("outside_roots: ") and flags in warning and ".ssh" not in warning
        assert [(one.path, one.problem) for one in report.problems] == [
            ("flipped", "hash"), ("out/0", "not_allowed"), ("out/1", "not_allowed"), ("out/2", "not_allowed"),
            ("secret", "not_allowed"),
        ]  # fmt: skip
        assert (await self.ops.browse(self.uri("a/b"))).page.warnings == ()

    async def test_what_lies_in_a_bucket_is_unreadable_without_credentials_and_told_once_case_T5(
        self,
    ) -> None:
        await self.create("a/b", {"here": "1"})
        [here] = await self.items(self.uri("a/b"))
        keys = [f"s3://bucket/{number}?versionId=v" for number in range(300)]
        entries = [
            record(here, logical_key=f"k{number}", physical_keys=[key]) for number, key in enumerate(keys)
        ]
        self.set_package("h/h", record(here), *entries)
        report = await self.ops.verify(self.uri("h/h"))
        assert [problem.problem for problem in report.problems] == ["unreadable"]
        assert (report.ok, report.problem_count, report.checked.entries) == (False, 300, 301)
        (warning,) = report.warnings
        assert warning.startswith("unreadable: 300 files ") and "--anonymous" in warning
        with pytest.raises(NotSupported) as caught:
            await self.ops.read(self.uri("h/h", path="k1"))
        assert "--anonymous" in caught.value.next_step

    def write_installed(self, name: str, content: str) -> None:
        self.dest.mkdir(exist_ok=True)
        (self.dest / name).write_text(content)

    @pytest.mark.sampled(4)
    @pytest.mark.parametrize("size", [1, 100_000])
    @pytest.mark.parametrize("damage", ["lost", "cut short", "grown", "flipped"])
    @pytest.mark.parametrize("way", ["patch", "another package", "inline"])
    async def test_bytes_given_again_mend_what_was_lost_or_damaged_in_the_registry(
        self, way: str, damage: str, size: int
    ) -> None:
        content = b"x" * size
        source = self.folder / "f"
        source.write_bytes(content)
        add = (Source(str(source)),)
        made = await self.ops.create(CreateRequest(self.uri("a/b"), sources=add))
        [item] = await self.items(made.plan.package)
        assert item.physical_key is not None
        damaged = {
            "lost": None,
            "cut short": content[1:],
            "grown": content + b"x",
            "flipped": b"y" + content[1:],
        }
        self.raw_change(item.physical_key, damaged[damage])
        if way == "patch":
            again = await self.ops.patch(PatchRequest(self.uri("a/b"), add=add, metadata={"mended": True}))
        elif way == "another package":
            again = await self.ops.create(CreateRequest(self.uri("a/c"), sources=add))
        else:
            again = await self.create("a/c", {"f": content})
        assert again.bytes_copied == size
        assert [item.size for item in await self.items(again.plan.package)] == [size]
        assert (await self.ops.verify(again.plan.package)).ok
        assert (await self.ops.verify(self.uri("a/b"))).ok
        more = await self.ops.create(CreateRequest(self.uri("a/d"), sources=add))
        assert more.bytes_copied == 0

    async def test_a_package_made_of_another_in_its_registry_names_no_bytes_of_another_size(self) -> None:
        made = await self.create("a/b", {"f": "12", "g": "34"})
        items = {item.path: item.physical_key or "" for item in await self.items(made.plan.package)}
        self.raw_change(items["f"], b"1")
        request = CreateRequest(self.uri("a/c"), sources=(Source(made.uri),))
        with pytest.raises(HashMismatch, match="1 bytes, recorded 2 bytes"):
            await self.ops.create(request)
        self.raw_change(items["f"], None)
        with pytest.raises(ObjectNotFound):
            await self.ops.create(request)
        self.raw_change(items["f"], b"12")
        assert (await self.ops.create(request)).bytes_copied == 0

    @pytest.mark.sampled(6)
    @pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
    @pytest.mark.parametrize("logged", [True, False])
    async def test_a_latest_that_is_no_file_is_one_warning(self, kind: str, logged: bool) -> None:
        """case_X13"""
        await self.create("a/good", {"f": "1"})
        bad = await self.create("a/bad", {"f": "2"})
        latest = self.root / ".quilt/named_packages/a/bad/latest"
        latest.unlink()
        if not logged:
            for stamp in latest.parent.iterdir():
                stamp.unlink()
        match kind:
            case "link":
                (self.outside / "target").write_text("0" * 64)
                latest.symlink_to(self.outside / "target")
            case "dangling":
                latest.symlink_to("nothing")
            case "folder":
                latest.mkdir()
                (latest / "f").write_text("x")
            case _:
                os.mkfifo(latest)
        page = await self.ops.list_packages(self.registry)
        assert [(one.name, one.top_hash is None) for one in page.items] == [
            ("a/bad", True), ("a/good", False),
        ]  # fmt: skip
        [warning] = page.warnings
        assert warning.startswith("unreadable_pointer: a/bad:latest ") and str(latest) in warning
        if logged:
            log = await self.ops.log(self.uri("a/bad"))
            assert [one.top_hash for one in log.items] == [bad.top_hash]
            assert [one.partition(":")[0] for one in log.warnings] == ["unreadable_pointer"]
            assert await self.contents(self.uri("a/bad", bad.top_hash)) == {"f": b"2"}

    async def test_a_registry_that_is_a_file_is_refused(self) -> None:
        self.root.rmdir()
        self.root.write_text("not a folder")
        for ops in (self.ops, self.reader):
            with pytest.raises(RegistryNotFound, match="not a folder"):
                await ops.list_packages(self.registry)


@pytest.mark.nightly
class TestLocalOpsOnLargeManifests(TestLocalOps):
    """The same with every manifest held as a table, as only large ones are otherwise."""

    @pytest.fixture(autouse=True)
    def take_every_manifest_for_a_large_one(self, open_backend: None, tmp_path: Path) -> None:
        for ops, folder in ((self.ops, "tables"), (self.reader, "tables-read")):
            ops._manifests = ManifestCache(tmp_path / folder, small=0)
