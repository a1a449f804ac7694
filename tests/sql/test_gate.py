"""The gate judges what is run: a text made of odd pieces reads no table but those that it told of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.errors import QuiltError
from quilt_mcp.sql import gate
from quilt_mcp.sql.inside.engine import begun
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.parsing import WRAPPED, parse
from quilt_mcp.sql.spelling import end_of_call, plain_spaces

_PIECES = (
    "SELECT", "*", "1", "FROM", "t", '"data/x.csv"', "'data/x.csv'", "'{canary}'", '"{canary}"', "(", ")", ",", ";", "--", "\n", "/*", "*/",
    "'", '"', "''", "$$", "$a$", "WITH", "RECURSIVE", "a", "AS", "UNION ALL", "UNION", "WHERE", "LIMIT", "ORDER BY", "EXISTS", "LATERAL", "JOIN",
    "ON true", "\u00a0", "\u2003", "\ufeff", "\u200b", "é", "ſ", '"ſ"', "s", "E'\\'", "::INT", "VALUES", "(SELECT 1)", "SELECT 1", "SELECT * FROM",
    "WITH a AS (SELECT 1)", "(SELECT * FROM '{canary}')", "read_csv('{canary}')", ") AS result", "PIVOT", "DESCRIBE", "SUMMARIZE", "FROM a",
)  # fmt: skip
_WHOLES = (
    "WITH {0} AS (SELECT 1 AS word) SELECT * FROM {1}",
    "WITH RECURSIVE {0} AS (SELECT * FROM {1} UNION ALL SELECT * FROM {2} WHERE false) SELECT * FROM {3}",
    "WITH {0} AS (SELECT 1 AS word), {1} AS (SELECT * FROM {2}) SELECT * FROM {3}",
    "SELECT * FROM (WITH {0} AS (SELECT 1) SELECT * FROM {1}) x, {2} y",
    "SELECT (SELECT count(*) FROM {0}), (WITH {1} AS (SELECT 1) SELECT count(*) FROM {2})",
    "WITH {0} AS (SELECT 1) SELECT 1 ORDER BY (SELECT count(*) FROM {1}) LIMIT (SELECT count(*) FROM {2})",
    "WITH {0} AS (SELECT 1) SELECT * FROM {1} UNION ALL (WITH {2} AS (SELECT 2) SELECT * FROM {3})",
)
_NAMES = (
    "s",
    "S",
    '"ſ"',
    "k",
    '"\u212a"',
    '"{canary}"',
    "'{canary}'",
    '"{odd}"',
    "t",
    "duckdb_settings",
    "sqlite_master",
    '"É"',
    '"é"',
)
_texts = st.one_of(
    st.lists(st.sampled_from(_PIECES), min_size=2, max_size=14).map(" ".join),
    st.builds(
        lambda whole, names: whole.format(*names),
        st.sampled_from(_WHOLES),
        st.lists(st.sampled_from(_NAMES), min_size=4, max_size=4),
    ),
    st.builds(
        lambda before, middle, after: before + middle + after,
        st.sampled_from(("", ";", "/* ; */", "\u00a0", "-- x\n", "(")),
        st.sampled_from(("SELECT * FROM t", "FROM '{canary}'", "SELECT ';' FROM t", 'SELECT 1 AS "--"')),
        st.sampled_from(("", ";", "; --", ";;", ")", "; SELECT 1", "/*", "--", "\n;\u00a0", "; /* ' */")),
    ),
)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, str]]:
    """One that takes apart, one that runs with nothing held back, and a file that only it can reach."""
    canary = tmp_path_factory.mktemp("canary") / "kelvin.csv"
    canary.write_text("word\ncanary-91\n")
    taking, running = begun(settings=True), duckdb.connect()
    running.execute("SET python_enable_replacements = false")
    for name in ("t", "data/x.csv"):
        running.execute(f"CREATE VIEW \"{name}\" AS SELECT 'x' AS word")
    yield taking, running, str(canary)
    taking.close()
    running.close()


def scanned(engine: Any, text: str) -> list[str]:
    """What the plan of a text reads: the functions by which it comes to its rows."""
    try:
        [(_, plan)] = engine.execute(f"EXPLAIN (FORMAT json) {WRAPPED[0]}{text}{WRAPPED[1]}").fetchall()
    except duckdb.Error:
        return []
    found: list[str] = []

    def look(part: Any) -> None:
        if isinstance(part, list):
            for one in part:
                look(one)
        elif isinstance(part, dict):
            found.append(f"{part.get('name')} {json.dumps(part.get('extra_info'))}")
            look(part.get("children", []))

    look(json.loads(plan))
    return [
        one for one in found if "CSV" in one.upper() or "DUCKDB_" in one.upper() or "SQLITE_" in one.upper()
    ]


def require_told(engines: tuple[Any, Any, str], text: str) -> None:
    taking, running, canary = engines
    text = plain_spaces(text.replace("{canary}", canary).replace("{odd}", canary.replace("k", "\u212a")))
    try:
        gate.check_text(text)
        taken = parse(taking, text)
        reads = gate.read(taken["tree"], len(WRAPPED[0]))
    except (Fault, QuiltError):
        return
    assert text.startswith(taken["text"])
    if {one.name for one in reads.tables} <= {
        "t",
        "T",
        "data/x.csv",
    }:  # the others are not found, and nothing is run
        assert scanned(running, taken["text"]) == []


@given(text=_texts)
def test_what_passes_reads_no_more_than_was_told(engines: tuple[Any, Any, str], text: str) -> None:
    require_told(engines, text)


def test_no_part_of_with_stands_for_a_file(engines: tuple[Any, Any, str]) -> None:
    """The engine looks for a file where it finds no part of that name: in the first half of a recursion, or where only Unicode
    takes two letters for one."""
    for whole in _WHOLES:
        for names in product(('"{canary}"', '"{odd}"', "t"), repeat=4):
            require_told(engines, whole.format(*names))


@given(
    before=st.lists(
        st.sampled_from(("'é'", "'\u00a0'", "\u00a0", "/* ü ' */", "\u2003", "\ufeff", '"😀"', "$$ files('a') $$", "-- (\n", " ", "'files(''b'')'")),
        max_size=6,
    ),
    call=st.sampled_from(("files('x')", "FILES ( 'x' )", "files/* ) */('x', 'y')", "\"files\"('(')", "files(')''', delim := ';')")),
    after=st.sampled_from(("", " AS t", " t(a, b)", " TABLESAMPLE 10%", ", files('z') u", " AS \"é\" WHERE true")),
)  # fmt: skip
def test_a_call_is_found_where_it_stands(
    engines: tuple[Any, Any, str], before: list[str], call: str, after: str
) -> None:
    taking, *_ = engines
    words = [one for one in before if one.strip(" \u00a0\u2003\ufeff") and not one.startswith(("/*", "--"))]
    text = (
        "SELECT "
        + "".join(f"{one} AS c, " if one in words else one for one in before)
        + f"1 FROM {call}{after}"
    )
    plain = plain_spaces(text)
    assert len(plain) == len(text)
    reads = gate.read(parse(taking, plain)["tree"], len(WRAPPED[0]))
    raw = plain.encode()
    places = [end_of_call(plain, "files", len(raw[: one.start].decode())) for one in reads.files]
    found = [plain[one[0] : one[1]] for one in places if one is not None]
    assert found == [call, "files('z')"][: 2 if "files('z')" in after else 1]
