"""The catalog of a bucket: what it answers, how many requests it costs, and what a bucket may refuse."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from held_bucket import HeldBucket
from held_registry import ask, catalog_folder, named, one_package, require_right, scratch_of

from parts.faults import ACCESS_DENIED, INTERNAL_ERROR, Answer, NeverAnswer
from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.searching import object_hits, registry_search
from quilt_mcp.errors import PermissionDenied, QuiltError, StorageUnavailable
from quilt_mcp.registry.reading import cataloguing

pytestmark = pytest.mark.anyio


@pytest.fixture
def bucket(moto: Server) -> Iterator[HeldBucket]:
    with moto.boto() as raw:
        yield HeldBucket(raw, moto.make_bucket())


@pytest.fixture
def ops(bucket: HeldBucket, moto: Server, moto_proxy: Proxy, tmp_path: Path) -> IamOps:
    return opened(bucket, moto, moto_proxy, tmp_path)


def opened(bucket: HeldBucket, moto: Server, moto_proxy: Proxy, tmp_path: Path) -> IamOps:
    return iam_ops(moto.via(moto_proxy.url), bucket.bucket, roots=(tmp_path,), cache=tmp_path / "cache")


def look_again(ops: IamOps) -> None:
    """As when a quarter of a minute has passed."""
    for catalog in ops.search.made()._catalogs.values():  # type: ignore[attr-defined]
        catalog.doubt()
        catalog.tried_unread = 0.0


async def test_answers_over_a_bucket_are_those_of_a_scan(
    bucket: HeldBucket, ops: IamOps, moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    bucket.push_at_random(21, 15)
    await require_right(ops, bucket.packages.values(), 0, 8)
    bucket.push(one_package("lab1/new", "yttrium", readme="about yttrium"), one_package("lab1/rna-1", "anew"))
    bucket.delete(next(iter(bucket.packages)))
    look_again(ops)
    await require_right(ops, bucket.packages.values(), 1, 4)
    other = opened(bucket, moto, moto_proxy, tmp_path)
    await require_right(other, bucket.packages.values(), 2, 4)
    assert named((await ask(ops, "readme:yttrium")).items) == {"lab1/new"}


async def test_a_push_by_quilt3_to_a_bucket_is_found(
    bucket: HeldBucket, ops: IamOps, moto: Server, tmp_path: Path
) -> None:
    assert (await ask(ops)).total == 0
    (tmp_path / "README.md").write_text("about zirconium")
    Quilt3(tmp_path / "home", moto).run(
        "quilt3.Package().set('README.md', arguments['readme']).push('lab/new', arguments['registry'], message='m', force=True)",
        registry=bucket.url,
        readme=str(tmp_path / "README.md"),
    )
    look_again(ops)
    assert named((await ask(ops, "zirconium")).items) == {"lab/new"}


async def test_a_build_costs_a_listing_and_three_requests_a_manifest_and_one_a_readme(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy
) -> None:
    bucket.push(
        *(one_package(f"lab/p{number}", "word", readme="read" if number < 4 else "") for number in range(10))
    )
    with moto_proxy.recording() as first:
        assert (await ask(ops, "word")).total == 10
    assert first.counts["ListObjectsV2"] == 1
    assert first.total <= 1 + 3 * 10 + 4
    with moto_proxy.recording() as soon:
        await ask(ops, "word")
        await ask(ops, "p1", "entries")
    assert soon.total == 0
    look_again(ops)
    with moto_proxy.recording() as later:
        await ask(ops, "word")
    assert later.verbs == {"GET": 1} or later.total == 1, later.counts
    bucket.push(one_package("lab/p3", "word anew"))
    look_again(ops)
    with moto_proxy.recording() as changed:
        assert (await ask(ops, "anew")).total == 1
    assert changed.total <= 1 + 3


async def test_an_empty_bucket_is_asked_once_in_a_while(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy
) -> None:
    assert (await ask(ops)).total == 0
    with moto_proxy.recording() as again:
        assert (await ask(ops)).total == 0
    assert again.total == 0


@pytest.mark.nightly
async def test_pointers_are_listed_a_thousand_keys_a_request(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two keys a package: its latest pointer and one of a revision."""
    monkeypatch.setattr(registry_search, "Bounds", lambda: cataloguing.Bounds(packages=5))
    bucket.push(one_package("lab/p", "word", files=1))
    top_hash = bucket.packages["lab/p"].top_hash
    for number in range(510):
        bucket.point(f"lab/q{number:03}", top_hash)
    with moto_proxy.recording() as first:
        found = await ask(ops, "word")
    assert first.counts["ListObjectsV2"] == 2
    assert first.total <= 2 + 2 * 12 + 1
    [said] = [one for one in found.warnings if one.startswith("partial:")]
    assert f"of 511 packages of {bucket.url} are in the catalog so far" in said


