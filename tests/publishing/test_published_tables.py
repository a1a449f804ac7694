"""What is published of a folder is what quilt3 reads in it, whoever reads it; and a publication writes what is new."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import anyio
import duckdb
import pyarrow.dataset
import pytest
import quilt3
from publishing_lab import (
    COLUMNS,
    Death,
    Died,
    DyingStore,
    HookedStore,
    by_pandas,
    by_state,
    comparable,
    local_ops,
    plain,
    publish,
    put_between,
    told_by_quilt3,
    write,
    write_some,
)

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.publication import NAMES
from quilt_mcp.errors import ChangedMeanwhile, NotSupported, ReadOnly

pytestmark = pytest.mark.anyio


def tables(registry: Path) -> Path:
    return registry / ".quilt" / "tables"


def files(registry: Path) -> dict[str, int]:
    return {
        str(path.relative_to(tables(registry))): path.stat().st_ino
        for path in tables(registry).rglob("*")
        if path.is_file()
    }


def require_right(registry: Path) -> None:
    """Read plainly, and by the state, the tables are what quilt3 reads."""
    wanted = comparable(told_by_quilt3(registry.as_uri()))
    assert comparable(by_pandas(tables(registry))) == wanted
    assert comparable(by_state(tables(registry))) == wanted


async def test_what_is_published_is_what_quilt3_reads(registry: Path, ops: LocalOps) -> None:
    outcome = await publish(ops)
    assert (outcome.packages, outcome.revisions, outcome.entries) == (4, 3, 4)
    assert (outcome.added, outcome.removed, outcome.sequence) == (3, 0, 1)
    require_right(registry)
    wanted = told_by_quilt3(registry.as_uri())
    for name in NAMES:
        with duckdb.connect() as engine:
            pattern = f"{tables(registry)}/{name}/**/*.parquet"
            found = engine.execute(f"SELECT * FROM read_parquet('{pattern}', hive_partitioning = true)")
            assert [one[0] for one in found.description] == COLUMNS[name]
            assert comparable({name: plain(name, found.fetchall())}) == comparable({name: wanted[name]})
        scanned = pyarrow.dataset.dataset(tables(registry) / name, format="parquet", partitioning="hive")
        assert scanned.count_rows() == len(wanted[name])


async def test_the_statements_that_are_printed_are_duckdbs(tmp_path: Path) -> None:
    registry = tmp_path / "it's [a] *folder*"
    write_some(registry)
    ops = local_ops(registry, tmp_path / "cache")
    await publish(ops)
    assert ops.publications is not None
    with duckdb.connect() as engine:
        for statement in ops.publications.statements(ops.default_registry):
            engine.execute(statement)
        joined = "SELECT count(*) FROM package_tag JOIN package_manifest USING (top_hash) JOIN package_entry USING (top_hash)"
        assert engine.execute(joined).fetchone() == (6,)
        kind = engine.execute("SELECT DISTINCT typeof(timestamp) FROM package_revision").fetchall()
        assert kind == [("TIMESTAMP",)]


async def test_a_second_run_writes_nothing(registry: Path, ops: LocalOps, tmp_path: Path) -> None:
    await publish(ops)
    before = files(registry)
    outcome = await publish(ops)
    assert (outcome.is_current, outcome.files_written, outcome.sequence) == (True, 0, 1)
    assert files(registry) == before
    other = await publish(local_ops(registry, tmp_path / "another's cache"))
    assert other.is_current and files(registry) == before


async def test_a_new_revision_is_written_and_nothing_else(
    registry: Path, ops: LocalOps, tmp_path: Path
) -> None:
    await publish(ops)
    before = files(registry)
    write(registry, "new/one", {"only.txt": "1"}, meta={"n": 1}, message="new")
    outcome = await publish(local_ops(registry, tmp_path / "another's cache"))
    assert (outcome.added, outcome.files_written, outcome.files_deleted) == (1, 4, 2)
    after = files(registry)
    gone = {key.partition("/")[0] for key in before.keys() - after.keys()}
    assert gone == {"package_revision", "package_tag"}
    assert len(after.keys() - before.keys()) == 5
    assert all(after[key] == before[key] for key in before.keys() & after.keys() if key[0] != "_")
    require_right(registry)


async def test_what_was_deleted_or_rolled_back_is_so_in_the_tables(registry: Path, ops: LocalOps) -> None:
    time.sleep(1.1)  # quilt3 names revisions by seconds
    first = dict(quilt3.list_package_versions("lab/growth", registry.as_uri()))["latest"]
    write(registry, "lab/growth", {"a.csv": "another"}, message="second")
    await publish(ops)
    require_right(registry)
    quilt3.Package.rollback("lab/growth", registry.as_uri(), first)
    outcome = await publish(ops)
    assert (outcome.added, outcome.removed, outcome.files_written) == (0, 0, 1)
    require_right(registry)
    quilt3.delete_package("lab/größe", registry.as_uri())
    outcome = await publish(ops)
    assert (outcome.added, outcome.removed) == (0, 1)
    require_right(registry)


async def test_an_empty_registry_has_empty_tables_with_columns(tmp_path: Path) -> None:
    (registry := tmp_path / "registry").mkdir()
    ops = local_ops(registry, tmp_path / "cache")
    outcome = await publish(ops)
    assert (outcome.packages, outcome.revisions, outcome.files_written) == (0, 0, 4)
    assert by_pandas(tables(registry)) == {name: [] for name in NAMES}
    assert (await publish(ops)).is_current
    write(registry, "a/b", {}, message="no files")
    await publish(ops)
    require_right(registry)
    write(registry, "a/c", {"f": "1"})
    await publish(ops)
    require_right(registry)
    quilt3.delete_package("a/b", registry.as_uri())
    quilt3.delete_package("a/c", registry.as_uri())
    await publish(ops)
    assert by_pandas(tables(registry)) == {name: [] for name in NAMES}


async def test_without_writes_there_is_a_plan_and_no_publication(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache", writable=False)
    with pytest.raises(ReadOnly):
        await publish(ops)
    assert ops.publications is not None
    plan = await ops.publications.plan(ops.default_registry)
    assert (plan.is_done, plan.is_current, plan.sequence) == (False, False, 0)
    assert (plan.packages, plan.revisions, plan.added, plan.files_written) == (4, 3, 3, 4)
    assert 100 < plan.bytes_written < 10_000
    assert not tables(registry).exists()


async def test_a_plan_says_what_is_written(registry: Path, ops: LocalOps) -> None:
    await publish(ops)
    assert ops.publications is not None
    assert (await ops.publications.plan(ops.default_registry)).is_current
    quilt3.delete_package("lab/größe", registry.as_uri())
    write(registry, "new/one", {"only.txt": "1"})
    plan = await ops.publications.plan(ops.default_registry)
    done = await publish(ops)
    assert not plan.is_done and done.is_done
    same = ("packages", "revisions", "entries", "added", "removed", "files_written", "files_deleted")
    assert [getattr(plan, name) for name in same] == [getattr(done, name) for name in same]


async def test_nobody_takes_the_tables_for_packages(registry: Path, ops: LocalOps) -> None:
    url = registry.as_uri()
    before = sorted(quilt3.list_packages(url)), told_by_quilt3(url)
    listed = [(one.name, one.top_hash) for one in (await ops.list_packages(url)).items]
    await publish(ops)
    assert (sorted(quilt3.list_packages(url)), told_by_quilt3(url)) == before
    assert [(one.name, one.top_hash) for one in (await ops.list_packages(url)).items] == listed
    published = files(registry)
    await ops.delete(PackageUri(ops.default_registry, "team/copy"), whole=True)
    quilt3.delete_package("lab/none", url)
    assert files(registry) == published
    assert (await ops.verify(PackageUri(ops.default_registry, "lab/growth"))).ok


DAMAGES = (
    "state",
    "state gone",
    "a state of another shape",
    "a state with keys elsewhere",
    "a part's file",
    "a cut file",
    "its hashes",
    "another's file",
    "a file of the same size",
    "tags of the same size",
    "a list of tags",
)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_somebody_broke_is_published_anew(registry: Path, ops: LocalOps, damage: str) -> None:
    await publish(ops)
    where = tables(registry)
    [entries] = (where / "package_entry").iterdir()
    [hashes] = (where / "_parts").iterdir()
    [tags] = (where / "package_tag").iterdir()
    match damage:
        case "state":
            (where / "_publication.json").write_text('{"format": 1, "parts": [')
        case "a state of another shape":
            state = json.loads((where / "_publication.json").read_text())
            state["parts"][0]["manifests"]["rows"] = ["many"]
            (where / "_publication.json").write_text(json.dumps(state))
        case "a state with keys elsewhere":
            state = json.loads((where / "_publication.json").read_text())
            state["parts"][0]["manifests"]["key"] = "../packages/x.parquet"
            (where / "_publication.json").write_text(json.dumps(state))
        case "state gone":
            (where / "_publication.json").unlink()
        case "a part's file":
            entries.unlink()
        case "a cut file":
            entries.write_bytes(entries.read_bytes()[:-10])
        case "its hashes":
            hashes.write_bytes(hashes.read_bytes()[:32] * 3)  # two of the three seem not to be there
        case "a file of the same size":
            entries.write_bytes(entries.read_bytes().replace(b"PAR1", b"PAR2"))
        case "tags of the same size":
            tags.write_bytes(tags.read_bytes()[::-1])
        case "another's file":
            (where / "package_entry" / f"00000001-{'0' * 16}-7.parquet").write_bytes(entries.read_bytes())
        case _:
            tags.unlink()
    assert not (await publish(ops)).is_current
    require_right(registry)
    assert (await publish(ops)).is_current


async def test_a_state_of_a_later_version_is_left_alone(registry: Path, ops: LocalOps) -> None:
    await publish(ops)
    state = tables(registry) / "_publication.json"
    later = json.dumps(json.loads(state.read_text()) | {"format": 2})
    state.write_text(later)
    with pytest.raises(NotSupported):
        await publish(ops)
    assert state.read_text() == later


async def test_what_others_put_there_stays(registry: Path, ops: LocalOps) -> None:
    await publish(ops)
    theirs = tables(registry) / "package_entry" / "NOTES.txt"
    theirs.write_text("mine")
    write(registry, "new/one", {"only.txt": "1"})
    await publish(ops)
    assert theirs.read_text() == "mine"


# -- killed, and two at once --


async def test_killed_before_any_write_the_old_publication_reads_right(
    registry: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    await publish(local_ops(registry, cache))
    quilt3.delete_package("lab/größe", registry.as_uri())
    write(registry, "new/one", {"only.txt": "1"}, message="new")
    before, after = comparable(by_state(tables(registry))), comparable(told_by_quilt3(registry.as_uri()))
    deaths = 0
    while True:
        ops, death = local_ops(registry, cache), Death(at=deaths)
        put_between(ops, lambda store, death=death: DyingStore(store, death))
        try:
            await publish(ops)
            break
        except Died:
            pass
        found = comparable(by_state(tables(registry)))
        assert found in (before, after)
        if found == after:
            break
        deaths += 1
    assert deaths >= 6
    assert not (await publish(local_ops(registry, cache))).is_current
    require_right(registry)
    assert len(files(registry)) == 6
    assert (await publish(local_ops(registry, cache))).is_current


async def test_of_two_at_once_one_publishes_and_the_other_is_told(registry: Path, tmp_path: Path) -> None:
    await publish(local_ops(registry, tmp_path / "cache"))
    write(registry, "new/one", {"only.txt": "1"}, message="new")
    late, first = local_ops(registry, tmp_path / "cache"), local_ops(registry, tmp_path / "another's cache")

    async def before(key: str) -> None:
        if key == "_publication.json":
            write(registry, "new/two", {"only.txt": "2"}, message="new")
            assert (await publish(first)).is_done

    put_between(late, lambda store: HookedStore(store, before))
    with pytest.raises(ChangedMeanwhile) as caught:
        await publish(late)
    assert "again" in caught.value.next_step
    require_right(registry)
    assert (await publish(local_ops(registry, tmp_path / "cache"))).is_current


async def test_one_that_fails_takes_back_what_it_sent(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")

    async def before(key: str) -> None:
        if key.startswith("package_tag"):
            raise RuntimeError("the last of its files")

    put_between(ops, lambda store: HookedStore(store, before))
    with pytest.raises(RuntimeError):
        await publish(ops)
    assert files(registry) == {}
    assert not [*(tmp_path / "cache" / "scratch").iterdir()]


async def test_one_that_is_cancelled_takes_back_what_it_sent(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")
    with anyio.CancelScope() as scope:

        async def before(key: str) -> None:
            if key.startswith("package_tag"):
                scope.cancel()
                await anyio.sleep_forever()

        put_between(ops, lambda store: HookedStore(store, before))
        await publish(ops)
    assert scope.cancelled_caught
    assert files(registry) == {}
    assert not [*(tmp_path / "cache" / "scratch").iterdir()]


def test_rows_are_compared_at_all() -> None:
    rows: Any = {"package_tag": [["a/b", "latest", "1"]]}
    assert comparable(rows) != comparable({"package_tag": rows["package_tag"] * 2})
