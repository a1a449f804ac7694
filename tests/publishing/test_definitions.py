"""The statements that make Athena know the tables: that they are Athena's, what they say, and that they are run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from publishing_lab import COLUMNS, local_ops, publish
from sqlglot import exp

from parts.athena_double import Account, Served, athena_double
from parts.iam_ops import iam_ops
from parts.s3_access import S3Access as Server
from quilt_mcp.athena.athena import Athena
from quilt_mcp.athena.clients import athena_client
from quilt_mcp.athena.definitions import definitions
from quilt_mcp.athena.tables import FOUR_TABLES
from quilt_mcp.domain.publication import NAMES
from quilt_mcp.domain.sql import SqlRequest
from quilt_mcp.errors import InvalidArgument, NotSupported, PermissionDenied, ReadOnly
from quilt_mcp.storage.s3.clients import AwsKeys

BUCKET = "my-lab.data-2026"


def said(database: str = "quilt_tables") -> dict[str, Any]:
    """The tree of each table's statement, as another parser reads it."""
    first, *others = definitions(BUCKET, database)
    made = sqlglot.parse_one(first, read="athena")
    assert (made.args["kind"], made.this.name, made.args["exists"]) == ("DATABASE", database, True)
    return dict(zip(NAMES, (sqlglot.parse_one(one, read="athena") for one in others), strict=True))


def test_each_statement_is_athenas_and_names_columns_types_and_the_list() -> None:
    for name, tree in said().items():
        assert isinstance(tree, exp.Create) and tree.args["exists"] is True
        table = tree.this.this
        assert (table.name, table.db) == (f"{BUCKET}_{name}", "quilt_tables")
        kinds = {one.name: one.args["kind"].sql("duckdb") for one in tree.this.expressions}
        kinds = {column: {"TEXT": "VARCHAR"}.get(kind, kind) for column, kind in kinds.items()}
        assert kinds == FOUR_TABLES[name] and [*kinds] == COLUMNS[name]
        where = tree.find(exp.LocationProperty)
        assert where is not None and where.this.name == f"s3://{BUCKET}/.quilt/tables/_lists/{name}/"
        assert tree.find(exp.ExternalProperty) is not None


def test_glue_takes_what_they_say(moto: Server) -> None:
    with moto.boto("glue") as glue:
        glue.create_database(DatabaseInput={"Name": "quilt_tables"})
        for name, tree in said().items():
            columns = [
                {"Name": one.name, "Type": one.args["kind"].sql("hive").lower()}
                for one in tree.this.expressions
            ]
            table = tree.this.this.name
            place = {"Columns": columns, "Location": tree.find(exp.LocationProperty).this.name}
            glue.create_table(
                DatabaseName="quilt_tables",
                TableInput={"Name": table, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": place},
            )
            found = glue.get_table(DatabaseName="quilt_tables", Name=table)["Table"]["StorageDescriptor"]
            assert [one["Name"] for one in found["Columns"]] == COLUMNS[name]


@pytest.mark.parametrize("name", ["a`b", "a.b", "", "A", "a-b", "x; DROP TABLE y", "ä"])
def test_no_text_comes_in_by_a_name(name: str) -> None:
    with pytest.raises(InvalidArgument):
        definitions(BUCKET, name)
    with pytest.raises(InvalidArgument):
        definitions(f"{name}`", "quilt_tables")


@pytest.fixture
def served() -> Iterator[Served]:
    made = Account()
    with athena_double(made) as found:
        yield found
    made.close()


@pytest.fixture
def account(served: Served) -> Iterator[tuple[Account, Any]]:
    client = athena_client(lambda: AwsKeys("key", "secret"), endpoint_url=served.url)
    yield served.account, client
    client.close()


@pytest.mark.anyio
async def test_athena_runs_them_and_finds_the_tables_by_their_names(account: tuple[Account, Any]) -> None:
    double, client = account
    athena = Athena(lambda: client, buckets=("b-1",), pause=0.005)
    ran = await athena.define("b-1", "quilt_tables")
    assert [one["sql"] for one in ran] == [*definitions("b-1", "quilt_tables")]
    assert all(one["about_usd"] == 0 for one in ran)
    assert {one["QueryExecutionContext"]["Catalog"] for one in double.asked("StartQueryExecution")} == {
        "AwsDataCatalog"
    }
    assert sorted(double.catalogs["AwsDataCatalog"]["quilt_tables"]) == [
        f"b-1_{one}" for one in sorted(NAMES)
    ]
    found = await athena.query("SELECT count(*) AS n FROM package_entry")
    assert found.rows == ((0,),) and found.facts["database"] == "quilt_tables"


@pytest.mark.anyio
async def test_a_refusal_is_told(account: tuple[Account, Any]) -> None:
    double, client = account
    double.failure = ("Access denied: Insufficient permissions to execute the query", None)
    with pytest.raises(PermissionDenied):
        await Athena(lambda: client, pause=0.005).define("b-1", "quilt_tables")


@pytest.mark.anyio
async def test_whoever_has_aws_keys_publishes_defines_and_asks(
    moto: Server, served: Served, tmp_path: Path
) -> None:
    bucket = moto.make_bucket()
    ops = iam_ops(moto, bucket, roots=(tmp_path,), cache=tmp_path / "cache")
    assert ops.publications is not None and ops.queries.athena is not None
    ops.queries.athena.endpoint_url = served.url
    served.account.steps = ()
    assert (await publish(ops)).sequence == 1
    ran = await ops.publications.define(ops.default_registry)
    assert [one["sql"] for one in ran] == [*ops.publications.statements(ops.default_registry)]
    request = SqlRequest("SELECT count(*) FROM package_tag", engine="athena")
    assert (await ops.sql.query(request)).rows == ((0,),)


@pytest.mark.anyio
async def test_a_folder_and_a_reader_define_nothing(tmp_path: Path) -> None:
    (registry := tmp_path / "registry").mkdir()
    for writable, error in ((False, ReadOnly), (True, NotSupported)):
        ops = local_ops(registry, tmp_path / "cache", writable=writable)
        assert ops.publications is not None
        with pytest.raises(error):
            await ops.publications.define(ops.default_registry)
