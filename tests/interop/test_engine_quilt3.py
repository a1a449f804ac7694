"""Whole packages, in a folder and in a bucket: what quilt3 publishes we read, verify and install; what we create quilt3
browses, verifies and installs. Over the generated packages, with files of their own on disk."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import packages
import pytest
import quilt3
from packages import ABSENT, PackageSpec
from places import BucketPlace, LocalPlace, Place

from parts.quilt3_client import one_client
from parts.s3_access import S3Access, make_bucket
from quilt_mcp.domain.address import PackageUri, parse_registry
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.listing import Item
from quilt_mcp.domain.plan import UNSET, CopyRequest, CreateRequest, InlineFile, PatchRequest, Rename, Source
from quilt_mcp.errors import DuplicateKey, InvalidArgument
from quilt_mcp.ops import QuiltOps

_BLOCK = 25
_IN_CI = 100
"""How many packages go each way in each place; the nightly job takes all."""
EACH_BLOCK = pytest.mark.parametrize(
    ("place", "first"),
    [
        pytest.param(kind, first, marks=[] if first < _IN_CI else [pytest.mark.nightly])
        for kind in ("folder", "bucket")
        for first in range(0, packages.COUNT, _BLOCK)
    ],
    indirect=["place"],
)
_READ_FULLY = 5
"""Of a block, how many packages have every file read and are verified and installed."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def local(folder: Path) -> Place:
    return LocalPlace(folder)


@pytest.fixture(scope="module")
def quilt3_on_moto(moto: S3Access) -> Iterator[Any]:
    """quilt3 of this process finds the server as a user's would, by the environment."""
    with pytest.MonkeyPatch.context() as patch, moto.boto() as raw:
        for name, value in moto.environment().items():
            patch.setenv(name, value)
        with one_client():
            yield raw


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, folder: Path) -> Place:
    if request.param == "folder":
        return LocalPlace(folder)
    raw = request.getfixturevalue("quilt3_on_moto")
    return BucketPlace(folder, request.getfixturevalue("moto"), make_bucket(raw), raw)


def specs_of(first: int) -> list[PackageSpec]:
    return [packages.generate(seed) for seed in range(first, min(first + _BLOCK, packages.COUNT))]


def dumped(package: quilt3.Package) -> bytes:
    out = io.BytesIO()
    package.dump(out)
    return out.getvalue()


async def all_items(ops: QuiltOps, package: PackageUri, limit: int) -> list[Item]:
    items: list[Item] = []
    cursor = None
    while True:
        browse = await ops.browse(package, recursive=True, limit=limit, cursor=cursor)
        items += browse.page.items
        cursor = browse.page.next_cursor
        if cursor is None:
            assert browse.page.total in (None, len(items))
            return items


@pytest.mark.sampled(1)
@EACH_BLOCK
def test_what_quilt3_publishes_we_read(first: int, place: Place) -> None:
    specs = specs_of(first)
    built = {}
    for spec in specs:
        files = place.folder / f"files{spec.seed}"
        packages.write_files(spec, files)
        files.mkdir(exist_ok=True)
        message = None if spec.message is ABSENT else spec.message
        package = packages.quilt3_package_of_files(spec, files)
        built[spec.name] = place.publish(package, spec.name, message)
    anyio.run(_read_all, place, specs, built)


