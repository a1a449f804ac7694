"""Several packages and several files by one name, and packages that are not there."""

from __future__ import annotations

import pytest
from sql_lab import ask, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.errors import EntryNotFound, InvalidArgument, InvalidSql, PackageNotFound

pytestmark = pytest.mark.anyio
BY_PACKAGE = 'SELECT "$pkg_name", count(*) FROM {} GROUP BY ALL ORDER BY ALL'


@pytest.mark.parametrize(
    ("source", "packages", "found"),
    [
        ("files('p?.csv')", ["lab/p*", "team/c?py"], [["lab/parts", 3], ["team/copy", 3]]),
        ("'parts/*.csv'", ["lab/parts", "team/copy"], [["lab/parts", 3], ["team/copy", 3]]),
        ("files('*/p*s', 'p?.csv')", [], [["lab/parts", 3]]),
        ("'lab/parts/parts/*.csv'", [], [["lab/parts", 3]]),
        ("files(['parts/p0.csv', 'parts/p1*.csv'])", ["lab/parts"], [["lab/parts", 2]]),
        ("files('team/*', ['p0.csv', 'parts/p0.csv'])", [], [["team/copy", 1]]),
    ],
)
async def test_several_packages_and_files_are_one_table(
    lab_ops: LocalOps, source: str, packages: list[str], found: list[list[object]]
) -> None:
    assert values(await ask(lab_ops, BY_PACKAGE.format(source), *packages)) == found


async def test_what_a_pattern_misses_is_told(lab_ops: LocalOps, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EntryNotFound, match=r"fits 'no\.csv'"):
        await ask(lab_ops, "FROM files(['parts/p0.csv', 'no.csv'])", "lab/parts")
    with pytest.raises(PackageNotFound, match="fits 'lab/q"):
        await ask(lab_ops, "SELECT 1", "lab/q*")
    with pytest.raises(InvalidSql) as caught:
        await ask(lab_ops, "FROM files('lab/p*')")
    assert "files('lab/p*', '*.csv')" in caught.value.next_step
    with pytest.raises(EntryNotFound) as missed:
        await ask(lab_ops, "FROM 'lab/parts/parts/*.csv'", "lab/growth")
    assert "files('lab/parts', 'parts/*.csv')" in missed.value.next_step
    with pytest.raises(InvalidSql, match="literal"):
        await ask(lab_ops, "FROM files([1, 2])", "lab/parts")
    monkeypatch.setattr("quilt_mcp.backends.querying.named.MOST_PACKAGES", 3)
    with pytest.raises(InvalidArgument, match="12 packages"):
        await ask(lab_ops, "SELECT 1", "many/*")


async def test_a_package_that_is_not_there_is_an_error_whatever_the_query_reads(lab_ops: LocalOps) -> None:
    for sql in ("SELECT 1", "SELECT count(*) FROM package_tag", "FROM 'lab/growth/data/growth.csv' LIMIT 1"):
        with pytest.raises(PackageNotFound, match="lab/nope"):
            await ask(lab_ops, sql, "lab/growth", "lab/nope")


async def test_a_path_without_its_package_is_found_by_search(lab_ops: LocalOps) -> None:
    from quilt_mcp.domain.search.request import SearchRequest
    from quilt_mcp.errors import TableNotFound

    with pytest.raises(TableNotFound) as caught:
        await ask(lab_ops, "FROM 'parts/p2.csv'", "lab/growth")
    assert "search with scope=entries, query='path:parts/p2.csv'" in caught.value.next_step
    found = await lab_ops.search.search(SearchRequest("path:parts/p2.csv", "entries"))
    assert len(found.items) == 2
