"""Rows of the four tables with NULLs, ties, letters beyond ASCII and groups without rows; and DuckDB with them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from quilt_mcp.athena.tables import FOUR_TABLES

Row = tuple[Any, ...]
_A, _B, _C, _D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def _meta(**given: Any) -> str:
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"))


ROWS: dict[str, list[Row]] = {
    "package_revision": [
        ("lab/growth", datetime(2025, 12, 31, 23, 30, 0), _A),
        ("lab/growth", datetime(2026, 1, 1, 0, 15, 0, 123456), _B),
        ("lab/growth", datetime(2026, 1, 1, 0, 15, 0, 500000), _C),
        ("lab/ünïcode", datetime(2026, 2, 28, 12, 0, 0), _C),
        ("lab/empty", datetime(2026, 3, 1, 6, 45, 59), _D),
        ("lab/old", None, None),
    ],
    "package_tag": [
        ("lab/growth", "latest", _C),
        ("lab/ünïcode", "latest", _C),
        ("lab/empty", "latest", _D),
        ("lab/growth", "v1", _A),
        ("lab/gone", "latest", None),
    ],
    "package_manifest": [
        (_A, "first", _meta(plate=1, owner="Ana", score=1.5, ok=True, tags=["x", "y"], deep={"a": {"b": 7}})),
        (_B, None, _meta(plate=2, owner=None, score=-2, ok=False, tags=[])),
        (_C, "third, ünïcode: 漢字", _meta(plate="3", owner="Zoë", deep={"a": "flat"}, tags="none")),
        (_D, "", _meta()),
    ],
    "package_entry": [
        (
            _A,
            "data/plate_01.csv",
            "s3://b/data/plate_01.csv?versionId=1",
            "SHA256",
            "1" * 64,
            100,
            _meta(n=1),
        ),
        (
            _A,
            "data/plate_02.csv",
            "s3://b/data/plate_02.csv?versionId=2",
            "SHA256",
            "2" * 64,
            250,
            _meta(n=2.5),
        ),
        (_A, "README.md", "s3://b/README.md", "SHA256", "3" * 64, 0, None),
        (
            _B,
            "data/plate_01.csv",
            "s3://b/data/plate_01.csv?versionId=3",
            "SHA256",
            "4" * 64,
            100,
            _meta(n="12"),
        ),
        (_B, "data/Plate_10.CSV", "s3://b/x", "sha2-256-chunked", "qqq=", 7_000_000_000, _meta(n="1.5")),
        (
            _B,
            "data/raw/im_1.tiff",
            "s3://b/y",
            "sha2-256-chunked",
            "rrr=",
            1024,
            _meta(n="x", u={"k": [1, 2]}),
        ),
        (_C, "über/straße 1.txt", "s3://b/z", "SHA256", "5" * 64, 3, _meta(n=-7)),
        (_C, "漢字/表.csv", "s3://b/w", "SHA256", "5" * 64, 3, _meta(n=None)),
        (_C, "a_b%c.txt", "s3://b/v", None, None, None, "{}"),
        (_C, "data/", None, None, None, None, _meta(user_meta={"x": 1})),
        (_C, " lead and trail ", "s3://b/u", "SHA256", "6" * 64, 16, _meta(n="  4 ")),
    ],
}


def literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case int():
            return str(value)
        case datetime():
            return f"TIMESTAMP '{value}'"
        case _:
            return "'" + str(value).replace("'", "''") + "'"


def stored(value: Any) -> Any:
    """As the double keeps it."""
    return value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value


def duckdb_with_rows() -> Any:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    for name, columns in FOUR_TABLES.items():
        spelled = ", ".join(f'"{column}" {of}' for column, of in columns.items())
        connection.execute(f"CREATE TABLE {name} ({spelled})")
        for row in ROWS[name]:
            connection.execute(f"INSERT INTO {name} VALUES ({', '.join(map(literal, row))})")
    return connection


def comparable(value: Any) -> Any:
    """Values of two engines, as one spelling."""
    from datetime import date
    from decimal import Decimal

    match value:
        case None:
            return value
        case bool():
            return float(value)
        case int():
            return float(value)
        case float():
            return "NaN" if value != value else value if abs(value) == float("inf") else float(f"{value:.9g}")
        case Decimal():
            return float(f"{float(value):.9g}")
        case datetime():
            return value.replace(tzinfo=None).isoformat(" ", "microseconds")
        case date():
            return value.isoformat()
        case list() | tuple():
            return [comparable(one) for one in value]
        case _:
            return str(value)


def rows_of(rows: Any, *, ordered: bool) -> list[Any]:
    found = [[comparable(one) for one in row] for row in rows]
    return found if ordered else sorted(found, key=repr)