async def _read_all(place: Place, specs: list[PackageSpec], built: dict[str, Any]) -> None:
    ops = place.open_ops()
    listed = await ops.list_packages(place.url, limit=1000)
    told = {item.name: item.top_hash for item in listed.items if item.top_hash is not None}
    assert {item.name for item in listed.items} == built.keys()
    assert told == ({name: top for name, (_, top) in built.items()} if told else {})
    for spec in specs:
        package, top_hash = built[spec.name]
        uri = PackageUri(place.url, spec.name)
        assert (await ops.resolve(uri)).top_hash == top_hash, f"seed {spec.seed}"
        browse = await ops.browse(uri)
        assert browse.metadata == package.meta or (browse.metadata is None and package.meta == {})
        assert browse.message == package._meta["message"]
        assert (browse.totals.entries, browse.totals.bytes) == (
            len(spec.entries),
            sum(len(entry.content) for entry in spec.entries.values()),
        )
        items = await all_items(ops, uri, limit=3)
        assert [item.path for item in items] == [key for key, _ in package.walk()], f"seed {spec.seed}"
        for item in items:
            entry = spec.entries[item.path]
            assert item.size == len(entry.content)
            recorded = package[item.path].hash
            assert item.hash == Hash(recorded["type"], recorded["value"])
            assert item.hash.value == packages.checksum(item.hash.type, entry.content)
            assert item.metadata == (None if entry.user_meta is ABSENT else entry.user_meta)
            assert item.physical_key == str(package[item.path].physical_key)
        for key in spec.directories:
            if any(path.startswith(key) for path in spec.entries):
                folder = await ops.stat(PackageUri(uri.registry, uri.name, path=key))
                assert folder.metadata == (package[key[:-1]].meta or None), "quilt3's push drops it"
    for spec in specs[:_READ_FULLY]:
        await _read_fully(ops, place, spec)


async def _read_fully(ops: QuiltOps, place: Place, spec: PackageSpec) -> None:
    """Known difference, on purpose: a package cannot be installed over a registry's own folder, '.quilt'."""
    uri = PackageUri(place.url, spec.name)
    for key, entry in spec.entries.items():
        content = await ops.read(PackageUri(uri.registry, uri.name, path=key))
        assert (content.data, content.verified) == (entry.content, True), f"seed {spec.seed}, {key!r}"
    verification = await ops.verify(uri)
    assert verification.ok, f"seed {spec.seed}: {verification.problems}"
    assert verification.checked.entries == len(spec.entries)
    dest = place.folder / "installed" / str(spec.seed)
    if any(".quilt" in key.split("/") for key in spec.entries):
        with pytest.raises(InvalidArgument, match=r"\.quilt"):
            await ops.install(uri, str(dest))
        return
    await ops.install(uri, str(dest))
    assert {str(path.relative_to(dest)): path.read_bytes() for path in dest.rglob("*") if path.is_file()} == {
        key: entry.content for key, entry in spec.entries.items()
    }


@pytest.mark.sampled(1)
@EACH_BLOCK
def test_what_we_create_quilt3_reads(first: int, place: Place) -> None:
    specs = specs_of(first)
    top_hashes = anyio.run(_create_all, place, specs)
    for spec, top_hash in zip(specs, top_hashes, strict=True):
        data = place.manifest(top_hash)
        browsed = quilt3.Package.browse(spec.name, place.url, top_hash)
        assert browsed.top_hash == top_hash, f"seed {spec.seed}"
        assert dumped(browsed) == data, f"seed {spec.seed}"
        assert quilt3.Package.browse(spec.name, place.url).top_hash == top_hash
        expected = as_created(spec, browsed)
        assert dumped(packages.quilt3_package(expected)) == data, f"seed {spec.seed}"
        files = place.folder / f"files{spec.seed}"
        assert browsed.verify(str(files)), f"seed {spec.seed}"
    for spec in specs[:_READ_FULLY]:
        browsed = quilt3.Package.browse(spec.name, place.url)
        for key, entry in spec.entries.items():
            assert browsed[key].get_bytes() == entry.content
        dest = place.folder / "installed" / str(spec.seed)
        quilt3.Package.install(spec.name, place.url, dest=str(dest))
        for key, entry in spec.entries.items():
            assert (dest / key).read_bytes() == entry.content, f"seed {spec.seed}"


def settable(meta: Any) -> bool:
    """Whether it is metadata as an agent would set it: quilt3 lets other values through, our requests need not."""
    return isinstance(meta, dict) and bool(meta)


