"""Registries that are damaged, busy or too large, and stores that refuse or fail: what stays published, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import quilt3
from published_bucket import Bucket, opened, require_right
from publishing_lab import by_pandas, comparable, local_ops, publish, told_by_quilt3, write

from parts.faults import ACCESS_DENIED, INTERNAL_ERROR, LoseResponse
from parts.proxy import Proxy
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.publication import TABLES
from quilt_mcp.errors import QuiltError, RegistryNotFound, StorageBusy, TooLarge
from quilt_mcp.registry.reading import pointed

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("publishing_on_s3")]


async def test_a_revision_that_cannot_be_read_stays_published_and_nothing_is_doubled(
    registry: Path, ops: LocalOps, tmp_path: Path
) -> None:
    """Its part can be written anew only when all of it can be read again; until then what is deleted of it stays, and is told."""
    await publish(ops)
    before = told_by_quilt3(registry.as_uri())
    [top_hash] = {row[2] for row in before["package_tag"] if row[0] == "lab/growth"}
    manifest = registry / ".quilt" / "packages" / top_hash
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-20])
    write(registry, "new/one", {"only.txt": "1"}, message="new")
    outcome = await publish(local_ops(registry, tmp_path / "another's cache"))
    assert (outcome.added, outcome.removed) == (1, 0)
    assert any(one.startswith("unread") for one in outcome.warnings)
    quilt3.delete_package("lab/größe", registry.as_uri())
    outcome = await publish(local_ops(registry, tmp_path / "a third cache"))
    assert (outcome.added, outcome.removed) == (0, 0)
    assert any(one.startswith("kept_deleted: 1 deleted revision") for one in outcome.warnings)
    found = comparable(by_pandas(registry / ".quilt" / "tables"))
    assert all(count == 1 for rows in found.values() for count in rows.values())
    assert found["package_entry"] >= comparable(before)["package_entry"]
    manifest.write_bytes(whole)
    outcome = await publish(local_ops(registry, tmp_path / "a third cache"))
    assert (outcome.removed, outcome.warnings) == (1, ())
    assert comparable(by_pandas(registry / ".quilt" / "tables")) == comparable(
        told_by_quilt3(registry.as_uri())
    )


async def test_nothing_is_published_while_another_process_reads_the_registry(
    registry: Path, ops: LocalOps
) -> None:
    """Its view of the registry is older, and what it lacks would be taken for deleted."""
    await publish(ops)
    before = by_pandas(registry / ".quilt" / "tables")
    write(registry, "new/one", {"only.txt": "1"}, message="new")
    [(catalog, _)] = await ops.catalogs.made().brought((ops.default_registry,), all_revisions=True)
    write(registry, "new/two", {"only.txt": "2"}, message="new")
    with catalog.folder.building() as is_alone:
        assert is_alone
        with pytest.raises(StorageBusy) as caught:
            await publish(ops)
    assert "nothing was published" in caught.value.message
    assert by_pandas(registry / ".quilt" / "tables") == before
    assert (await publish(ops)).added == 2


async def test_a_listing_that_was_cut_is_not_published(
    registry: Path, ops: LocalOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pointed, "MOST_REVISIONS", 2)
    with pytest.raises(TooLarge):
        await publish(ops)
    assert not (registry / ".quilt" / "tables").exists()


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryNotFound):
        await publish(local_ops(tmp_path / "nowhere", tmp_path / "cache"))
    assert not (tmp_path / "nowhere").exists()


# -- in a bucket --


async def test_an_answer_that_is_lost_is_found_out(
    pushed: Bucket, bucket_ops: IamOps, moto_proxy: Proxy
) -> None:
    with moto_proxy.injecting(
        LoseResponse(), operation="PutObject", key="*_publication.json", times=1
    ) as rule:
        outcome = await publish(bucket_ops)
    assert rule.fired == 1 and outcome.is_done
    require_right(pushed)


async def test_a_store_that_fails_at_the_state_changes_nothing(
    pushed: Bucket, bucket_ops: IamOps, moto_proxy: Proxy
) -> None:
    await publish(bucket_ops)
    before = comparable(pushed.by_lists())
    pushed.push(["lab/fails", {"n.txt": "n"}, None])
    with (
        moto_proxy.injecting(INTERNAL_ERROR, operation="PutObject", key="*_publication.json"),
        pytest.raises(QuiltError),
    ):
        await publish(bucket_ops)
    assert comparable(pushed.by_lists()) == before == comparable(pushed.by_state())
    await publish(bucket_ops)
    require_right(pushed)


async def test_who_may_not_delete_publishes_and_is_told(
    pushed: Bucket, bucket_ops: IamOps, moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    await publish(bucket_ops)
    pushed.push(["lab/more", {"n.txt": "n"}, None])
    with moto_proxy.injecting(ACCESS_DENIED, operation="DeleteObject*", key=f"{TABLES}*"):
        outcome = await publish(bucket_ops)
    assert outcome.is_done and any(one.startswith("not_deleted: 2 files") for one in outcome.warnings)
    assert comparable(pushed.by_lists()) == comparable(pushed.wanted())
    assert (await publish(opened(pushed, moto, moto_proxy, tmp_path / "cache"))).files_deleted == 2
    require_right(pushed)
