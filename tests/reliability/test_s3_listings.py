"""Listings as S3's protocol allows them, which moto never gives, and as it does not: nothing is left out in silence (Review R3
and R6, case_A1, case_A3), and what does not get on ends (case_X7)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from parts.iam_ops import iam_ops
from parts.odd_s3 import OddS3, Page, drip, odd_s3, paged
from parts.s3_access import S3Access
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, Source
from quilt_mcp.errors import NotSupported, QuiltError, StorageUnavailable
from quilt_mcp.storage.s3 import listings
from quilt_mcp.storage.s3.answers import bounds

pytestmark = pytest.mark.anyio
KEYS = ["d/", "d/a", "d/b/", "d/b/1", "d/b/2", "d/c", "e/", "e/only/", "e/only/x"]


@pytest.fixture
def odd() -> Iterator[OddS3]:
    with odd_s3() as odd:
        yield odd


@pytest.fixture
def ops(odd: OddS3, tmp_path: Path) -> IamOps:
    return iam_ops(S3Access(odd.url), "odd", roots=(tmp_path,), cache=tmp_path / "cache")


async def sources_of(ops: IamOps, origin: str) -> list[str]:
    plan = await ops.plan_create(CreateRequest(PackageUri("s3://other", "a/b"), sources=(Source(origin),)))
    return [change.path for change in plan.changes]


async def listed(ops: IamOps, location: str, limit: int) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await ops.list_objects(location, limit=limit, cursor=cursor)
        found += [item.uri.removeprefix("s3://odd/") for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.sampled(1)
@pytest.mark.parametrize("empty_every", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 1000])
async def test_every_key_is_found_whatever_the_pages(
    size: int, empty_every: int, odd: OddS3, ops: IamOps
) -> None:
    odd.answer = paged(KEYS, size=size, empty_every=empty_every)
    store = ops._stores.registry("s3://odd")
    assert [stat.key async for stat in store.list("d/")] == ["d/a", "d/b/1", "d/b/2", "d/c"]
    for limit in (1, 2, 1000):
        assert await listed(ops, "s3://odd/d/", limit) == ["d/a", "d/b/", "d/c"]
        assert await listed(ops, "s3://odd/", limit) == ["d/", "e/"]
    assert await sources_of(ops, "s3://odd/d") == ["a", "b/1", "b/2", "c"]
    assert await sources_of(ops, "s3://odd/d/") == ["a", "b/1", "b/2", "c"]
    assert await sources_of(ops, "s3://odd/e") == ["only/x"]


async def test_packages_behind_empty_pages_are_listed(odd: OddS3, ops: IamOps) -> None:
    names = ["a/b", "a/c", "d/e"]
    pointers = [f".quilt/named_packages/{name}/{tag}" for name in names for tag in ("1700000000", "latest")]
    odd.answer = paged(pointers, size=1, empty_every=2)
    assert [one.name for one in (await ops.list_packages("s3://odd")).items] == names


def _forever_empty() -> Iterator[Page]:
    return (Page(token=str(number)) for number in itertools.count())


NO_LISTING = {
    "the same key for ever": lambda: itertools.repeat(Page(["k1"], token="t")),
    "the same folder for ever": lambda: itertools.repeat(Page(folders=["k/"], token="t")),
    "cut off without a token": lambda: itertools.repeat(Page(["k1"], token="")),
    "backwards": lambda: iter([Page(["k2"], token="t"), Page(["k1"], token="u"), Page(["k0"])]),
    "outside the prefix": lambda: itertools.repeat(Page(["elsewhere/k"])),
    "empty for ever": _forever_empty,
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("case", NO_LISTING)
async def test_a_listing_that_does_not_get_on_is_an_error(
    case: str, odd: OddS3, ops: IamOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """case_X7: and not told as something that passes."""
    monkeypatch.setattr(listings, "_EMPTY_SECONDS", 0.5)
    store = ops._stores.registry("s3://odd")
    for read in (
        lambda: _all(store.list("k" if "prefix" in case else "")),
        lambda: listed(ops, "s3://odd/k/" if "prefix" in case else "s3://odd/", 1),
        lambda: ops.list_packages("s3://odd"),
    ):
        pages = NO_LISTING[case]()
        odd.answer = lambda query, pages=pages: next(pages)
        odd.queries.clear()
        with anyio.fail_after(20), pytest.raises(NotSupported) as caught:
            await read()
        assert "server" in caught.value.next_step and "again" not in caught.value.next_step
        assert len(odd.queries) <= 3 or case == "empty for ever"


async def _all(stats: object) -> list[object]:
    return [stat async for stat in stats]  # type: ignore[attr-defined]


async def test_an_answer_without_an_end_is_given_up(odd: OddS3, ops: IamOps) -> None:
    """case_X7"""
    odd.answer = lambda query: drip(b"<Contents>" * (1 << 16), times=4000)
    with anyio.fail_after(30), pytest.raises(QuiltError) as caught:
        await ops.list_objects("s3://odd/")
    assert isinstance(caught.value, NotSupported)


async def test_an_answer_that_drips_is_given_up(
    odd: OddS3, ops: IamOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """case_X7: each byte within the time-out, and no end."""
    monkeypatch.setattr(bounds, "_ANSWER_SECONDS", 1)
    odd.answer = lambda query: drip(b"<", times=600, pause=0.05)
    with anyio.fail_after(20), pytest.raises(StorageUnavailable):
        await ops.list_objects("s3://odd/")
