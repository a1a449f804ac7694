"""A package that a call names by several spellings is one, and so is a file that several of its names lead to."""

from __future__ import annotations

import pytest
from sql_lab import address, ask, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.sql import SqlRequest
from quilt_mcp.errors import InvalidSql

pytestmark = pytest.mark.anyio
SPELLINGS = [
    "{name}",
    "{name}@{short}",
    "{name}@{long}",
    "{name}:latest",
    "{name}&path=parts",
    "{name}@{long}&path=parts/",
]


def spelled(ops: LocalOps, hashes: dict[str, list[str]], name: str = "lab/parts") -> tuple[str, ...]:
    newest = hashes[name][-1]
    return tuple(address(ops, one.format(name=name, short=newest[:9], long=newest)) for one in SPELLINGS)


async def test_rows_of_a_package_that_is_named_twice_come_once(
    lab_ops: LocalOps, hashes: dict[str, list[str]]
) -> None:
    found = await ask(lab_ops, "SELECT id FROM files('*.csv') ORDER BY id", *spelled(lab_ops, hashes))
    assert values(found) == [[0], [1], [2]]
    for name in ("p0.csv", "parts/p0.csv"):
        assert values(await ask(lab_ops, f"FROM '{name}'", *spelled(lab_ops, hashes))) == [[0, 0]]


async def test_a_package_that_is_named_twice_has_each_table_once(
    lab_ops: LocalOps, hashes: dict[str, list[str]]
) -> None:
    found = await lab_ops.sql.list_tables(SqlRequest("", spelled(lab_ops, hashes)))
    names = [one.name for one in found if not one.name.startswith("package_")]
    assert names == [f"'parts/p{number}.csv'" for number in range(3)]


async def test_two_revisions_and_two_packages_stay_two(
    lab_ops: LocalOps, hashes: dict[str, list[str]]
) -> None:
    old = f"lab/parts@{hashes['lab/parts'][0][:9]}"
    query = 'SELECT "$pkg_name", count(*), count(DISTINCT "$top_hash") FROM files(\'p0.csv\') GROUP BY ALL ORDER BY 1'
    found = await ask(lab_ops, query, "lab/parts", old, "team/copy", "lab/parts")
    assert values(found) == [["lab/parts", 2, 2], ["team/copy", 1, 1]]
    with pytest.raises(InvalidSql, match="2 of the packages"):
        await ask(lab_ops, "FROM 'parts/p0.csv'", "lab/parts", old, "lab/parts")
