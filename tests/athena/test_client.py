"""The client of Athena, against a double that executes: pages, states, refusals, costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from parts.athena_double import Account
from parts.athena_double.account import Workgroup
from quilt_mcp.athena import cost
from quilt_mcp.athena.athena import Athena
from quilt_mcp.athena.clients import athena_client
from quilt_mcp.athena.places import AthenaSettings
from quilt_mcp.errors import (
    AuthenticationError,
    ColumnNotFound,
    InvalidArgument,
    Misconfigured,
    NotFound,
    NotSupported,
    PermissionDenied,
    QuiltError,
    StorageUnavailable,
    TooCostly,
)
from quilt_mcp.storage.s3.clients import AwsKeys

pytestmark = pytest.mark.anyio
Make = Callable[..., Athena]
NUMBERS = 'select n, word from "numbers" order by n'


async def test_a_query_over_the_four_tables_is_translated_run_and_told(
    account: Account, make_athena: Make
) -> None:
    told: list[tuple[float, str]] = []

    async def progress(done: float, total: float | None, message: str) -> None:
        told.append((done, message))

    account.steps = ("QUEUED", "RUNNING", "RUNNING")
    account.scanned = 3 << 40
    answer = await make_athena().query(
        "select tag_name, count(*) from package_tag group by all order by all", progress=progress
    )
    assert answer.rows == (("latest", 4), ("v1", 1))
    assert [one.name for one in answer.columns] == ["tag_name", "count_star()"]
    assert (answer.engine, answer.next_cursor, answer.total) == ("athena", None, None)
    assert answer.facts["bytes_scanned"] == 3 << 40
    assert answer.facts["about_usd"] == 15.0
    assert answer.facts["cost"] == "about 15.00 USD"
    assert answer.facts["workgroup"] == "primary"
    assert answer.facts["database"] == "quilt_iceberg"
    assert '"b_package_tag"' in answer.facts["sql"]
    assert [message.split(",")[0] for _, message in told] == [
        "Athena: queued",
        "Athena: running",
        "Athena: running",
    ]


async def test_lists_come_as_lists(make_athena: Make) -> None:
    answer = await make_athena().query(
        "select list(tag_name order by tag_name) l from package_tag where top_hash like 'c%'"
    )
    assert answer.rows == ((["latest", "latest"],),)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("limit", [1_000, 999, 1_500, 100_000])
async def test_pages_add_up_to_every_row_once(account: Account, make_athena: Make, limit: int) -> None:
    athena = make_athena()
    page = await athena.query(NUMBERS, dialect="athena", limit=limit)
    rows = list(page.rows)
    while page.next_cursor is not None:
        assert len(page.rows) == limit
        page = await make_athena().query(NUMBERS, dialect="athena", limit=limit, cursor=page.next_cursor)
        rows += page.rows
    assert rows == [(n, f"word {n}") for n in range(2_500)]
    assert len(account.asked("StartQueryExecution")) == 1
    assert max(one["MaxResults"] for one in account.asked("GetQueryResults")) <= 1_000


async def test_the_first_row_is_left_out_only_where_it_is_the_header(
    account: Account, make_athena: Make
) -> None:
    athena = make_athena()
    account.tables = {"tab_name": ({}, []), **account.tables}
    shown = await athena.query("show tables", dialect="athena", limit=2)
    assert [one.name for one in shown.columns] == ["tab_name"]
    assert shown.rows == (("tab_name",), ("b_package_revision",))
    assert shown.next_cursor is not None
    rest = await athena.query("show tables", dialect="athena", limit=100, cursor=shown.next_cursor)
    assert [*shown.rows, *rest.rows] == [(name,) for name in account.tables]
    plan = await athena.explain("select 1", dialect="athena")
    assert plan.rows == (("Fragment 0 [SINGLE]",),)
    same = "select 'n' as n union all select 'n'"
    answer = await athena.query(same, dialect="athena")
    assert answer.rows == (("n",), ("n",))


async def test_values_are_of_their_types(make_athena: Make) -> None:
    columns = 'select "big", "real", "truth", "at", "exact" from "odd"'
    answer = await make_athena().query(columns, dialect="athena")
    assert answer.rows == (
        (str(1 << 60), "Infinity", True, "2026-01-01 10:00:00", "1.50"),
        (None, None, None, None, None),
        (-3, 0.5, False, "2026-01-01 10:00:00.25", "12345678901234567890.12"),
    )
    assert [one.type for one in answer.columns][:3] == ["bigint", "double", "boolean"]


async def test_a_cursor_is_of_its_own_text_alone(account: Account, make_athena: Make) -> None:
    athena = make_athena()
    first = await athena.query(NUMBERS, dialect="athena", limit=10)
    assert first.next_cursor is not None
    with pytest.raises(InvalidArgument, match="cursor"):
        await athena.query("select 1", dialect="athena", limit=10, cursor=first.next_cursor)
    with pytest.raises(InvalidArgument, match="cursor"):
        await athena.query(NUMBERS, dialect="athena", limit=10, cursor="made-up")
    [execution] = account.executions.values()
    execution.sql = "select secret from elsewhere"  # as if the cursor named somebody else's run
    with pytest.raises(InvalidArgument, match="cursor"):
        await athena.query(NUMBERS, dialect="athena", limit=10, cursor=first.next_cursor)
    account.executions.clear()
    with pytest.raises(InvalidArgument, match="not kept any more"):
        await athena.query(NUMBERS, dialect="athena", limit=10, cursor=first.next_cursor)


async def test_a_cancelled_call_stops_its_query_in_athena(account: Account, make_athena: Make) -> None:
    account.never_ends = True
    athena = make_athena()
    began = anyio.Event()

    async def progress(done: float, total: float | None, message: str) -> None:
        began.set()

    async with anyio.create_task_group() as group:

        async def ask() -> None:
            await athena.query("select 1", dialect="athena", progress=progress)

        group.start_soon(ask)
        with anyio.fail_after(20):
            await began.wait()
        group.cancel_scope.cancel()
    [execution] = account.executions.values()
    assert execution.states == ["CANCELLED"]
    account.never_ends = False
    answer = await athena.query(
        "select 1", dialect="athena"
    )  # within the same minute, and not that of the stopped one
    assert answer.rows == ((1,),)
    assert len(account.executions) == 2


async def test_a_query_that_two_wait_for_is_stopped_when_neither_does(
    account: Account, make_athena: Make
) -> None:
    account.never_ends = True
    athena = make_athena()
    seen: list[int] = []
    scopes = [anyio.CancelScope(), anyio.CancelScope()]

    async def ask(number: int) -> None:
        async def progress(done: float, total: float | None, message: str) -> None:
            seen.append(number)

        with scopes[number]:
            await athena.query("select 1", dialect="athena", progress=progress)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, 0)
        group.start_soon(ask, 1)
        with anyio.fail_after(20):
            while set(seen) != {0, 1}:
                await anyio.sleep(0.01)
        [execution] = account.executions.values()
        scopes[0].cancel()
        with anyio.fail_after(20):
            while not scopes[0].cancelled_caught:
                await anyio.sleep(0.01)
        assert not account.asked("StopQueryExecution")
        scopes[1].cancel()
    assert execution.states == ["CANCELLED"]


async def test_the_same_text_is_one_execution_within_a_minute_and_another_later(
    account: Account, make_athena: Make
) -> None:
    now = [1_000_000.0]
    athena = make_athena(clock=lambda: now[0], caller="ana")
    for _ in range(3):
        await athena.query("select 1", dialect="athena")
    assert len(account.executions) == 1
    now[0] += 60
    await athena.query("select 1", dialect="athena")
    assert len(account.executions) == 2
    await athena.query("select 2", dialect="athena")
    assert len(account.executions) == 3
    await make_athena(clock=lambda: now[0], caller="zoe").query("select 1", dialect="athena")
    assert len(account.executions) == 4


REASONS: list[tuple[str, dict[str, Any] | None, type[QuiltError]]] = [
    ("SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved", None, ColumnNotFound),
    ("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.d.t' does not exist", None, NotFound),
    (
        "TYPE_MISMATCH: line 1:8: Cannot apply operator: bigint = varchar",
        {"ErrorCategory": 2},
        InvalidArgument,
    ),
    ("DIVISION_BY_ZERO: Division by zero", None, InvalidArgument),
    ("Query exhausted resources at this scale factor", {"ErrorCategory": 2, "Retryable": True}, TooCostly),
    ("Bytes scanned limit was exceeded", None, TooCostly),
    (
        "PERMISSION_DENIED: Access Denied: s3://x (Service: Amazon S3; Status Code: 403)",
        None,
        PermissionDenied,
    ),
    ("Insufficient Lake Formation permission(s) on t", None, PermissionDenied),
    (
        "HIVE_S3_ERROR: Please reduce your request rate. (SlowDown; 503)",
        {"ErrorCategory": 1},
        StorageUnavailable,
    ),
    ("GENERIC_INTERNAL_ERROR: null", None, StorageUnavailable),
    ("Something new", {"ErrorCategory": 1, "Retryable": True}, StorageUnavailable),
    ("Something new", {"ErrorCategory": 2, "Retryable": False}, InvalidArgument),
]


@pytest.mark.parametrize(("reason", "error", "kind"), REASONS)
async def test_a_failure_is_told_with_its_reason_and_whether_it_is_worth_another_try(
    account: Account, make_athena: Make, reason: str, error: dict[str, Any] | None, kind: type[QuiltError]
) -> None:
    account.failure = reason, error
    with pytest.raises(kind) as caught:
        await make_athena().query("select 1", dialect="athena")
    assert type(caught.value) is kind
    assert reason in caught.value.message
    assert caught.value.retryable == (kind is StorageUnavailable)
    assert ("again" in caught.value.next_step) != (
        kind in (ColumnNotFound, NotFound, PermissionDenied, TooCostly)
    )
    assert caught.value.details["execution_id"] in account.executions
    assert not account.asked("StopQueryExecution")


async def test_a_reason_of_the_double_itself(make_athena: Make) -> None:
    with pytest.raises(NotFound):
        await make_athena().query('select * from "nowhere"', dialect="athena")


async def test_throttling_is_waited_out_and_told_when_it_stays(account: Account, make_athena: Make) -> None:
    athena = make_athena()
    account.throttled = {"StartQueryExecution": 1, "GetQueryExecution": 1, "GetQueryResults": 1}
    assert (await athena.query("select 1", dialect="athena")).rows == ((1,),)
    account.throttled = {"StartQueryExecution": 100}
    with pytest.raises(StorageUnavailable) as caught:
        await athena.query("select 2", dialect="athena")
    assert caught.value.retryable


@pytest.mark.parametrize("operation", ["StartQueryExecution", "GetQueryExecution", "GetQueryResults"])
async def test_what_is_not_allowed_is_named(account: Account, make_athena: Make, operation: str) -> None:
    account.denied = {operation}
    with pytest.raises(PermissionDenied, match=f"athena:{operation}") as caught:
        await make_athena().query("select 1", dialect="athena")
    assert f"athena:{operation}" in caught.value.next_step


async def test_workgroups_are_looked_for_on_all_pages_past_those_that_are_denied(
    account: Account, make_athena: Make
) -> None:
    account.workgroups = {f"team-{n}": Workgroup(denied=True) for n in range(7)}
    account.workgroups["off"] = Workgroup(state="DISABLED")
    account.workgroups["primary"] = Workgroup(output=None)
    account.workgroups["QuiltUserAthena-x-NonManagedRoleWorkgroup"] = Workgroup()
    answer = await make_athena().query("select 1", dialect="athena")
    assert answer.facts["workgroup"] == "QuiltUserAthena-x-NonManagedRoleWorkgroup"


async def test_without_a_workgroup_each_reason_is_its_own(account: Account, make_athena: Make) -> None:
    account.workgroups = {}
    with pytest.raises(Misconfigured, match="no workgroup"):
        await make_athena().query("select 1", dialect="athena")
    account.workgroups = {f"team-{n}": Workgroup(denied=True) for n in range(5)}
    with pytest.raises(PermissionDenied, match="None of the 5 workgroups"):
        await make_athena().query("select 1", dialect="athena")
    account.workgroups = {"a": Workgroup(output=None)}
    with pytest.raises(Misconfigured, match="no place for results") as caught:
        await make_athena().query("select 1", dialect="athena")
    assert "QUILT_MCP_ATHENA_OUTPUT" in caught.value.next_step
    account.denied = {"ListWorkGroups"}
    with pytest.raises(PermissionDenied, match="athena:ListWorkGroups"):
        await make_athena().query("select 1", dialect="athena")
    with pytest.raises(Misconfigured, match="There is no such workgroup"):
        await make_athena(AthenaSettings(workgroup="gone")).query("select 1", dialect="athena")
    assert not account.executions


async def test_results_lie_where_the_workgroup_or_the_settings_say_and_nowhere_else(
    account: Account, make_athena: Make
) -> None:
    await make_athena(AthenaSettings(output="s3://mine/x/")).query("select 1", dialect="athena")
    assert "ResultConfiguration" not in account.asked("StartQueryExecution")[-1]
    account.workgroups = {"primary": Workgroup(output=None, enforced=False)}
    await make_athena(AthenaSettings(output="s3://mine/x/")).query("select 2", dialect="athena")
    assert account.asked("StartQueryExecution")[-1]["ResultConfiguration"] == {
        "OutputLocation": "s3://mine/x/"
    }


async def test_the_settings_are_what_a_query_runs_in(account: Account, make_athena: Make) -> None:
    account.workgroups["team"] = Workgroup()
    account.catalogs["quilt-x-tabulator"] = {"b": []}
    settings = AthenaSettings(workgroup="team", database="elsewhere", catalog="quilt-x-tabulator")
    await make_athena(settings).query("select 1", dialect="athena")
    asked = account.asked("StartQueryExecution")[-1]
    assert asked["WorkGroup"] == "team"
    assert asked["QueryExecutionContext"] == {"Catalog": "quilt-x-tabulator", "Database": "elsewhere"}


async def test_the_database_with_the_four_tables_is_found(account: Account, make_athena: Make) -> None:
    tables = account.catalogs["AwsDataCatalog"].pop("quilt_iceberg")
    account.catalogs["AwsDataCatalog"] |= {f"d{n}": [] for n in range(6)} | {
        "other": ["c_package_entry"],
        "mine": tables,
    }
    answer = await make_athena().query("select count(*) from package_tag")
    assert answer.facts["database"] == "mine"
    with pytest.raises(NotFound, match="nowhere_package_entry") as caught:
        await make_athena(buckets=["nowhere"]).query("select count(*) from package_tag")
    assert "engine='duckdb'" in caught.value.next_step
    with pytest.raises(InvalidArgument, match="bucket"):
        await make_athena(buckets=[]).query("select count(*) from package_tag")


async def test_tables_are_listed_of_every_catalog_that_may_be_asked(
    account: Account, make_athena: Make
) -> None:
    account.catalogs |= {"quilt-x-tabulator": {"b": ["plates"]}, "lambda-of-others": {"x": ["y"]}}
    found = await make_athena().tables()
    names = [one.name for one in found]
    assert len(names) == len(set(names)) == 7
    assert '"quilt_iceberg"."b_package_entry"' in names
    assert '"quilt-x-tabulator"."b"."plates"' in names
    [entries] = [one for one in found if "package_entry" in one.name]
    assert ("size", "bigint") in [(one.name, one.type) for one in entries.columns]
    account.denied = {"ListDatabases"}
    with pytest.raises(PermissionDenied):
        await make_athena().tables()


async def test_catalogs_of_others_are_not_asked(account: Account, make_athena: Make) -> None:
    account.catalogs["lambda-of-others"] = {"x": ["y"]}
    with pytest.raises(NotSupported, match="lambda-of-others"):
        await make_athena().query('select * from "lambda-of-others".x.y', dialect="athena")
    assert not account.executions


async def test_what_is_refused_never_reaches_athena(account: Account, make_athena: Make) -> None:
    athena = make_athena()
    for dialect, sql in [("athena", "drop table x"), ("duckdb", "select median(size) from package_entry")]:
        with pytest.raises(NotSupported):
            await athena.query(sql, dialect=dialect)
    assert not account.asked("StartQueryExecution")


async def test_a_plan_is_free_and_has_the_text_that_would_be_sent(
    account: Account, make_athena: Make
) -> None:
    account.scanned = 1 << 40
    plan = await make_athena().explain("select count(*) from package_tag")
    assert plan.rows == (("Fragment 0 [SINGLE]",),)
    assert plan.facts["sql"].startswith("EXPLAIN SELECT COUNT(*)")
    assert plan.facts["about_usd"] == 0.0
    with pytest.raises(InvalidArgument):
        await make_athena().explain("show tables", dialect="athena")


async def test_keys_that_are_no_good_are_told_as_such() -> None:
    def no_keys() -> Any:
        raise AuthenticationError("Signed out.", next_step="Sign in.")

    with pytest.raises(AuthenticationError, match="Signed out"):
        await Athena(no_keys).query("select 1", dialect="athena")


async def test_an_athena_that_is_out_of_reach_is_told_as_such() -> None:
    client = athena_client(lambda: AwsKeys("key", "secret"), endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable):
        await Athena(lambda: client).query("select 1", dialect="athena")
    client.close()


@pytest.mark.parametrize("limit", [0, -1, 100_001])
async def test_a_limit_out_of_range_is_refused(make_athena: Make, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        await make_athena().query("select 1", dialect="athena", limit=limit)


def test_cost_is_of_ten_megabytes_at_least() -> None:
    assert cost.about_usd(0) == cost.about_usd(10 << 20) == round(5 * 10 / (1 << 20), 8)
    assert cost.about_usd(1 << 40) == 5.0
    assert cost.about_usd(1 << 40, is_free=True) == 0.0
    assert cost.told(0, is_free=True) == "free of charge"
    assert cost.told(1 << 30) == "about a hundredth of a USD or less"