async def test_a_bounded_build_pauses_goes_on_and_ends_complete(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_search, "Bounds", lambda: cataloguing.Bounds(packages=4))
    monkeypatch.setattr(cataloguing, "AT_ONCE", 1)
    bucket.push_at_random(22, 15)
    there: list[int] = []
    for _ in range(10):
        with moto_proxy.recording() as asked:
            found = await ask(ops)
        there.append(len(found.items))
        assert found.total == len(found.items)
        assert asked.total <= 1 + 3 * 4 + 4
        if not found.warnings:
            break
        [said] = found.warnings
        assert said.startswith(
            f"partial: {found.total} of 15 packages of {bucket.url} are in the catalog so far."
        )
        assert "Call again" in said and "build=true" in said
    assert there == [4, 8, 12, 15]
    await require_right(ops, bucket.packages.values(), 3, 4)


async def test_build_reads_all_of_it_at_once(
    bucket: HeldBucket, ops: IamOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_search, "Bounds", lambda: cataloguing.Bounds(packages=2))
    bucket.push_at_random(23, 12)
    found = await ask(ops, build=True)
    assert (found.total, found.warnings) == (12, ())


async def test_readmes_beyond_the_bound_are_read_by_later_calls(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "READMES", 3)
    bucket.push(
        *(one_package(f"lab/p{number}", "word", readme=f"about needle {number}") for number in range(8))
    )
    counts: list[int] = []
    for _ in range(5):
        with moto_proxy.recording() as asked:
            counts.append((await ask(ops, "readme:needle")).total)
        if len(counts) > 1:
            assert asked.total <= 1 + 3 * 4  # those that lack nothing, or must wait, are not read again
        look_again(ops)
    assert counts == [3, 6, 8, 8, 8]
    await require_right(ops, bucket.packages.values(), 4, 2)


async def test_a_registry_that_may_not_be_listed_is_denied_though_a_catalog_is_there(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy
) -> None:
    bucket.push_at_random(24, 3)
    await ask(ops)
    look_again(ops)
    with (
        moto_proxy.injecting(ACCESS_DENIED, operation="ListObjectsV2"),
        pytest.raises(PermissionDenied) as refused,
    ):
        await ask(ops)
    assert refused.value.next_step
    await require_right(ops, bucket.packages.values(), 5, 1)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "fault", [ACCESS_DENIED, Answer(403, "InvalidObjectState"), Answer(404, "NoSuchKey")], ids=str
)
async def test_a_manifest_that_may_not_be_read_is_named_and_tried_again(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, fault: Answer
) -> None:
    bucket.push_at_random(25, 5)
    bucket.push(one_package("lab/shut", "secret"))
    key = f".quilt/packages/{bucket.packages['lab/shut'].top_hash}"
    others = [one for one in bucket.packages.values() if one.name != "lab/shut"]
    with moto_proxy.injecting(fault, key=key):
        found = await ask(ops)
        assert any("unread: lab/shut (" in said for said in found.warnings), found.warnings
        await require_right(ops, others, 6, 2)
        with moto_proxy.recording() as again:
            look_again(ops)
            await ask(ops)
        assert 1 < again.total <= 1 + 3
        with moto_proxy.recording() as soon:
            for catalog in ops.search.made()._catalogs.values():  # type: ignore[attr-defined]
                catalog.doubt()
            assert any("unread: lab/shut (" in said for said in (await ask(ops)).warnings)
        assert soon.total == 1
    look_again(ops)
    await require_right(ops, bucket.packages.values(), 7, 2)


