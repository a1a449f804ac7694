"""What a query finds is in the answer, on every page and in the files that are saved, exactly or as text."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_lab import ask, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.sql import SqlFile, SqlRequest

pytestmark = pytest.mark.anyio
MOMENT = "2026-01-31 10:00:00.123456789"
ROUNDED_BY_SOME: list[tuple[str, Any]] = [
    (f"TIMESTAMP_NS '{MOMENT}'", "2026-01-31T10:00:00.123456789"),
    (f"[TIMESTAMP_NS '{MOMENT}', NULL]", ["2026-01-31T10:00:00.123456789", None]),
    (f"{{'at': TIMESTAMP_NS '{MOMENT}', 'n': 1}}", {"at": "2026-01-31T10:00:00.123456789", "n": 1}),
    ("'10:00:00.123456789'::TIME_NS", "10:00:00.123456789"),
    ("TIMESTAMP '2026-01-31 10:00:00.123456'", "2026-01-31T10:00:00.123456"),
    ("TIMESTAMPTZ '2026-01-31 10:00:00.5+02'", "2026-01-31T08:00:00.500000+00:00"),
    ("'infinity'::TIMESTAMP", "infinity"),
    ("'-infinity'::DATE", "-infinity"),
    ("'infinity'::TIMESTAMPTZ", "infinity"),
    ("'24:00:00'::TIME", "24:00:00"),
    ("TIMESTAMP '20000-01-01 00:00:00'", "20000-01-01T00:00:00"),
    ("DATE '9999-12-31'", "9999-12-31"),
    ("[DATE '-infinity', DATE '0001-01-01']", ["-infinity", "0001-01-01"]),
    ("TIMESTAMPTZ '2026-01-31 10:00:00+02'", "2026-01-31T08:00:00+00:00"),
    ("ROW(1, 'a, b')", {"element1": 1, "element2": "a, b"}),
    ("[ROW(1::HUGEINT, DATE '2026-01-01')]", [{"element1": 1, "element2": "2026-01-01"}]),
    ("MAP {DATE '2026-01-01': 1}", {"2026-01-01": 1}),
    ("MAP {'k': TIMESTAMP '2026-01-01 10:00:00', 'n': NULL}", {"k": "2026-01-01T10:00:00", "n": None}),
    ("MAP {[DATE '-infinity']: 7::HUGEINT}", {"key": [["-infinity"]], "value": [7]}),
    ("[5::HUGEINT, NULL, 170141183460469231731687303715884105727]", [5, None, "170141183460469231731687303715884105727"]),
    ("{'n': {'m': [9::UHUGEINT]}}", {"n": {"m": [9]}}),
    ("[1.5::FLOAT, 'NaN'::FLOAT, 'inf'::FLOAT]", [1.5, "NaN", "Infinity"]),
    ("18446744073709551615::UBIGINT", "18446744073709551615"),
    ("'BITRATE'::ENUM ('BITRATE', 'HUGEINT', 'it''s, (a) UNION')", "BITRATE"),
    ("{'BIT rate': 1, 'a\"b': [2]}", {"BIT rate": 1, 'a"b': [2]}),
    ("MAP {'HUGEINT': 1}", {"HUGEINT": 1}),
    ("[INTERVAL 1 MICROSECOND]", ["00:00:00.000001"]),
    ("{'a': '101'::BIT}", {"a": "101"}),
    ("union_value(num := 5)", "5"),
    ("[]", []),
    ("NULL", None),
]  # fmt: skip


async def test_a_value_is_in_the_answer_as_it_is_on_the_first_and_on_a_later_page(lab_ops: LocalOps) -> None:
    columns = ", ".join(f"{sql} AS c{number}" for number, (sql, _) in enumerate(ROUNDED_BY_SOME))
    query = f"SELECT {columns} FROM range(2)"
    first = await ask(lab_ops, query, limit=1)
    later = await ask(lab_ops, query, limit=1, cursor=first.next_cursor)
    for page in (first, later):
        [row] = values(page)
        assert dict(zip([sql for sql, _ in ROUNDED_BY_SOME], row, strict=True)) == dict(ROUNDED_BY_SOME)


async def saved(ops: LocalOps, sql: str, form: str) -> SqlFile:
    return await ops.sql.save(SqlRequest(sql), form, most=1 << 24)


def read(tmp_path: Path, content: bytes) -> tuple[list[str], list[tuple[Any, ...]]]:
    (path := tmp_path / "saved.parquet").write_bytes(content)
    with duckdb.connect() as engine:
        kinds = [row[1] for row in engine.execute(f"DESCRIBE FROM '{path}'").fetchall()]
        return kinds, engine.execute(f"FROM '{path}'").fetchall()


@pytest.mark.parametrize(
    ("sql", "kind", "value"),
    [
        ("sum(range)", "BIGINT", 3),
        ("sum(range) + 10::HUGEINT ** 20", "DOUBLE", None),
        ("sum(range) * 100000000000000000000::HUGEINT", "DECIMAL(38,0)", Decimal(3 * 10**20)),
        ("max(170141183460469231731687303715884105727::HUGEINT)", "VARCHAR", str(2**127 - 1)),
        ("max(INTERVAL 1 MICROSECOND)", "VARCHAR", "00:00:00.000001"),
        (f"max(TIMESTAMP_NS '{MOMENT}')::VARCHAR", "VARCHAR", MOMENT),
        (f"max(TIMESTAMP_NS '{MOMENT}')", "TIMESTAMP_NS", None),
        ("any_value('a'::ENUM ('a', 'BIT', 'INTERVAL'))", "VARCHAR", "a"),
        ("any_value({'BITRATE': 1})", 'STRUCT("BITRATE" INTEGER)', {"BITRATE": 1}),
        ("any_value({'n': 1::HUGEINT})", 'STRUCT(n VARCHAR)', {"n": "1"}),
    ],
)  # fmt: skip
async def test_a_saved_parquet_has_numbers_where_it_can_and_tells_of_texts(
    lab_ops: LocalOps, tmp_path: Path, sql: str, kind: str, value: Any
) -> None:
    file = await saved(lab_ops, f"SELECT {sql} AS v FROM range(3)", "parquet")
    [found], [row] = read(tmp_path, file.content)
    assert found.replace('"', "") == kind.replace('"', "")
    if value is not None:
        assert row == (value,)
    if kind == "TIMESTAMP_NS":
        with duckdb.connect() as engine:
            path = tmp_path / "saved.parquet"
            assert engine.execute(f"SELECT v::VARCHAR FROM '{path}'").fetchall() == [(MOMENT,)]
    is_made_text = "VARCHAR" in kind and "::VARCHAR" not in sql and "ENUM" not in sql
    assert any(one.startswith("kept_as_text: v (") for one in file.warnings) == is_made_text, file.warnings


async def test_a_saved_csv_has_every_value_in_full(lab_ops: LocalOps) -> None:
    query = f"SELECT {2**127 - 1}::HUGEINT AS h, TIMESTAMP_NS '{MOMENT}' AS t, INTERVAL 1 MICROSECOND AS i"
    file = await saved(lab_ops, query, "csv")
    rows = [*csv.reader(io.StringIO(file.content.decode()))]
    assert rows == [["h", "t", "i"], [str(2**127 - 1), MOMENT, "00:00:00.000001"]]
    assert file.warnings == ()
