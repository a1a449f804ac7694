"""What is published of a bucket: as the lists name it, as folders hold it, what a publication writes, and how two get on."""

from __future__ import annotations

from pathlib import Path

import pytest
from published_bucket import Bucket, opened, require_right
from publishing_lab import Death, Died, DyingStore, HookedStore, comparable, publish, put_between

from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.publication import TABLES
from quilt_mcp.errors import ChangedMeanwhile

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("publishing_on_s3")]


async def test_a_bucket_is_published_and_little_is_written_again(
    pushed: Bucket, bucket_ops: IamOps, moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    outcome = await publish(bucket_ops)
    assert (outcome.added, outcome.sequence) == (2, 1)
    require_right(pushed)
    with moto_proxy.recording() as second:
        assert (await publish(bucket_ops)).is_current
    assert second.mutating == []
    assert second.total <= 14, second.counts
    pushed.push(["lab/new", {"n.txt": "n"}, {"n": 1}])
    other = opened(pushed, moto, moto_proxy, tmp_path / "another's cache")
    with moto_proxy.recording() as third:
        outcome = await publish(other)
    written = [one.call.key.removeprefix(TABLES) for one in third.of("PutObject") if TABLES in one.call.key]
    kinds = sorted(key.partition("/")[0] for key in written)
    assert kinds == [
        "_lists", "_lists", "_lists", "_lists", "_parts", "_publication.json",
        "package_entry", "package_manifest", "package_revision", "package_tag",
    ]  # fmt: skip
    assert sum(one.received for one in third.of("PutObject")) < 20_000
    assert (outcome.files_written, outcome.files_deleted) == (4, 2)
    require_right(pushed)


async def test_a_file_that_is_written_over_by_as_many_bytes_is_published_anew(
    pushed: Bucket, bucket_ops: IamOps, moto: Server
) -> None:
    await publish(bucket_ops)
    keys = pushed.keys()
    with moto.boto() as raw:
        for key in (one for one in keys if "/package_entry/" in one or "/package_tag/" in one):
            raw.put_object(Bucket=pushed.name, Key=key, Body=pushed.read(key)[::-1])
    assert not (await publish(bucket_ops)).is_current
    require_right(pushed)
    assert (await publish(bucket_ops)).is_current


async def test_a_rollback_is_seen_though_no_pointer_is_read(
    pushed: Bucket, bucket_ops: IamOps, moto_proxy: Proxy
) -> None:
    [first] = {row[2] for row in pushed.wanted()["package_tag"] if row[0] == "lab/growth"}
    pushed.push(["lab/growth", {"a.csv": "another"}, None])
    await publish(bucket_ops)
    pushed.roll_back("lab/growth", first)
    with moto_proxy.recording() as seen:
        outcome = await publish(bucket_ops)
    assert (outcome.added, outcome.removed, outcome.files_written) == (0, 0, 1)
    assert not [one for one in seen.of("GetObject") if "named_packages" in one.call.key]
    require_right(pushed)


async def test_killed_before_any_write_who_reads_the_lists_reads_right(
    pushed: Bucket, moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    await publish(opened(pushed, moto, moto_proxy, cache))
    pushed.push(["lab/new", {"n.txt": "another"}, {"n": 2}], ["lab/newer", {"n.txt": "n"}, None])
    pushed.delete("lab/none")
    before, after = comparable(pushed.by_lists()), comparable(pushed.wanted())
    deaths, seen = 0, set[str]()
    while True:
        ops, death = opened(pushed, moto, moto_proxy, cache), Death(at=deaths)
        put_between(ops, lambda store, death=death: DyingStore(store, death))
        try:
            await publish(ops)
            break
        except Died:
            deaths += 2  # a folder has every one
        assert comparable(pushed.by_state()) in (before, after)
        for name, rows in comparable(pushed.by_lists()).items():
            assert rows in (before[name], after[name])
            seen.add("new" if rows == after[name] else "old")
    assert seen == {"old", "new"} and deaths >= 8
    await publish(opened(pushed, moto, moto_proxy, cache))
    require_right(pushed)
    assert (await publish(opened(pushed, moto, moto_proxy, cache))).is_current


@pytest.mark.parametrize("until", ["_publication.json", "_lists/package_manifest"])
async def test_who_is_overtaken_undoes_nothing(
    pushed: Bucket, moto: Server, moto_proxy: Proxy, tmp_path: Path, until: str
) -> None:
    """One waits before that write until another has published more: before the state it is told, after it the other's lists
    stand."""
    late = opened(pushed, moto, moto_proxy, tmp_path / "cache")
    first = opened(pushed, moto, moto_proxy, tmp_path / "another's cache")
    pushed.push(["lab/late", {"n.txt": until}, None])
    waited: list[str] = []

    async def before(key: str) -> None:
        if key.startswith(until) and not waited:
            waited.append(key)
            pushed.push(["lab/first", {"n.txt": until}, None])
            assert (await publish(first)).is_done

    put_between(late, lambda store: HookedStore(store, before))
    if until.startswith("_lists"):
        assert (await publish(late)).is_done
    else:
        with pytest.raises(ChangedMeanwhile):
            await publish(late)
    assert waited
    require_right(pushed)