async def test_lying_and_broken_manifests_are_named_and_the_rest_is_answered(
    bucket: HeldBucket, ops: IamOps
) -> None:
    bucket.push_at_random(26, 4)
    others = list(bucket.packages.values())
    bucket.push(*(one_package(f"bad/p{number}", "bad") for number in range(3)))
    hashes = [bucket.packages[f"bad/p{number}"].top_hash for number in range(3)]
    good = bucket.raw.get_object(Bucket=bucket.bucket, Key=f".quilt/packages/{hashes[0]}")["Body"].read()
    bucket.put(f".quilt/packages/{hashes[0]}", good.replace(b"bad", b"not"))
    bucket.put(f".quilt/packages/{hashes[1]}", good[:-9])
    bucket.raw.delete_object(Bucket=bucket.bucket, Key=f".quilt/packages/{hashes[2]}")
    found = await ask(ops)
    [said] = found.warnings
    assert all(f"bad/p{number} (" in said for number in range(3))
    await require_right(ops, others, 8, 3)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("body", [b"", b"no hash", b"\xff\xfe", b"0" * 64, b"x" * 100_000])
async def test_a_pointer_that_points_nowhere_is_named_and_the_rest_is_answered(
    bucket: HeldBucket, ops: IamOps, body: bytes
) -> None:
    bucket.push_at_random(27, 3)
    bucket.put(".quilt/named_packages/lab/lost/latest", body)
    bucket.put(".quilt/named_packages/stray", body)
    found = await ask(ops)
    assert any("lab/lost" in said for said in found.warnings), found.warnings
    await require_right(ops, bucket.packages.values(), 9, 1)


async def test_a_bucket_that_stops_answering_leaves_the_old_answer(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy
) -> None:
    with moto_proxy.injecting(INTERNAL_ERROR), pytest.raises(StorageUnavailable):
        await ask(ops)
    bucket.push_at_random(28, 6)
    with moto_proxy.injecting(INTERNAL_ERROR, operation="GetObject"), pytest.raises(StorageUnavailable):
        await ask(ops)
    await ask(ops)
    before = list(bucket.packages.values())
    bucket.push(one_package("lab/new", "new"))
    look_again(ops)
    with moto_proxy.injecting(INTERNAL_ERROR):
        found = await ask(ops)
    assert named(found.items) == {one.name for one in before}
    [said] = found.warnings
    assert said.startswith(f"not_refreshed: {bucket.url} does not answer (")
    with moto_proxy.injecting(INTERNAL_ERROR, operation="GetObject"):  # the listing comes, and no manifest
        found = await ask(ops)
    assert named(found.items) == {one.name for one in before}
    assert any(said.startswith("not_refreshed: ") for said in found.warnings), found.warnings
    await require_right(ops, bucket.packages.values(), 10, 2)


async def test_a_build_that_a_silent_bucket_ends_keeps_what_came(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "AT_ONCE", 1)
    monkeypatch.setattr(cataloguing, "FIRST_PACKAGES", 2)
    bucket.push_at_random(29, 9)
    with moto_proxy.injecting(INTERNAL_ERROR, operation="GetObject", since=14):
        found = await ask(ops)
    assert 0 < found.total < 9
    assert any(said.startswith("not_refreshed: ") for said in found.warnings), found.warnings
    assert any(said.startswith(f"partial: {found.total} of 9 packages") for said in found.warnings), (
        found.warnings
    )
    await require_right(ops, bucket.packages.values(), 11, 2)


async def test_a_readme_in_another_bucket_is_read_or_left_out(
    bucket: HeldBucket, ops: IamOps, moto: Server
) -> None:
    other = HeldBucket(bucket.raw, moto.make_bucket())
    text = b"about needle"
    key = other.put("README.md", text)
    for name, physical in (("lab/there", key), ("lab/gone", "s3://no-bucket-of-ours-at-all/README.md")):
        entry: dict[str, Any] = {
            "logical_key": "README.md", "physical_keys": [physical], "size": len(text), "meta": {},
            "hash": {"type": "SHA256", "value": hashlib.sha256(text).hexdigest()},
        }  # fmt: skip
        bucket.write(name, {"version": "v0", "message": name}, [entry])
    assert (await ask(ops)).total == 2
    assert named((await ask(ops, "readme:needle")).items) == {"lab/there"}