def as_created(spec: PackageSpec, browsed: quilt3.Package) -> PackageSpec:
    """What the package must be once created by ``_create_all``, at the physical keys it was given."""
    expected = PackageSpec(spec.seed, spec.name)
    for key, entry in spec.entries.items():
        meta = entry.user_meta if settable(entry.user_meta) else ABSENT
        expected.entries[key] = packages.EntrySpec(entry.content, meta, url=str(browsed[key].physical_key))
    expected.directories = patched_directories(spec)
    expected.user_meta = spec.user_meta
    expected.message = None if spec.message is ABSENT else spec.message
    return expected


def patched_directories(spec: PackageSpec) -> dict[str, Any]:
    return {
        key: meta
        for key, meta in spec.directories.items()
        if settable(meta) and any(path.startswith(key) for path in spec.entries)
    }


async def _create_all(place: Place, specs: list[PackageSpec]) -> list[str]:
    ops = place.open_ops()
    top_hashes = []
    for spec in specs:
        files = place.folder / f"files{spec.seed}"
        packages.write_files(spec, files)
        files.mkdir(exist_ok=True)
        message = None if spec.message is ABSENT else spec.message
        uri = PackageUri(place.url, spec.name)
        metadata = UNSET if spec.user_meta is ABSENT else spec.user_meta
        by_folder = spec.seed % 2 == 0 and bool(spec.entries)
        inline = tuple(
            InlineFile(key, entry.content, entry.user_meta if settable(entry.user_meta) else UNSET)
            for key, entry in spec.entries.items()
        )
        commit = await ops.create(
            CreateRequest(
                uri,
                sources=(Source(str(files)),) if by_folder else (),
                files=() if by_folder else inline,
                metadata=metadata,
                message=message,
                allow_empty=True,
            )
        )
        changes = patched_directories(spec)
        if by_folder:
            changes |= {
                key: entry.user_meta for key, entry in spec.entries.items() if settable(entry.user_meta)
            }
        if changes:
            commit = await ops.patch(
                PatchRequest(
                    uri,
                    commit.top_hash,
                    entry_metadata=changes,
                    metadata_mode="replace",
                    message=message,
                )
            )
        top_hashes.append(commit.top_hash)
    return top_hashes


@pytest.mark.sampled(12)
@pytest.mark.parametrize("seed", range(0, packages.COUNT, 20))
def test_files_referred_to_in_place_make_the_very_manifest_quilt3_builds(seed: int, local: Place) -> None:
    spec = packages.generate(seed)
    if not spec.entries:
        spec.entries["only"] = packages.EntrySpec(b"x")
    files = local.folder / "files"
    packages.write_files(spec, files)
    package = quilt3.Package()
    for key in spec.entries:
        package.set(key, str(files / key))
    package.set_meta({"seed": seed})
    expected = package.build(spec.name, parse_registry(str(local.folder / "theirs")), "message")

    async def create() -> str:
        request = CreateRequest(
            PackageUri(local.url, spec.name),
            sources=(Source(str(files)),),
            metadata={"seed": seed},
            message="message",
            copy=False,
        )
        return (await local.open_ops().create(request)).top_hash

    assert anyio.run(create) == expected
    theirs = (local.folder / "theirs" / ".quilt" / "packages" / expected).read_bytes()
    assert local.manifest(expected) == theirs


