"""How many requests S3 is asked, counted by the proxy: what each verb promises, so that none grows unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import anyio
import anyio.to_thread
import pytest

from parts.faults import Pause
from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.domain.search.request import SearchRequest
from quilt_mcp.domain.search.where import parse_where

FILES = 60

pytestmark = pytest.mark.anyio


@pytest.fixture
def bucket(moto: Server) -> str:
    return moto.make_bucket()


@pytest.fixture
def ops(bucket: str, moto: Server, moto_proxy: Proxy, tmp_path: Path) -> IamOps:
    return iam_ops(moto.via(moto_proxy.url), bucket, roots=(tmp_path,), cache=tmp_path / "cache")


@pytest.fixture
def put(bucket: str, moto: Server) -> Iterator[Callable[[str, bytes], Any]]:
    """Writes an object past the proxy, so that it is not counted."""
    with moto.boto() as raw:
        yield lambda key, body: raw.put_object(Bucket=bucket, Key=key, Body=body)


async def test_a_push_an_install_and_a_verification_cost_a_request_a_file_and_a_push_again_a_few(
    ops: IamOps, bucket: str, moto_proxy: Proxy, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    for number in range(FILES):
        path = folder / f"folder{number % 7}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    request = CreateRequest(
        PackageUri(f"s3://{bucket}", "a/b"), sources=(Source(f"{folder}/"),), overwrite=True
    )
    with moto_proxy.recording() as first:
        done = await ops.create(request)
    assert done.plan.added == FILES
    assert first.total <= FILES + 20  # of 2,000: 1.01 a file
    with moto_proxy.recording() as again:
        done = await ops.create(request)
    assert (done.plan.kept, done.created) == (FILES, False)
    assert again.total <= 7
    with moto_proxy.recording() as installing:
        assert (await ops.install(done.plan.package, str(tmp_path / "installed"))).installed == FILES
    assert installing.total <= FILES + 5
    with moto_proxy.recording() as verifying:
        assert (await ops.verify(done.plan.package)).checked.entries == FILES
    assert verifying.total <= FILES + 5


async def test_a_listing_with_metadata_after_a_search_asks_for_no_manifest_and_no_pointer(
    ops: IamOps, bucket: str, moto_proxy: Proxy
) -> None:
    for name in ("a/one", "a/two"):
        files = (InlineFile("f", name.encode()),)
        await ops.create(
            CreateRequest(PackageUri(f"s3://{bucket}", name), files=files, metadata={"n": name}, message=name)
        )

    async def listed() -> list[tuple[str, Any, str | None]]:
        page = await ops.list_packages(f"s3://{bucket}", metadata=True)
        return [(one.name, one.metadata, one.top_hash) for one in page.items]

    with moto_proxy.recording() as before:
        wanted = await listed()
    assert before.total >= 5  # the listing, and a pointer and a header each
    assert (await ops.search.search(SearchRequest("one"))).total == 1
    with moto_proxy.recording() as after:
        assert await listed() == wanted
    assert after.total == 1
    with moto_proxy.recording() as narrowed:
        found = await ops.list_packages(f"s3://{bucket}", where=parse_where("n = 'a/two'"))
    assert [one.name for one in found.items] == ["a/two"] and narrowed.total == 1


async def test_more_small_files_are_on_their_way_at_once_than_there_are_groups_of_them(
    ops: IamOps, bucket: str, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """Groups of two: 16 groups at once are pushed, 12 are installed."""
    (folder := tmp_path / "files").mkdir()
    for number in range(130):
        (folder / f"file{number}").write_bytes(b"%d" % number)
    request = CreateRequest(PackageUri(f"s3://{bucket}", "a/b"), sources=(Source(f"{folder}/"),))
    destination = str(tmp_path / "installed")
    for operation, at_once, act in (
        ("PutObject", 2 * 16, lambda: ops.create(request)),
        ("GetObject", 2 * 12, lambda: ops.install(request.package, destination)),
    ):
        pause = Pause()
        with moto_proxy.injecting(pause, operation=operation, key="a/b/*"):
            async with anyio.create_task_group() as group:
                group.start_soon(act)
                await anyio.to_thread.run_sync(pause.wait_until_reached, at_once)
                pause.release()
    assert len(list((tmp_path / "installed").iterdir())) == 130


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("files", "versions"),
    [(500, 5), pytest.param(3000, 3, marks=[pytest.mark.nightly, pytest.mark.timeout(600)])],
)
async def test_a_patch_of_one_file_costs_the_same_however_deep_the_history(
    files: int, versions: int, ops: IamOps, bucket: str, put: Callable[[str, bytes], Any], moto_proxy: Proxy
) -> None:
    """Review R15: all versions of all files were listed, a thousand to a request. The package holds each of the files."""
    package = PackageUri(f"s3://{bucket}", "a/b")
    with ThreadPoolExecutor(8) as writers:
        for version in range(versions):
            [*writers.map(lambda number: put(f"a/b/file{number:04d}", b"%d" % version), range(files))]  # noqa: B023 - used within this turn of the loop
    sources = (Source(f"s3://{bucket}/a/b/"),)
    made = await ops.create(CreateRequest(package, sources=sources, files=(InlineFile("z/f", b"0"),)))
    assert made.plan.added == files + 1
    for name in ("z/f", "new", "file0007"):
        with moto_proxy.recording() as seen:
            done = await ops.patch(PatchRequest(package, files=(InlineFile(name, b"1"),)))
        assert done.created
        assert seen.total <= 15, dict(seen.counts)
        assert seen.counts["ListObjectVersions"] == 1


async def test_packages_are_listed_by_listing_alone(
    ops: IamOps, bucket: str, put: Callable[[str, bytes], Any], moto_proxy: Proxy
) -> None:
    """One for a thousand pointers."""
    for number in range(60):
        for pointer in ("1700000000", "latest"):
            put(f".quilt/named_packages/team{number % 3}/package{number}/{pointer}", b"0" * 64)
    with moto_proxy.recording() as seen:
        assert len((await ops.list_packages(f"s3://{bucket}", limit=50)).items) == 50
    assert dict(seen.counts) == {"ListObjectsV2": 1}
    with moto_proxy.recording() as seen:
        assert len((await ops.list_packages(f"s3://{bucket}", limit=1000)).items) == 60
    assert dict(seen.counts) == {"ListObjectsV2": 1}


async def test_a_hundred_objects_are_listed_with_links_in_one_request(
    ops: IamOps, bucket: str, put: Callable[[str, bytes], Any], moto_proxy: Proxy
) -> None:
    for number in range(100):
        put(f"data/object {number:03d}", b"%d" % number)
    with moto_proxy.recording() as seen:
        items = (await ops.list_objects(f"s3://{bucket}/data/", links=True)).items
    assert dict(seen.counts) == {"ListObjectsV2": 1}
    links = [item.link for item in items]
    assert len({link.url for link in links if link}) == 100
    assert links[7] is not None and links[7].expires is not None
    with urlopen(links[7].url, timeout=10) as answer:
        assert answer.read() == b"7"


async def test_browsing_a_cached_revision_costs_at_most_two_requests(
    ops: IamOps, bucket: str, moto_proxy: Proxy, tmp_path: Path
) -> None:
    """C29."""
    for name in ("README.md", "quilt_summarize.json"):
        (tmp_path / "files" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "files" / name).write_bytes(b"1")
    package = PackageUri(f"s3://{bucket}", "a/b")
    done = await ops.create(CreateRequest(package, sources=(Source(f"{tmp_path}/files/"),)))
    await ops.browse(package)
    with moto_proxy.recording() as seen:
        found = await ops.browse(package, with_readme=True, with_extensions=True, match="*.md", sort="size")
    assert (found.readme and found.readme.text, found.summary) == ("1", 1)
    assert seen.total <= 4, "README and summary are read for the first time"
    with moto_proxy.recording() as seen:
        assert await ops.browse(package, with_readme=True) == await ops.browse(package, with_readme=True)
    assert seen.total <= 4
    with moto_proxy.recording() as seen:
        await ops.browse(PackageUri(package.registry, "a/b", top_hash=done.top_hash))
    assert seen.total <= 2
    with moto_proxy.recording() as seen:
        await ops.browse(PackageUri(package.registry, "a/b", top_hash=done.top_hash))
    assert dict(seen.counts) == {"HeadObject": 1}
    with moto_proxy.recording() as seen:
        foreign = await ops.browse(PackageUri(package.registry, "a/other", top_hash=done.top_hash))
    assert foreign.page.warnings
    assert seen.total <= 2
