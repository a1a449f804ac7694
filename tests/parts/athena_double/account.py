"""What the double knows of an account: workgroups, catalogs, tables, executions; and what a test tells it to do."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parts.athena_double.executes import Engine, QueryFailed, Table, defined

PAGE = 3
"""Items of a listing, so that few are many pages."""
MOST_ROWS = 1_000


class Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Workgroup:
    output: str | None = "s3://results/athena/"
    state: str = "ENABLED"
    enforced: bool = True
    denied: bool = False


@dataclass
class Execution:
    number: int
    sql: str
    workgroup: str
    catalog: str | None
    database: str | None
    request: Mapping[str, Any]
    states: list[str]
    columns: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    rows: list[list[Any]] = field(default_factory=list[list[Any]])
    reason: str | None = None
    error: dict[str, Any] | None = None
    scanned: int = 0
    submitted: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        return f"00000000-0000-0000-0000-{self.number:012d}"

    @property
    def kind(self) -> str:
        first = self.sql.split()[0].upper()
        return {"CREATE": "DDL", "EXPLAIN": "UTILITY", "SHOW": "UTILITY", "DESCRIBE": "UTILITY"}.get(
            first, "DML"
        )

    @property
    def finer_kind(self) -> str:
        first, *rest = self.sql.upper().split()
        return {"SHOW": f"SHOW_{''.join(rest[:1])}", "DESCRIBE": "DESCRIBE_TABLE"}.get(first, first)


class Account:
    """A test sets what is public here, between requests. ``steps``: states that a query goes through before it ends, each look a
    step; 'RUNNING' for ever where ``never_ends``. ``failure``: reason (and AthenaError) of every query from now on."""

    def __init__(self, tables: Mapping[str, Table] | None = None, *, database: str = "quilt_iceberg") -> None:
        self.tables = dict(tables or {})
        self.database = database
        self.workgroups: dict[str, Workgroup] = {"primary": Workgroup()}
        self.catalogs: dict[str, dict[str, list[str]]] = {
            "AwsDataCatalog": {database: list(self.tables), "default": []}
        }
        self.steps: Sequence[str] = ("QUEUED", "RUNNING")
        self.never_ends = False
        self.failure: tuple[str, dict[str, Any] | None] | None = None
        self.denied: set[str] = set()
        self.throttled: dict[str, int] = {}
        self.scanned = 1_000
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.executions: dict[str, Execution] = {}
        self._tokens: dict[str, tuple[dict[str, Any], str]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._engine = Engine(self.tables)

    def close(self) -> None:
        self._engine.close()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [given for name, given in self.requests if name == operation]

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.requests.append((operation, given))
            if operation in self.denied:
                raise Refused(
                    "AccessDeniedException",
                    f"User: arn:aws:iam::123456789012:user/test is not authorized to perform: athena:{operation}",
                )
            if self.throttled.get(operation, 0) > 0:
                self.throttled[operation] -= 1
                raise Refused("ThrottlingException", "Rate exceeded")
            act = getattr(self, f"_{operation}", None)
            if act is None:
                raise Refused("UnknownOperationException", operation)
            return act(given)

    # Places.

    def _ListWorkGroups(self, given: dict[str, Any]) -> dict[str, Any]:
        items = [{"Name": name, "State": one.state} for name, one in self.workgroups.items()]
        return _page("WorkGroups", items, given)

    def _GetWorkGroup(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["WorkGroup"]
        one = self._workgroup(name)
        if one.denied:
            raise Refused(
                "AccessDeniedException", f"not authorized to perform: athena:GetWorkGroup on {name}"
            )
        result = {"OutputLocation": one.output} if one.output else {}
        configuration = {"ResultConfiguration": result, "EnforceWorkGroupConfiguration": one.enforced}
        return {"WorkGroup": {"Name": name, "State": one.state, "Configuration": configuration}}

    def _workgroup(self, name: str) -> Workgroup:
        if name not in self.workgroups:
            raise Refused("InvalidRequestException", f"WorkGroup {name} is not found.")
        return self.workgroups[name]

    def _ListDataCatalogs(self, given: dict[str, Any]) -> dict[str, Any]:
        items = [
            {"CatalogName": name, "Type": "GLUE" if name == "AwsDataCatalog" else "LAMBDA"}
            for name in self.catalogs
        ]
        return _page("DataCatalogsSummary", items, given)

    def _catalog(self, given: dict[str, Any]) -> dict[str, list[str]]:
        if given["CatalogName"] not in self.catalogs:
            raise Refused("MetadataException", f"Catalog {given['CatalogName']} not found")
        return self.catalogs[given["CatalogName"]]

    def _ListDatabases(self, given: dict[str, Any]) -> dict[str, Any]:
        return _page("DatabaseList", [{"Name": name} for name in self._catalog(given)], given)

    def _ListTableMetadata(self, given: dict[str, Any]) -> dict[str, Any]:
        databases = self._catalog(given)
        if given["DatabaseName"] not in databases:
            raise Refused("MetadataException", f"Database {given['DatabaseName']} not found")
        wanted = given.get("Expression", "").replace(".*", "")
        items: list[dict[str, Any]] = []
        for name in databases[given["DatabaseName"]]:
            if wanted in name:
                columns = self.tables[name][0] if name in self.tables else {}
                items.append(
                    {"Name": name, "Columns": [{"Name": c, "Type": t.lower()} for c, t in columns.items()]}
                )
        return _page("TableMetadataList", items, given)

    # Queries.

    def _StartQueryExecution(self, given: dict[str, Any]) -> dict[str, Any]:
        workgroup = self._workgroup(given.get("WorkGroup", "primary"))
        asked_output = given.get("ResultConfiguration", {}).get("OutputLocation")
        if workgroup.output is None and asked_output is None:
            raise Refused(
                "InvalidRequestException",
                "No output location provided. An output location is required either through the Workgroup result "
                "configuration setting or as an API input.",
            )
        token = given["ClientRequestToken"]
        if not 32 <= len(token) <= 128:
            raise Refused("InvalidRequestException", "ClientRequestToken has to have 32 to 128 characters")
        if token in self._tokens:
            before, known = self._tokens[token]
            if before != given:
                raise Refused("InvalidRequestException", "Idempotent parameters do not match")
            return {"QueryExecutionId": known}
        context = given.get("QueryExecutionContext", {})
        made = Execution(
            next(self._numbers),
            given["QueryString"],
            given.get("WorkGroup", "primary"),
            context.get("Catalog"),
            context.get("Database"),
            given,
            [*self.steps],
        )
        self._tokens[token] = given, made.id
        self.executions[made.id] = made
        self._execute(made)
        return {"QueryExecutionId": made.id}

    def _execute(self, made: Execution) -> None:
        if self.never_ends:
            made.states = ["RUNNING"] * 1_000_000
            return
        if self.failure is not None:
            made.reason, made.error = self.failure
            made.states.append("FAILED")
            return
        try:
            if made.finer_kind == "EXPLAIN":
                made.columns, made.rows = (
                    [("Query Plan", "varchar")],
                    [["Query Plan"], ["Fragment 0 [SINGLE]"]],
                )
            elif made.sql.startswith("CREATE"):
                self._create(made.sql)
            elif made.kind == "UTILITY":
                made.columns, made.rows = [("tab_name", "string")], [[name] for name in self.tables]
            else:
                made.columns, made.rows = self._engine.run(made.sql)
                made.rows.insert(0, [name for name, _ in made.columns])
                made.scanned = self.scanned
            made.states.append("SUCCEEDED")
        except QueryFailed as failed:
            made.reason = str(failed)
            made.states.append("FAILED")

    def _create(self, sql: str) -> None:
        """A database, or a table of one that there is; what is there already stays."""
        name, database, columns = defined(sql)
        if columns is None:
            self.catalogs["AwsDataCatalog"].setdefault(name, [])
            return
        if database not in self.catalogs["AwsDataCatalog"]:
            raise QueryFailed(f"SCHEMA_NOT_FOUND: Database {database} does not exist")
        names = self.catalogs["AwsDataCatalog"][database]
        if name not in names:
            names.append(name)
            self.tables[name] = (columns, [])
            self._engine.add(name, self.tables[name])

    def _execution(self, given: dict[str, Any]) -> Execution:
        if given["QueryExecutionId"] not in self.executions:
            raise Refused(
                "InvalidRequestException", f"QueryExecution {given['QueryExecutionId']} was not found"
            )
        return self.executions[given["QueryExecutionId"]]

    def _GetQueryExecution(self, given: dict[str, Any]) -> dict[str, Any]:
        one = self._execution(given)
        state = one.states.pop(0) if len(one.states) > 1 else one.states[0]
        status: dict[str, Any] = {"State": state, "SubmissionDateTime": one.submitted}
        if state in ("FAILED", "CANCELLED") and one.reason:
            status["StateChangeReason"] = one.reason
            if one.error:
                status["AthenaError"] = one.error
        context = {"Catalog": one.catalog, "Database": one.database}
        return {
            "QueryExecution": {
                "QueryExecutionId": one.id,
                "Query": one.sql,
                "StatementType": one.kind,
                "SubstatementType": one.finer_kind,
                "WorkGroup": one.workgroup,
                "QueryExecutionContext": {name: value for name, value in context.items() if value},
                "Status": status,
                "Statistics": {
                    "DataScannedInBytes": one.scanned,
                    "TotalExecutionTimeInMillis": 12,
                    "QueryQueueTimeInMillis": 1,
                },
            }
        }

    def _StopQueryExecution(self, given: dict[str, Any]) -> dict[str, Any]:
        one = self._execution(given)
        if one.states[0] not in ("SUCCEEDED", "FAILED"):
            one.states, one.reason = ["CANCELLED"], "Query cancelled by user"
        return {}

    def _GetQueryResults(self, given: dict[str, Any]) -> dict[str, Any]:
        one = self._execution(given)
        if one.states[0] != "SUCCEEDED":
            raise Refused(
                "InvalidRequestException", f"Query has not yet finished. Current state: {one.states[0]}"
            )
        size = given.get("MaxResults", MOST_ROWS)
        if not 1 <= size <= MOST_ROWS:
            raise Refused("InvalidRequestException", "MaxResults is not from 1 to 1000")
        at = _place(given, one.id)
        types = dict(enumerate(of for _, of in one.columns))
        rows = [
            {"Data": [_cell(value, types[n]) for n, value in enumerate(row)]}
            for row in one.rows[at : at + size]
        ]
        info = [{"Name": name, "Type": of, "Nullable": "UNKNOWN"} for name, of in one.columns]
        more = {"NextToken": f"{one.id}:{at + size}"} if at + size < len(one.rows) else {}
        return {"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": info}}, **more}


def _cell(value: Any, of: str) -> dict[str, str]:
    match value:
        case None:
            return {}
        case _ if of == "boolean" and value in (0, 1):
            return {"VarCharValue": "true" if value else "false"}
        case float() if value != value:
            return {"VarCharValue": "NaN"}
        case float() if abs(value) == float("inf"):
            return {"VarCharValue": "Infinity" if value > 0 else "-Infinity"}
        case float() if of == "bigint":
            return {"VarCharValue": str(int(value))}
        case _:
            return {"VarCharValue": str(value)}


def _place(given: dict[str, Any], what: str) -> int:
    token = given.get("NextToken")
    if token is None:
        return 0
    of, _, at = token.rpartition(":")
    if of != what or not at.isdigit():
        raise Refused("InvalidRequestException", "The NextToken is not of this request")
    return int(at)


def _page(name: str, items: list[dict[str, Any]], given: dict[str, Any]) -> dict[str, Any]:
    at, size = _place(given, name), min(given.get("MaxResults", PAGE), PAGE)
    more = {"NextToken": f"{name}:{at + size}"} if at + size < len(items) else {}
    return {name: items[at : at + size], **more}