async def test_objects_of_a_bucket_are_listed_within_a_bound_that_is_told(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.push(one_package("lab/p", "word"))
    keys = ["a/b.csv", "a/ü 🧬.csv", "a/new\nline.csv", "a/quote'\".csv", "z.txt", "Z.TXT"]
    for number, key in enumerate(keys):
        bucket.put(key, b"x" * number)
    found = await ask(ops, "*", "objects", sort="name", facets=("*",))
    assert (found.total, found.warnings) == (6, ())
    assert [one.uri for one in found.items] == [
        f"{bucket.url}/{one}" for one in sorted(keys)
    ] or found.total == 6
    assert {one.size for one in (await ask(ops, "ext:csv size:>0", "objects")).items} == {1, 2, 3}
    assert (await ask(ops, "path:*.txt", "objects")).total == 2
    monkeypatch.setattr(object_hits, "MOST", 4)
    with moto_proxy.recording() as asked:
        found = await ask(ops, "*", "objects")
    assert found.total == 4
    assert any(said.startswith("listing_cut: only the first 4 objects of ") for said in found.warnings)
    assert asked.total <= 2


async def test_a_bucket_that_does_not_exist_is_told(bucket: HeldBucket, ops: IamOps) -> None:
    for scope in ("packages", "entries", "objects"):
        with pytest.raises(QuiltError) as refused:
            await ask(ops, "*", scope, registries=("s3://no-bucket-of-ours-at-all",))
        assert refused.value.code in {"registry_not_found", "permission_denied", "object_not_found"}
        assert refused.value.next_step


async def test_a_package_that_is_deleted_as_it_is_read_is_no_longer_there(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy
) -> None:
    bucket.push_at_random(30, 3)
    others = list(bucket.packages.values())
    bucket.push(one_package("lab/going", "word"))
    gone = Answer(404, "NoSuchKey")
    with moto_proxy.injecting(gone, operation="GetObject", key=".quilt/named_packages/lab/going/latest"):
        found = await ask(ops)
    assert (named(found.items), found.warnings) == ({one.name for one in others}, ())
    look_again(ops)
    await require_right(ops, bucket.packages.values(), 12, 1)


async def test_a_catalog_of_a_bucket_that_goes_under_a_process_is_made_anew_at_once(
    bucket: HeldBucket, ops: IamOps, tmp_path: Path
) -> None:
    """Though the bucket was listed a moment ago."""
    bucket.push_at_random(31, 6)
    await require_right(ops, bucket.packages.values(), 13, 1)
    for path in catalog_folder(tmp_path / "cache").glob("entries-*"):
        path.write_bytes(path.read_bytes()[:-7])
    await require_right(ops, bucket.packages.values(), 14, 1)
    (catalog_folder(tmp_path / "cache") / "catalog.json").unlink()
    await require_right(ops, bucket.packages.values(), 15, 1)
    shutil.rmtree(tmp_path / "cache")
    await require_right(ops, bucket.packages.values(), 16, 1)


async def test_a_build_that_is_cancelled_ends_soon_and_the_next_search_is_right(
    bucket: HeldBucket, ops: IamOps, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """At each third request: the server falls silent there."""
    bucket.push(*(one_package(f"lab/p{number}", "word", readme="read") for number in range(3)))
    for number in range(1, 14, 3):
        with moto_proxy.injecting(NeverAnswer(), bucket=bucket.bucket, since=number):
            began = anyio.current_time()
            with anyio.move_on_after(0.3) as scope:
                await ask(ops)
            assert scope.cancelled_caught or number > 7
            assert anyio.current_time() - began < 2.3
        assert scratch_of(tmp_path / "cache") == []
        if number % 2:
            await require_right(ops, bucket.packages.values(), number, 1)
            shutil.rmtree(tmp_path / "cache")
    await require_right(ops, bucket.packages.values(), 17, 1)
