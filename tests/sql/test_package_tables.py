"""The four tables over several registries, and while the catalogs below them change."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sql_lab import ask, build, local_ops, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.querying import package_tables
from quilt_mcp.errors import ColumnNotFound, StorageBusy

pytestmark = pytest.mark.anyio
TABLES = [*package_tables.COLUMNS]


@pytest.fixture
def two(tmp_path: Path) -> tuple[LocalOps, list[Path]]:
    """Two registries in folders of one name."""
    (one := tmp_path / "a.csv").write_text("x\n1\n")
    registries = [tmp_path / "east" / "plants", tmp_path / "west" / "plants"]
    for registry in registries:
        registry.mkdir(parents=True)
        build(registry, f"{registry.parent.name}/pkg", {"a.csv": one})
    return local_ops(registries[0], tmp_path / "cache", registries[1]), registries


async def test_a_name_that_two_registries_share_stands_for_both(two: tuple[LocalOps, list[Path]]) -> None:
    ops, registries = two
    for name in ("package_tag", '"plants_package_tag"', '"PLANTS_package_tag"'):
        found = await ask(ops, f"SELECT registry, pkg_name FROM {name} ORDER BY 2")
        assert values(found) == [[one.as_uri(), f"{one.parent.name}/pkg"] for one in registries], name


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_the_registry_is_a_column_where_it_is_named_however_many_there_are(
    tmp_path: Path, count: int
) -> None:
    (one := tmp_path / "a.csv").write_text("x\n1\n")
    places = [tmp_path / "first" / "registry", tmp_path / "second" / "registry"]
    for number, registry in enumerate(places[:count]):
        registry.mkdir(parents=True)
        build(registry, f"a/p{number}", {"a.csv": one})
    places[0].parent.mkdir(exist_ok=True)
    ops = local_ops(places[0], tmp_path / "cache", *places[1:count])
    for table in TABLES if count else ():
        found = await ask(ops, f"SELECT * FROM {table}")
        assert [column.name for column in found.columns] == [*package_tables.COLUMNS[table]]
    counted = (f"SELECT '{table}' AS of, Registry, count(*) FROM {table} GROUP BY ALL" for table in TABLES)
    found = await ask(ops, f"{' UNION ALL '.join(counted)} ORDER BY ALL")
    assert values(found) == [[table, one.as_uri(), 1] for table in sorted(TABLES) for one in places[:count]]
    with pytest.raises(ColumnNotFound):
        await ask(ops, "SELECT registri FROM package_tag")


async def test_what_no_table_holds_of_a_named_package_is_told(
    two: tuple[LocalOps, list[Path]], tmp_path: Path
) -> None:
    ops, registries = two
    (elsewhere := tmp_path / "east" / "north").mkdir()
    (one := tmp_path / "b.csv").write_text("x\n2\n")
    build(elsewhere, "north/pkg", {"b.csv": one})
    old = build(registries[0], "east/gone", {"b.csv": one})
    shutil.rmtree(registries[0] / ".quilt/named_packages/east/gone")

    async def told(table: str, *packages: str, **more: Any) -> list[str]:
        found = await ask(ops, f"SELECT count(*) FROM {table}", *packages, **more)
        return [said for said in found.warnings if said.startswith("not_in_tables")]

    north = f"quilt+{elsewhere.as_uri()}#package=north/pkg"
    for table, more in {
        "package_entry": {},
        "package_manifest": {"all_revisions": True},
        "package_revision": {},
    }.items():
        assert await told(table, "east/pkg", **more) == []
        said = await told(table, "east/pkg", north, f"east/gone@{old}", **more)
        assert ["north/pkg" in said[0], "east/gone" in said[1], len(said)] == [True, True, 2]
    assert await told("package_tag", north) == []


@pytest.fixture
def _gone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Before the first openings of a catalog's file, as many as are asked for, somebody clears the catalog."""
    real, cleared = os.open, list[str]()

    def opened(path: Any, *given: Any, **more: Any) -> int:
        if str(path).endswith(".parquet") and len(cleared) < request.param:
            cleared.append(str(path))
            shutil.rmtree(Path(path).parent)
        return real(path, *given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opened)
        yield cleared


@pytest.mark.parametrize("_gone", [1], indirect=True)
async def test_a_catalog_that_is_cleared_meanwhile_is_built_anew(
    two: tuple[LocalOps, list[Path]], _gone: list[str]
) -> None:
    query = "SELECT pkg_name, count(*) FROM package_tag JOIN package_entry USING (top_hash, registry) GROUP BY ALL ORDER BY 1"
    assert values(await ask(two[0], query)) == [["east/pkg", 1], ["west/pkg", 1]]
    assert len(_gone) == 1


@pytest.mark.parametrize("_gone", [2], indirect=True)
async def test_a_catalog_that_is_cleared_again_and_again_is_told(
    two: tuple[LocalOps, list[Path]], _gone: list[str]
) -> None:
    with pytest.raises(StorageBusy) as caught:
        await ask(two[0], "SELECT count(*) FROM package_entry")
    assert (caught.value.retryable, len(_gone)) == (True, 2)
    assert values(await ask(two[0], "SELECT count(*) FROM package_entry")) == [[2]]


async def test_columns_that_are_named_anew_hold_what_stands_there(two: tuple[LocalOps, list[Path]]) -> None:
    """What needs no hash of a revision is not made out by names that the query gives."""
    found = await ask(two[0], "SELECT size FROM package_entry AS t(size) ORDER BY 1")
    wanted = await ask(two[0], "SELECT top_hash FROM package_entry ORDER BY 1")
    assert values(found) == values(wanted) and None not in values(found)[0]
