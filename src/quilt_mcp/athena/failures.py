"""Failures: why a query that was started did not succeed, and whether the same one may yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from quilt_mcp.errors import (
    ColumnNotFound,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    QuiltError,
    StorageUnavailable,
    TooCostly,
)

_SAID: Final = 800
_KINDS: Final = (
    (
        TooCostly,
        r"bytes scanned limit|exhausted resources|RESOURCE_EXHAUSTED|EXCEEDED_|Query timeout|exceeded .*(memory|time) limit",
        "Ask for less: name the columns, narrow with WHERE, or drop the ORDER BY of many rows.",
    ),
    (
        PermissionDenied,
        r"access ?denied|not authorized|PERMISSION_DENIED|Insufficient (Lake Formation )?permission|\b403\b",
        "Ask for read access to what the reason names (the table's bucket, Glue or Lake Formation).",
    ),
    (
        StorageUnavailable,
        r"throttl|SlowDown|slow down|Rate exceeded|TooManyRequests|\b503\b|INTERNAL_ERROR|temporarily unavailable",
        "Make the same call again in a minute.",
    ),
    (
        ColumnNotFound,
        r"COLUMN_NOT_FOUND|Column '.*' cannot be resolved",
        "sql_query's tables lists the columns.",
    ),
    (
        NotFound,
        r"TABLE_NOT_FOUND|SCHEMA_NOT_FOUND|CATALOG_NOT_FOUND|(Table|Schema|Database|View).*(does not exist|not found)",
        "sql_query's tables lists what is there.",
    ),
    (
        InvalidArgument,
        r"SYNTAX_ERROR|mismatched input|TYPE_MISMATCH|FUNCTION_NOT_FOUND|INVALID_|DIVISION_BY_ZERO|NUMERIC_VALUE|NOT_SUPPORTED",
        "Change the query as the reason says; the same one will fail again.",
    ),
)


def failure(execution: Mapping[str, Any]) -> QuiltError:
    """Of an execution that ended FAILED or CANCELLED."""
    status: Mapping[str, Any] = execution["Status"]
    about: Mapping[str, Any] = status.get("AthenaError") or {}
    reason = str(about.get("ErrorMessage") or status.get("StateChangeReason") or "Athena gives no reason")[
        :_SAID
    ]
    details = {
        "execution_id": execution.get("QueryExecutionId"),
        "state": status["State"],
        "reason": reason,
        "category": {1: "system", 2: "user", 3: "other"}.get(about.get("ErrorCategory", 0)),
        "query": str(execution.get("Query", ""))[:2_000],
    }
    for kind, pattern, next_step in _KINDS:
        if re.search(pattern, reason, re.IGNORECASE):
            return kind(f"Athena: {reason}", next_step=next_step, details=details)
    if status["State"] == "CANCELLED":
        return StorageUnavailable(
            f"The query was cancelled in Athena: {reason}",
            next_step="Make the same call again.",
            details=details,
        )
    if about.get("Retryable") or about.get("ErrorCategory") == 1:
        return StorageUnavailable(
            f"Athena failed: {reason}", next_step="Make the same call again in a minute.", details=details
        )
    return InvalidArgument(
        f"Athena: {reason}",
        next_step="Change the query as the reason says; the same one may fail again.",
        details=details,
    )
