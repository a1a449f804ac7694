"""What a filesystem of revisions answers: names that are accepted when they are given back, bytes as the package has them, one
revision for as long as it lives, and errors that say what to do."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from lab import NAME, ODD, Lab

from parts.s3_access import S3Access
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.python_files import (
    AccessRefused,
    ContentMismatch,
    InvalidAddress,
    PackageFiles,
    ReadOnlyRevision,
)

pytestmark = pytest.mark.xdist_group("python_files")  # so that one worker alone publishes the packages


def body(lab: Lab, key: str) -> bytes:
    return (lab.source / key).read_bytes()


def uri(lab: Lab, key: str | None, top_hash: str | None = None, tag: str | None = None) -> str:
    return str(PackageUri(lab.registry, NAME, top_hash, tag, key))


# -- names --


def test_either_form_with_any_revision_opens_the_same_bytes(lab: Lab) -> None:
    fs, key = lab.view(), "data/growth.csv"
    for revision in ("", f"@{lab.top_hash}", f"@{lab.top_hash[:8]}", ":latest", "@latest"):
        plain = f"{lab.root}/{NAME}{revision}/{key}"
        assert fs.cat_file(plain) == fs.cat_file(f"{lab.protocol}://{plain}") == body(lab, key), revision
    for one in (uri(lab, key), uri(lab, key, lab.top_hash), uri(lab, key, None, "latest")):
        with fsspec.open(one, **lab.options) as file:
            assert file.read() == body(lab, key)


def test_whatever_is_listed_is_accepted_as_it_was_told(lab: Lab) -> None:
    fs = lab.view()
    for base in (lab.plain(), f"{lab.root}/{NAME}@{lab.top_hash}", uri(lab, None, lab.top_hash)):
        listed = fs.find(base, detail=True)
        assert {name[-len(ODD) :] for name in listed} >= {ODD}
        for name, info in listed.items():
            key = PackageUri.parse(info["uri"]).path or ""
            for again in (name, fs.unstrip_protocol(name), info["uri"]):
                assert fs.info(again)["uri"] == info["uri"]
                assert fs.ukey(again) == fs.ukey(name)
                assert [PackageUri.parse(i["uri"]).path for i in fs.glob(again, detail=True).values()] == [
                    key
                ]
            assert fs.info(name) == info
            assert fs._strip_protocol(fs._strip_protocol(name)) == name
        assert fs.cat_file(next(name for name in listed if name.endswith(ODD))) == body(lab, ODD)


def test_levels_above_a_package_are_folders(lab: Lab) -> None:
    fs = lab.view()
    namespace = f"{lab.root}/lab"
    assert namespace in fs.ls(lab.root, detail=False) and fs.isdir(lab.root) and fs.isdir(namespace)
    assert lab.plain() in fs.ls(namespace, detail=False)
    assert lab.plain("data/growth.csv") in fs.find(namespace)
    assert fs.glob(f"{namespace}/*/data/*.csv") == [lab.plain("data/growth.csv")]


def test_wildcards_find_what_the_same_files_in_a_folder_would_be_found_by(lab: Lab) -> None:
    fs, local = lab.view(), fsspec.filesystem("file")
    for pattern in (
        "data/*",
        "*",
        "**",
        "**/*.csv",
        "data/part-[01].parquet",
        "data/part-?.parquet",
        "data/",
        "*/",
    ):
        found = [name.removeprefix(lab.plain()).lstrip("/") for name in fs.glob(f"{lab.plain()}/{pattern}")]
        there = [
            str(name).removeprefix(str(lab.source)).lstrip("/")
            for name in local.glob(f"{lab.source}/{pattern}")
        ]
        assert sorted(found) == sorted(there), pattern
    assert fs.glob(uri(lab, "data") + "/*.csv") == [lab.plain("data/growth.csv")]
    assert fs.glob(lab.plain("none/*.csv")) == [] and fs.find(lab.plain("none")) == []


def test_a_tree_is_walked_and_found_by_depth(lab: Lab) -> None:
    fs, top = lab.view(), lab.plain("_bulk_operations_scenario_0")
    inner = f"{top}/source/subdir"
    assert fs.find(top, maxdepth=2) == [f"{top}/source/file1", f"{top}/source/file2"]
    assert fs.find(top, maxdepth=3, withdirs=True) == sorted(
        [top, f"{top}/source", inner, f"{inner}/nesteddir"]
        + [f"{top}/source/{name}" for name in ("file1", "file2", "subdir/subfile1", "subdir/subfile2")]
    )
    assert {folder for folder, _, _ in fs.walk(top)} == {top, f"{top}/source", inner, f"{inner}/nesteddir"}
    assert fs.du(lab.plain("data")) == sum(file.stat().st_size for file in (lab.source / "data").iterdir())


def test_a_tree_is_copied_to_a_folder(lab: Lab, tmp_path: Path) -> None:
    lab.view().get(lab.plain("data"), str(tmp_path / "out"), recursive=True)
    for file in (lab.source / "data").iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    assert not [one for one in (tmp_path / "out").iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "#package=lab",
        "#package=lab/growth&what=1",
        "/lab/gr*wth@zz/x",
        "/lab/growth@abc/x",
        "/lab/growth/../x",
    ],
)
def test_what_is_no_address_is_told_with_the_forms_there_are(path: str, bucket_lab: Lab) -> None:
    text = f"quilt+s3://{bucket_lab.root if path else ''}{path}"
    with pytest.raises(InvalidAddress, match="quilt\\+s3://bucket#package=ns/name"):
        bucket_lab.view().open(text)


# -- bytes --


def test_ranges_are_those_of_a_slice(lab: Lab) -> None:
    fs, path, whole = lab.view(), lab.plain("lines.txt"), body(lab, "lines.txt")
    spans = [
        (0, 5),
        (None, 7),
        (299_990, None),
        (-9, None),
        (-9, -3),
        (5, 5),
        (9, 4),
        (299_999, 400_000),
        (400_000, None),
    ]
    for start, end in spans:
        assert fs.cat_file(path, start, end) == whole[slice(start, end)], (start, end)
    found = fs.cat_ranges([path] * len(spans), [s for s, _ in spans], [e for _, e in spans])
    assert found == [whole[slice(*span)] for span in spans]
    assert fs.head(path, 10) == whole[:10] and fs.tail(path, 10) == whole[-10:]
    missing, there = fs.cat_ranges([lab.plain("nine"), path], 0, 4)
    assert isinstance(missing, FileNotFoundError) and there == whole[:4]
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([lab.plain("nine"), path], 0, 4, on_error="raise")


def test_a_file_is_read_as_files_are(lab: Lab) -> None:
    fs, whole = lab.view(), body(lab, "lines.txt")
    with fs.open(lab.plain("lines.txt")) as file, io.BytesIO(whole) as plain:
        assert file.size == len(whole) and file.readable() and file.seekable() and not file.writable()
        for act in (
            lambda one: one.read(10),
            lambda one: one.readline(),
            lambda one: one.seek(1000) and one.read(3),
            lambda one: one.seek(-20, 2) and (one.tell(), one.read()),
            lambda one: one.read(5),
            lambda one: one.seek(200_000) and one.readinto(bytearray(70_000)),
            lambda one: (one.seek(5, 1), one.tell(), one.read(2)),
            lambda one: (one.seek(0), list(one)[:50]),
        ):
            assert act(file) == act(plain)
    with pytest.raises(ValueError, match="closed"):
        file.read()
    with fs.open(lab.plain("data/growth.csv"), "r") as text:
        assert next(text) == "plant,height\n"


def test_an_empty_file_and_a_folder(lab: Lab) -> None:
    fs = lab.view()
    with fs.open(lab.plain("_bulk_operations_scenario_0/source/file1")) as file:
        assert file.read() == b"" and file.read(3) == b""
    with pytest.raises(IsADirectoryError):
        fs.open(lab.plain("data"))
    with pytest.raises(IsADirectoryError):
        fs.cat_file(lab.root)


# -- one revision --


@pytest.fixture
def changing(lab: Lab, tmp_path: Path) -> tuple[Lab, str, Callable[[str], str]]:
    """A package of one file, and what publishes another text of it."""
    name = f"lab/changing-{lab.protocol[-2:]}"

    def publish(text: str) -> str:
        folder = lab.source.parent / f"{name}-{text}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "x.csv").write_text(f"a\n{text}\n")
        return lab.publish(name, folder)

    return lab, name, publish


def test_a_name_means_one_revision_for_as_long_as_a_view_lives(
    changing: tuple[Lab, str, Callable[[str], str]],
) -> None:
    lab, name, publish = changing
    path = lab.plain("x.csv", name)
    first = publish("1")
    fs = lab.view()
    assert fs.info(path)["top_hash"] == first
    sent = pickle.dumps(fs)
    second = publish("2")
    assert second != first
    for view in (fs, pickle.loads(sent), pickle.loads(pickle.dumps(fs))):
        assert view.info(path)["top_hash"] == first and view.cat_file(path) == b"a\n1\n"
        assert view.ukey(path) == fs.ukey(path) and view.modified(path) == fs.modified(path)
    newer = lab.view()
    assert newer.info(path)["top_hash"] == second and newer.cat_file(path) == b"a\n2\n"
    assert newer.ukey(path) != fs.ukey(path) and newer.checksum(path) != fs.checksum(path)
    assert newer.__dask_tokenize__() != fs.__dask_tokenize__()
    fs.invalidate_cache()
    assert fs.cat_file(path) == b"a\n2\n"
    with fsspec.open(f"{lab.protocol}://{path}", **lab.options) as file:
        assert file.read() == b"a\n2\n"


def test_what_is_pickled_holds_options_and_pins_alone(bucket_lab: Lab) -> None:
    fs = bucket_lab.kind(cache_bytes=1 << 20)
    fs.cat_file(bucket_lab.plain("data/growth.csv"))
    with fs.open(bucket_lab.plain("lines.txt")) as file:
        file.read(10)
        sent = pickle.dumps((fs, file))
    assert b"testing" not in sent and len(sent) < 1000
    again, opened = pickle.loads(sent)
    assert again == fs and hash(again) == hash(fs) and opened.read(4) == body(bucket_lab, "lines.txt")[:4]


@pytest.mark.parametrize("name", ["key", "secret", "profile", "endpoint_url", "jwt_token", "api_key"])
def test_options_take_no_secrets_and_no_others_are_passed_over(name: str, bucket_lab: Lab) -> None:
    with pytest.raises(InvalidAddress, match=f"'{name}' is no storage option.*AWS_PROFILE"):
        bucket_lab.kind(**{name: "x"})


# -- errors --


def test_a_path_that_there_is_not_is_told_with_what_is_near(lab: Lab) -> None:
    fs = lab.view()
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'data/growth\.csv'"):
        fs.open(lab.plain("data/grwth.csv"))
    with pytest.raises(FileNotFoundError, match="Did you mean 'lab/growth'"):
        fs.info(lab.plain("x", "lab/grwth"))
    with pytest.raises(FileNotFoundError, match="quilt-mcp log"):
        fs.info(f"{lab.root}/{NAME}@{'0' * 64}/data/growth.csv")
    assert (
        not fs.exists(lab.plain("nine"))
        and not fs.isfile(lab.plain("nine"))
        and not fs.isdir(lab.plain("nine"))
    )


def test_everything_that_writes_is_refused(lab: Lab, tmp_path: Path) -> None:
    fs, path = lab.view(), lab.plain("data/growth.csv")
    (tmp_path / "x").write_bytes(b"x")
    calls: list[Callable[[], Any]] = [
        lambda: fs.open(path, "wb"),
        lambda: fs.open(path, "ab"),
        lambda: fs.open(path, "xb"),
        lambda: fs.open(path, "w"),
        lambda: fs.pipe(path, b"x"),
        lambda: fs.put(str(tmp_path / "x"), path),
        lambda: fs.put_file(str(tmp_path / "x"), path),
        lambda: fs.rm(path),
        lambda: fs.rm_file(path),
        lambda: fs.mv(path, f"{path}2"),
        lambda: fs.cp(path, f"{path}2"),
        lambda: fs.touch(path),
        lambda: fs.mkdir(f"{path}2"),
        lambda: fs.mkdirs(f"{path}2"),
        lambda: fs.makedirs(f"{path}2"),
        lambda: fs.rmdir(lab.plain("data")),
        lambda: fs.write_text(path, "x"),
        lambda: fs.start_transaction(),
    ]
    for call in calls:
        with pytest.raises(ReadOnlyRevision, match="never changes") as caught:
            call()
        assert isinstance(caught.value, OSError) and isinstance(caught.value, NotImplementedError)
    assert fs.cat_file(path) == body(lab, "data/growth.csv")


# -- bytes that are others --


@pytest.fixture
def damaged(folder_lab: Lab) -> tuple[Lab, str]:
    """A file that was changed after it was packaged, its size and end aside."""
    folder = folder_lab.source.parent / "damaged"
    if not folder.exists():
        folder.mkdir()
        (folder / "big.bin").write_bytes(bytes(range(256)) * (70 << 10))  # over 16 MiB, so read in pieces
        folder_lab.publish("lab/damaged", folder)
        with (folder / "big.bin").open("r+b") as file:
            file.seek(5)
            file.write(b"!")
    return folder_lab, folder_lab.plain("big.bin", "lab/damaged")


def _in_order(fs: PackageFiles, path: str) -> None:
    with fs.open(path) as file:
        while file.read(1 << 20):
            pass


def _looked_at_first(fs: PackageFiles, path: str) -> None:
    with fs.open(path) as file:
        file.seek(-8, 2), file.read(8), file.seek(0), file.read(100), file.seek(0)
        shutil.copyfileobj(file, io.BytesIO(), 1 << 20)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "read",
    [
        lambda fs, path: fs.cat_file(path),
        lambda fs, path: fs.cat(path),
        lambda fs, path: fs.open(path).read(),
        lambda fs, path: fs.read_bytes(path),
        _in_order,
        _looked_at_first,
    ],
)
def test_a_changed_file_is_told_when_it_is_read_whole(
    read: Callable[[PackageFiles, str], Any], damaged: tuple[Lab, str]
) -> None:
    lab, path = damaged
    with pytest.raises(
        ContentMismatch, match=r"not what the package recorded for 'big.bin'.*quilt-mcp verify"
    ):
        read(lab.view(), path)


def test_a_changed_file_is_not_left_behind_by_a_copy(damaged: tuple[Lab, str], tmp_path: Path) -> None:
    lab, path = damaged
    with pytest.raises(ContentMismatch):
        lab.view().get(path, str(tmp_path / "out.bin"))
    assert list(tmp_path.iterdir()) == []


def test_a_range_of_a_changed_file_is_not_verified_but_one_of_another_size_is_refused(
    folder_lab: Lab, damaged: tuple[Lab, str]
) -> None:
    lab, path = damaged
    assert lab.view().cat_file(path, 5, 6) == b"!"
    folder = lab.source.parent / "shorter"
    folder.mkdir(exist_ok=True)
    (folder / "x.bin").write_bytes(b"abcdef")
    lab.publish("lab/shorter", folder)
    (folder / "x.bin").write_bytes(b"abc")
    with pytest.raises(ContentMismatch):
        lab.view().cat_file(lab.plain("x.bin", "lab/shorter"), 0, 2)


def test_a_manifest_opens_no_folder_that_was_not_named(folder_lab: Lab, bucket_lab: Lab) -> None:
    closed = folder_lab.kind(roots=[str(folder_lab.source / "odd")])
    with pytest.raises(AccessRefused, match=r"storage_options=\{'roots'"):
        closed.cat_file(folder_lab.plain("data/growth.csv"))
    allowed = bucket_lab.kind(allowed_buckets=["another"])
    with pytest.raises(AccessRefused):
        allowed.cat_file(bucket_lab.plain("data/growth.csv"))


def test_a_manifest_in_a_bucket_names_no_file_of_this_machine(
    folder_lab: Lab, bucket_lab: Lab, moto: S3Access
) -> None:
    """The top hash does not cover where the bytes are: whoever may write to a registry may say anything there."""
    folder = folder_lab.source.parent / "hostile"
    folder.mkdir()
    (folder / "x.csv").write_text("of this machine")
    top_hash = folder_lab.publish("lab/hostile", folder)
    manifest = Path(folder_lab.root, ".quilt", "packages", top_hash).read_bytes()
    with moto.boto() as s3:
        for key, put in (
            (f"packages/{top_hash}", manifest),
            ("named_packages/lab/hostile/latest", top_hash.encode()),
        ):
            s3.put_object(Bucket=bucket_lab.root, Key=f".quilt/{key}", Body=put)
    fs, path = bucket_lab.view(), bucket_lab.plain("x.csv", "lab/hostile")
    assert fs.isfile(path)
    for read in (fs.cat_file, lambda one: fs.open(one).read(), lambda one: fs.cat_file(one, 0, 2)):
        with pytest.raises(OSError, match="points to a file of some machine"):
            read(path)
    with pytest.raises(OSError, match="points to a file of some machine"):
        fs.cat_ranges([path], 0, 2, on_error="raise")
