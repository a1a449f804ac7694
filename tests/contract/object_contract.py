"""Objects beside the packages: list_objects, stat_object, read_object, put_object."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from ops_base import OpsContract

from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.plan import CreateRequest, PatchRequest, Source
from quilt_mcp.errors import (
    AlreadyExists,
    CredentialPlace,
    InvalidArgument,
    InvalidUri,
    NotAFile,
    ObjectNotFound,
    OutsideRoots,
    QuiltError,
    TooLarge,
)


class ObjectContract(OpsContract):
    async def test_case_S1_places_of_credentials_are_refused_inside_a_root(self) -> None:
        """By their names in any case, and through links, for all that reads, lists or writes."""
        for name in (".ssh/id_key", ".Aws/credentials", ".config/gcloud/token", ".netrc"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text("secret")
            (self.folder / "link").unlink(missing_ok=True)
            (self.folder / "link").symlink_to(self.folder / name)
            for path in (self.folder / name, self.folder / "link"):
                for act in (self.ops.read_object, self.ops.stat_object, self.ops.link):
                    with pytest.raises(CredentialPlace, match="place of credentials"):
                        await act(path.as_uri())
            with pytest.raises(CredentialPlace):
                await self.ops.put_object((self.folder / name).as_uri(), b"forged", overwrite=True)
            assert (self.folder / name).read_text() == "secret"
        for name in (".ssh", ".Aws", ".config/gcloud"):
            with pytest.raises(CredentialPlace):
                await self.ops.list_objects(f"{(self.folder / name).as_uri()}/")
        (self.folder / "link").unlink()
        page = await self.ops.list_objects(f"{self.folder.as_uri()}/")
        assert [item.uri for item in page.items] == [f"{(self.folder / '.config').as_uri()}/"]
        assert page.warnings == ("credentials_not_shown: .Aws, .netrc, .ssh.",)

    async def test_case_S1_no_source_takes_credentials_in(self) -> None:
        """A folder or glob leaves them out and says so; what names one is refused."""
        for name in ("a.csv", ".ssh/id_key", "deep/.netrc", ".npmrc"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text("secret")
        (self.folder / "link.csv").symlink_to(self.folder / ".npmrc")
        left_out = {"": ("link.csv", ".ssh", "deep/.netrc", ".npmrc"), "/*": ("link.csv",)}
        for ending, names in left_out.items():
            origin = f"{self.folder}{ending}"
            plan = await self.ops.plan_create(CreateRequest(self.uri("a/b"), sources=(Source(origin),)))
            assert [change.path for change in plan.changes] == ["a.csv"]
            (warning,) = plan.warnings
            assert warning.startswith("credentials_left_out: ")
            assert all(str(self.folder / name) in warning for name in names)
        for name in (".ssh", ".ssh/id_key", ".ssh/*", ".ssh/**/x", "deep/.netrc", "link.csv"):
            with pytest.raises(CredentialPlace):
                await self.ops.create(
                    CreateRequest(self.uri("a/b"), sources=(Source(f"{self.folder}/{name}"),))
                )

    async def test_objects_and_folders_are_listed_one_level_deep(self) -> None:
        for key in ("data/x.csv", "data/y", "data/deep/z", "data-2/w", "top"):
            self.raw_set(key, key.encode())
        root = (await self.ops.list_objects(f"{self.registry}/")).items
        assert [(item.uri, item.type) for item in root] == [
            (f"{self.registry}/data-2/", "folder"), (f"{self.registry}/data/", "folder"),
            (f"{self.registry}/top", "object"),
        ]  # fmt: skip
        below = (await self.ops.list_objects(f"{self.registry}/data/")).items
        assert [(item.uri.removeprefix(self.registry), item.size) for item in below] == [
            ("/data/deep/", None), ("/data/x.csv", 10), ("/data/y", 6),
        ]  # fmt: skip

    async def test_pages_of_objects_join(self) -> None:
        keys = [f"data/{name}" for name in ("a", "a-", "a.b", "b/x", "b-c/x", "é ü+#?%", "z")]
        for key in keys:
            self.raw_set(key, b"1")
        found: list[str] = []
        cursor = None
        while True:
            page = await self.ops.list_objects(f"{self.registry}/data/", limit=2, cursor=cursor)
            found += [item.uri for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(found) == len(set(found)) == len(keys)

    async def test_every_address_of_a_listing_is_accepted_again(self) -> None:
        self.raw_set("data/é ü+#?%.csv", b"odd")
        self.raw_set("data/d é/x", b"1")
        for item in (await self.ops.list_objects(f"{self.registry}/data/")).items:
            if item.type == "folder":
                (inner,) = (await self.ops.list_objects(item.uri)).items
                assert (await self.ops.read_object(inner.uri)).data == b"1"
            else:
                found = await self.ops.stat_object(item.uri)
                assert found.uri.partition("?versionId=")[0] == item.uri, "a listing names no versions"
                assert found.modified and item.modified
                assert int(found.modified.timestamp()) == int(item.modified.timestamp()), (
                    "HTTP knows whole seconds"
                )
                assert replace(found, uri=item.uri, version=item.version, modified=item.modified) == item
                assert (await self.ops.read_object(item.uri)).data == b"odd"

    async def test_a_listing_asked_for_links_has_one_for_each_object(self) -> None:
        self.raw_set("data/é ü+#?%.csv", b"odd")
        self.raw_set("data/folder/x", b"1")
        location = f"{self.registry}/data/"
        object_, folder = sorted(
            (await self.ops.list_objects(location, links=True)).items,
            key=lambda item: item.type,
            reverse=True,
        )
        assert folder.link is None
        assert object_.link is not None
        single = await self.ops.link(object_.uri)
        assert (object_.link.kind, object_.link.uri) == (single.kind, single.uri)
        assert object_.link.url.partition("?")[0] == single.url.partition("?")[0]
        assert [item.link for item in (await self.ops.list_objects(location)).items] == [None, None]

    async def test_an_object_is_put_read_and_not_replaced_unless_asked(self) -> None:
        uri = f"{self.registry}/notes/é.txt"
        outcome = await self.ops.put_object(uri, b"one")
        assert (outcome.done, outcome.replaced, outcome.size) == (True, False, 3)
        assert (await self.ops.read_object(outcome.uri)).data == b"one"
        with pytest.raises(AlreadyExists):
            await self.ops.put_object(uri, b"two")
        with pytest.raises(AlreadyExists):
            await self.ops.put_object(uri, b"two", dry_run=True)
        assert self.raw_get("notes/é.txt") == b"one"
        outcome = await self.ops.put_object(uri, b"three", overwrite=True)
        assert outcome.replaced
        assert self.raw_get("notes/é.txt") == b"three"

    async def test_a_dry_run_puts_nothing(self) -> None:
        outcome = await self.ops.put_object(f"{self.registry}/f", b"1", dry_run=True)
        assert not outcome.done
        assert self.raw_keys() == []

    @pytest.mark.parametrize(
        ("offset", "length", "expected"), [(0, 3, b"hel"), (3, None, b"lo"), (4, 9, b"o")]
    )
    async def test_a_range_of_an_object_is_read(
        self, offset: int, length: int | None, expected: bytes
    ) -> None:
        self.raw_set("f.txt", b"hello")
        content = await self.ops.read_object(f"{self.registry}/f.txt", offset=offset, length=length)
        assert (content.data, content.offset, content.size) == (expected, offset, 5)
        assert content.media_type == "text/plain"

    @pytest.mark.parametrize("size", [0, 5, (8 << 20) + 1])
    async def test_an_object_is_hashed_by_sha256_when_asked(self, size: int) -> None:
        body = b"x" * size
        self.raw_set("f.bin", body)
        told: list[float] = []

        async def progress(done: float, total: float | None, message: str) -> None:
            told.append(done)

        found = await self.ops.hash(f"{self.registry}/f.bin", progress=progress)
        assert (found.found, found.size, found.recorded) == (
            Hash("SHA256", hashlib.sha256(body).hexdigest()), size, None,
        )  # fmt: skip
        assert (max(told, default=0), found.uri.partition("?")[0]) == (size, f"{self.registry}/f.bin")

    async def test_an_entry_is_hashed_as_its_manifest_does_and_both_hashes_are_told(self) -> None:
        await self.create("a/b", {"f": "hello", "d/g": "x"})
        entry = await self.ops.stat(self.uri("a/b", path="f"))
        found = await self.ops.hash(entry.uri)
        assert (found.uri, found.found, found.recorded, found.size) == (entry.uri, entry.hash, entry.hash, 5)
        self.raw_change(entry.physical_key or "", b"other bytes")
        other = await self.ops.hash(entry.uri)
        assert (other.found != other.recorded, other.size, other.recorded_size) == (True, 11, 5)
        with pytest.raises(NotAFile):
            await self.ops.hash(str(self.uri("a/b", path="d/")))

    async def test_what_is_too_large_to_be_hashed_for_an_answer_is_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("quilt_mcp.backends.objects.HASHED_AT_ONCE", 4)
        self.raw_set("f.txt", b"hello")
        with pytest.raises(TooLarge, match="5 bytes") as error:
            await self.ops.hash(f"{self.registry}/f.txt")
        assert "package_create" in error.value.next_step

    async def test_an_object_that_is_not_there_is_not_found(self) -> None:
        for call in (self.ops.stat_object, self.ops.read_object, self.ops.hash):
            with pytest.raises(ObjectNotFound):
                await call(f"{self.registry}/nothing")

    async def test_every_address_of_a_listing_can_be_listed_or_read(self) -> None:
        """case_C32: folders with names that an address spells otherwise, too."""
        names = ["%41", "A", "x#1", "x", "a b", "a+b&c=d?", "[x]", "é"]
        for name in names:
            self.raw_set(f"odd/{name}/f {name}.csv", name.encode())
        folders = (await self.ops.list_objects(f"{self.registry}/odd/")).items
        assert len(folders) == len(names)
        found: set[str] = set()
        for folder in folders:
            [file] = (await self.ops.list_objects(folder.uri)).items
            content = (await self.ops.read_object(file.uri)).data.decode()
            plan = await self.ops.plan_create(CreateRequest(self.uri("o/o"), (Source(folder.uri),)))
            assert [change.path for change in plan.changes] == [f"f {content}.csv"]
            found.add(content)
        assert found == {*names}

    async def test_a_folder_is_no_object(self) -> None:
        self.raw_set("d/f", b"1")
        for call in (self.ops.stat_object, self.ops.read_object, self.ops.hash):
            with pytest.raises((NotAFile, ObjectNotFound)):
                await call(f"{self.registry}/d/")

    @pytest.mark.parametrize(
        "key",
        [
            ".quilt/packages/x",
            ".quilt/named_packages/a/b/latest",
            "sub/.quilt/packages/x",
            ".QUILT/named_packages/a/b/latest",
            "sub/.Quilt/x",
            ".quilt",
            ".quilt/objects/aa/x",
            ".quilt/workflows/config.yml",
        ],
    )
    async def test_what_belongs_to_packages_is_not_written_as_an_object(self, key: str) -> None:
        """Review R24: in whatever case, as some file systems know none."""
        with pytest.raises(InvalidArgument):
            await self.ops.put_object(f"{self.registry}/{key}", b"x", overwrite=True)
        assert self.raw_keys() == []

    async def test_a_version_is_not_written(self) -> None:
        """Review R23: it would be the latest that is written over."""
        self.raw_set("k", b"1")
        before = self.snapshot()
        with pytest.raises((InvalidArgument, InvalidUri)) as caught:
            await self.ops.put_object(f"{self.registry}/k?versionId=old", b"2", overwrite=True)
        assert caught.value.next_step
        assert self.snapshot() == before

    @pytest.mark.parametrize("uri", ["", "nonsense", "http://example.com/x", "ftp://x/y", "file:relative"])
    async def test_what_is_no_address_is_refused(self, uri: str) -> None:
        for call in (self.ops.stat_object, self.ops.read_object, self.ops.list_objects):
            with pytest.raises(InvalidUri):
                await call(uri)
        with pytest.raises(InvalidUri):
            await self.ops.put_object(uri, b"1")

    @pytest.mark.parametrize("path", ["../outside", "a/../../outside", "%2e%2e/outside"])
    async def test_an_address_does_not_climb_out_of_its_registry(self, path: str) -> None:
        with pytest.raises(QuiltError):
            await self.ops.read_object(f"{self.registry}/{path}")
        with pytest.raises(QuiltError):
            await self.ops.put_object(f"{self.registry}/{path}", b"x")

    async def test_a_raw_hash_sign_in_an_address_is_refused_and_takes_no_other_files(self) -> None:
        self.raw_set("data/#n.csv", b"meant")
        self.raw_set("data/private", b"not meant")
        raw, written = f"{self.registry}/data/#n.csv", f"{self.registry}/data/%23n.csv"
        create = CreateRequest(self.uri("a/b"), sources=(Source(raw),))
        for call in (
            lambda: self.ops.create(create), lambda: self.ops.read_object(raw), lambda: self.ops.stat_object(raw),
            lambda: self.ops.link(raw), lambda: self.ops.list_objects(raw),
            lambda: self.ops.put_object(raw, b"x", overwrite=True),
        ):  # fmt: skip
            with pytest.raises(InvalidUri) as refused:
                await call()
            assert written in refused.value.next_step
        assert (await self.ops.read_object(written)).data == b"meant"
        await self.ops.create(replace(create, sources=(Source(written),)))
        await self.ops.patch(
            PatchRequest(self.uri("a/b"), add=(Source(f"{self.registry}/data/#*", "glob/"),))
        )
        assert await self.contents(self.uri("a/b")) == {"#n.csv": b"meant", "glob/#n.csv": b"meant"}

    async def test_a_local_object_outside_the_roots_is_refused(self) -> None:
        (self.outside / "secret").write_text("s")
        uri = (self.outside / "secret").as_uri()
        for call in (self.ops.stat_object, self.ops.read_object, self.ops.link):
            with pytest.raises(OutsideRoots):
                await call(uri)
        with pytest.raises(OutsideRoots):
            await self.ops.list_objects(self.outside.as_uri())
        with pytest.raises(OutsideRoots):
            await self.ops.put_object(uri, b"x", overwrite=True)
        assert (self.outside / "secret").read_text() == "s"