def test_a_folder_that_loses_its_last_file_keeps_its_metadata_through_patches_and_copies(
    local: Place,
) -> None:
    source = local.folder / "source"
    source.mkdir()
    (source / "x").write_text("x")
    theirs = quilt3.Package()
    for key in ("a", "d/x", "d/e/x"):
        theirs.set(key, str(source / "x"))
    theirs["d"].set_meta({"of": "d"})
    theirs["d/e"].set_meta({"of": "e"})
    theirs.build("a/b", parse_registry(local.url), "one")
    for key in ("d/x", "d/e/x"):
        theirs.delete(key)
    theirs.set("b", str(source / "x"))
    expected = theirs.build("a/b", parse_registry(str(local.folder / "theirs")), "two")

    async def edit() -> None:
        ops, uri = local.open_ops(), PackageUri(local.url, "a/b")
        add = (Source(str(source / "x"), "b"),)
        patch = PatchRequest(uri, remove=("d/x", "d/e/x"), add=add, message="two", copy=False)
        assert (await ops.patch(patch)).top_hash == expected
        assert (await ops.copy(CopyRequest(uri, PackageUri(local.url, "a/copy")))).top_hash == expected
        assert (await ops.patch(PatchRequest(uri, remove=("d/e/",), message="two"))).plan.changes_total == 1
        assert [item.path for item in (await ops.browse(uri)).page.items] == ["a", "b", "d/"]
        with pytest.raises(DuplicateKey):
            await ops.patch(PatchRequest(uri, rename=(Rename("a", "d"),)))

    written = (local.folder / "theirs" / ".quilt" / "packages" / expected).read_bytes()
    anyio.run(edit)
    fields = local.manifest(expected).split(b"\n")
    assert [line for line in written.split(b"\n") if b'"of": "e"' not in line] == fields


def test_a_chain_of_patches_ends_where_quilt3s_calls_do(local: Place) -> None:
    """The same edits by both: add, replace, remove, metadata of package, folder and file, message."""
    source = local.folder / "source"
    source.mkdir()
    for name in "abc":
        (source / name).write_text(name)
    theirs = quilt3.Package()
    theirs.set_dir("data", str(source))
    theirs.set_meta({"v": 1, "keep": "é"})
    theirs.build("a/b", parse_registry(str(local.folder / "theirs")), "one")
    theirs.delete("data/a")
    theirs.set("data/b", str(source / "c"))
    theirs.set("new/é.txt", str(source / "a"))
    theirs["data"].set_meta({"folder": True})
    theirs["data/c"].set_meta({"file": [1.0, 10**20]})
    theirs.set_meta({"v": 2, "keep": "é"})
    expected = theirs.build("a/b", parse_registry(str(local.folder / "theirs")), "two")

    async def edit() -> tuple[str, str]:
        ops = local.open_ops()
        uri = PackageUri(local.url, "a/b")
        first = await ops.create(
            CreateRequest(
                uri,
                (Source(str(source), "data/"),),
                metadata={"v": 1, "keep": "é"},
                message="one",
                copy=False,
            )
        )
        second = await ops.patch(
            PatchRequest(
                uri,
                first.top_hash[:12],
                remove=("data/a",),
                add=(Source(str(source / "c"), "data/b"), Source(str(source / "a"), "new/é.txt")),
                entry_metadata={"data/": {"folder": True}, "data/c": {"file": [1.0, 10**20]}},
                metadata={"v": 2},
                message="two",
                copy=False,
            )
        )
        return first.top_hash, second.top_hash

    first, second = anyio.run(edit)
    assert second == expected
    assert local.manifest(second) == (local.folder / "theirs" / ".quilt" / "packages" / expected).read_bytes()
    versions = dict(quilt3.list_package_versions("a/b", local.url))
    assert versions.pop("latest") == second
    assert set(versions.values()) == {first, second}


