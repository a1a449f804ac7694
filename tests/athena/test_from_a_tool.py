"""sql_query and sql_tables with engine=athena: as a user with plain AWS keys has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parts.athena_double import Account, Served
from quilt_mcp.athena.gate import pass_read_only
from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.sql import SqlRequest, SqlRows
from quilt_mcp.errors import InvalidArgument, NotSupported, SqlRefused, TableNotFound
from quilt_mcp.storage.s3.clients import AwsKeys

pytestmark = pytest.mark.anyio


def options(tmp_path: Path, **more: Any) -> Options:
    return Options(roots=(tmp_path,), writable=False, cache=tmp_path / "cache", cache_bytes=1 << 24, **more)


def user(served: Served, tmp_path: Path, **more: Any) -> IamOps:
    ops = IamOps(S3Access(lambda: AwsKeys("key", "secret")), "s3://bucket-b", options(tmp_path, **more))
    assert ops.queries.athena is not None
    ops.queries.athena.endpoint_url = served.url
    ops.queries.athena._buckets = ["b"]  # whose tables the double has
    return ops


async def ask(ops: Any, sql: str, *, limit: int = 100, cursor: str | None = None, **more: Any) -> SqlRows:
    return await ops.sql.query(SqlRequest(sql, engine="athena", **more), limit=limit, cursor=cursor)


async def test_the_four_tables_and_others(account: Account, served: Served, tmp_path: Path) -> None:
    ops = user(served, tmp_path)
    found = await ask(ops, "SELECT tag_name, count(*) FROM package_tag GROUP BY ALL ORDER BY ALL")
    assert (found.rows, found.engine) == ((("latest", 4), ("v1", 1)), "athena")
    assert '"b_package_tag"' in found.facts["sql"]
    own = await ask(ops, 'SELECT n, word FROM "numbers" ORDER BY n', limit=1000)
    page = await ask(ops, 'SELECT n, word FROM "numbers" ORDER BY n', limit=1000, cursor=own.next_cursor)
    assert [row[0] for row in (*own.rows, *page.rows)] == list(range(2_000))
    tables = await ops.sql.list_tables(SqlRequest("", engine="athena"))
    assert any("package_entry" in one.name for one in tables)


async def test_nothing_is_asked_of_athena_that_does_not_read(
    account: Account, served: Served, tmp_path: Path
) -> None:
    ops = user(served, tmp_path)
    for sql in (
        "DELETE FROM numbers",
        "UNLOAD (SELECT * FROM numbers) TO 's3://x/'",
        "DROP TABLE package_tag",
    ):
        with pytest.raises((NotSupported, InvalidArgument, SqlRefused)):
            await ask(ops, sql)
    with pytest.raises(TableNotFound):
        await ask(ops, "SELECT * FROM package_entries")
    with pytest.raises(InvalidArgument):
        await ask(ops, "SELECT 1", packages=("quilt+s3://bucket-b#package=a/b",))


async def test_bound_buckets_bind_athena_too(account: Account, served: Served, tmp_path: Path) -> None:
    ops = user(served, tmp_path, allowed=frozenset({"bucket-b"}))
    assert (await ask(ops, "SELECT count(*) FROM package_tag")).rows == ((5,),)
    with pytest.raises(NotSupported):
        await ask(ops, 'SELECT n FROM "numbers"')


async def test_a_folder_has_no_athena(tmp_path: Path) -> None:
    ops = LocalOps((tmp_path / "registry").as_uri(), options(tmp_path))
    with pytest.raises(NotSupported):
        await ask(ops, "SELECT 1")


@pytest.mark.parametrize(
    "named",
    ['"quilt-x-tabulator"."b"."numbers"', 'tabulator."b".numbers', "Tabulator.numbers"],
)
async def test_tabulators_tables_are_asked_in_the_stacks_catalog(
    account: Account, served: Served, tmp_path: Path, named: str
) -> None:
    account.catalogs["quilt-x-tabulator"] = {"b": ["numbers"]}
    ops = user(served, tmp_path)
    found = await ask(
        ops,
        f"WITH one AS (SELECT * FROM {named} AS t) SELECT max(n) FROM one WHERE n < $n",
        parameters={"n": 9},
    )
    assert found.rows == ((8,),)
    assert 'FROM "quilt-x-tabulator"."b".' in account.asked("StartQueryExecution")[-1]["QueryString"]
    passed = pass_read_only(f"EXPLAIN ANALYZE SELECT n FROM {named}", ["quilt-x-tabulator"], bucket="b")
    assert passed.sql.startswith('EXPLAIN ANALYZE SELECT n FROM "quilt-x-tabulator"."b".')
    tables = {one.name for one in await ops.sql.list_tables(SqlRequest("", engine="athena"))}
    assert '"quilt-x-tabulator"."b"."numbers"' in tables


async def test_of_two_stacks_the_one_that_is_meant_is_named(
    account: Account, served: Served, tmp_path: Path
) -> None:
    account.catalogs |= {"quilt-x-tabulator": {"b": ["numbers"]}, "quilt-y-tabulator": {"b": ["numbers"]}}
    ops = user(served, tmp_path)
    with pytest.raises(InvalidArgument, match="quilt-x-tabulator, quilt-y-tabulator"):
        await ask(ops, "SELECT n FROM tabulator.numbers")
    found = await ask(ops, 'SELECT max(n) FROM "quilt-y-tabulator"."b"."numbers"')
    assert found.rows == ((2_499,),)