@pytest.mark.sampled(1)
def test_quilt3_lists_rolls_back_and_deletes_what_we_wrote(place: Place) -> None:
    url = place.url

    async def create(name: str) -> str:
        request = CreateRequest(PackageUri(url, name), files=(InlineFile("f", name.encode()),))
        return (await place.open_ops().create(request)).top_hash

    async def patch(name: str) -> str:
        request = PatchRequest(PackageUri(url, name), files=(InlineFile("g", b"g"),))
        return (await place.open_ops().patch(request)).top_hash

    async def resolve(name: str) -> str | None:
        return (await place.open_ops().resolve(PackageUri(url, name))).top_hash

    first = anyio.run(create, "a/b")
    anyio.run(create, "a/bc")
    second = anyio.run(patch, "a/b")
    assert set(quilt3.list_packages(url)) == {"a/b", "a/bc"}
    quilt3.Package.rollback("a/b", url, first)
    assert anyio.run(resolve, "a/b") == first
    quilt3.delete_package("a/b", url, first)
    assert anyio.run(resolve, "a/b") == second
    quilt3.delete_package("a/b", url)
    assert set(quilt3.list_packages(url)) == {"a/bc"}
    assert anyio.run(resolve, "a/bc")


@pytest.mark.sampled(1)
def test_a_rollback_leaves_the_pointers_that_quilt3s_leaves(place: Place) -> None:
    """case_W2."""
    package = PackageUri(place.url, "a/b")

    async def prepare() -> tuple[str, str]:
        ops = place.open_ops()
        first = await ops.create(CreateRequest(package, files=(InlineFile("f", b"1"),)))
        return first.top_hash, (
            await ops.patch(PatchRequest(package, files=(InlineFile("f", b"2"),)))
        ).top_hash

    async def roll_back(top_hash: str) -> list[tuple[str, tuple[str, ...]]]:
        ops = place.open_ops()
        await ops.copy(CopyRequest(replace(package, top_hash=top_hash), package))
        return await log()

    async def log() -> list[tuple[str, tuple[str, ...]]]:
        return [(found.top_hash, found.tags) for found in (await place.open_ops().log(package)).items]

    first, second = anyio.run(prepare)
    ours = anyio.run(roll_back, first)
    url = place.url
    assert quilt3.Package.browse("a/b", url).top_hash == first
    assert len([*quilt3.list_package_versions("a/b", url)]) == 3, "two revisions and latest"
    anyio.run(roll_back, second)
    quilt3.Package.rollback("a/b", url, first)
    assert ours == anyio.run(log) == [(second, ()), (first, ("latest",))]


def test_the_tree_we_install_passes_quilt3s_verify(place: Place) -> None:
    spec = packages.generate(6)
    files = place.folder / "files"
    packages.write_files(spec, files)
    package = packages.quilt3_package_of_files(spec, files)
    package, _ = place.publish(package, spec.name, "m")

    async def install() -> None:
        await place.open_ops().install(PackageUri(place.url, spec.name), str(place.folder / "dest"))

    anyio.run(install)
    assert package.verify(str(place.folder / "dest"))
    victim = place.folder / "dest" / next(iter(spec.entries))
    victim.write_bytes(victim.read_bytes() + b"!")
    assert not package.verify(str(place.folder / "dest"))


@pytest.mark.sampled(1)
def test_datasets_that_ship_with_scikit_learn_are_read_and_verified(place: Place) -> None:
    """Real files, packaged by quilt3: CSV, gzip, text and pictures."""
    import sklearn.datasets

    source = Path(sklearn.datasets.__file__).parent
    package = quilt3.Package()
    for part in ("data", "images", "descr"):
        package.set_dir(part, str(source / part), meta={"part": part})
    package.set_meta({"from": "scikit-learn"})
    package, top_hash = place.publish(package, "real/sklearn", "toy datasets")

    async def read() -> None:
        ops = place.open_ops(source)
        uri = PackageUri(place.url, "real/sklearn")
        browse = await ops.browse(uri)
        assert browse.top_hash == top_hash
        assert {item.path for item in browse.page.items} >= {"data/", "images/", "descr/"}
        verification = await ops.verify(uri)
        assert verification.ok, verification.problems
        iris = await ops.read(PackageUri(uri.registry, uri.name, path="data/iris.csv"))
        assert iris.verified
        assert iris.data == (source / "data" / "iris.csv").read_bytes()
        assert iris.data.splitlines()[0].startswith(b"150,4,setosa")

    anyio.run(read)
