"""Queries made at random: each is refused, or answers the same on another engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from athena.conftest import account_with_rows
from athena.four_tables import duckdb_with_rows, rows_of
from athena.test_translate import IN_B, read_back
from parts.athena_double.executes import Engine
from quilt_mcp.athena.translate import translate
from quilt_mcp.errors import NotSupported, TooLarge


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Any, Engine]]:
    connection, account = duckdb_with_rows(), account_with_rows()
    yield connection, account._engine
    connection.close()
    account.close()


_WORDS = ("'data'", "'/'", "'_'", "'plate_01'", "'.csv'", "'漢'", "'%'", "'a_b'", "' '")
_PATTERNS = (r"'\d+'", "'[a-z]+'", "'^data'", "'_(.)'", "'(x)?/'", r"'\w+$'", "'.'")
_TEXTS = (
    "logical_key",
    "hash_type",
    "physical_key",
    "(metadata->>'n')",
    "json_extract_string(metadata, '$.u.k')",
    *_WORDS,
)
_SIZES = ("size", "json_array_length(metadata, '$.u.k')", "0", "1", "7", "12")
_FLAGS = ("size > 50", "hash_type is null", "true", "logical_key like '%csv'")


class Maker:
    """Expressions of SQL by the kind of their value: t(ext), n(umber), b(oolean). No nullif: DuckDB 2.0.1 leaves rows out for
    ``WHERE nullif('a', x) LIKE '%a%'`` whose x is NULL."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def pick(self, among: Sequence[str]) -> str:
        return self._random.choice(among)

    def t(self, depth: int) -> str:
        if depth == 0 or self._random.random() < 0.3:
            return self.pick(_TEXTS)
        t, n, b = (lambda: self.t(depth - 1)), (lambda: self.n(depth - 1)), (lambda: self.b(depth - 1))
        word, pattern, number = self.pick(_WORDS), self.pick(_PATTERNS), self._random.randint(1, 6)
        ways: list[Callable[[], str]] = [
            lambda: f"({t()} || {t()})",
            lambda: f"{self.pick(('lower', 'trim', 'rtrim', 'md5'))}({t()})",
            lambda: f"concat({t()}, {t()}, 'z')",
            lambda: f"substr({t()}, {number}, {self._random.randint(0, 5)})",
            lambda: f"substr({t()}, {-number})",
            lambda: f"{self.pick(('left', 'right'))}({t()}, {number * 4})",
            lambda: f"split_part({t()}, {word}, {number - 3})",
            lambda: f"split({t()}, {word})[{number - 3}]",
            lambda: f"replace({t()}, {word}, {t()})",
            lambda: f"regexp_extract({t()}, {pattern})",
            lambda: f"regexp_replace({t()}, {pattern}, '<>', 'g')",
            lambda: f"coalesce({t()}, {t()})",
            lambda: f"greatest({t()}, {t()})",
            lambda: f"case when {b()} then {t()} else {t()} end",
            lambda: f"({n()})::varchar",
        ]
        return self._random.choice(ways)()

    def n(self, depth: int) -> str:
        if depth == 0 or self._random.random() < 0.3:
            return self.pick(_SIZES)
        t, n, b = (lambda: self.t(depth - 1)), (lambda: self.n(depth - 1)), (lambda: self.b(depth - 1))
        number = self._random.randint(1, 7)
        ways: list[Callable[[], str]] = [
            lambda: f"({n()} {self.pick('+-')} {n()})",
            lambda: f"({n()} // {number})",
            lambda: f"({n()} % {number})",
            lambda: f"length({t()})",
            lambda: f"strpos({t()}, {t()})",
            lambda: f"len(split({t()}, {self.pick(_WORDS)}))",
            lambda: f"least({n()}, {n()})",
            lambda: f"if({b()}, {n()}, {n()})",
            lambda: f"try_cast({t()} as {self.pick(('int', 'bigint'))})",
            lambda: f"cast(round({n()} / 3) as bigint)",
            lambda: f"-({n()})",
        ]
        return self._random.choice(ways)()

    def b(self, depth: int) -> str:
        if depth == 0 or self._random.random() < 0.3:
            return self.pick(_FLAGS)
        t, n, b = (lambda: self.t(depth - 1)), (lambda: self.n(depth - 1)), (lambda: self.b(depth - 1))
        ways: list[Callable[[], str]] = [
            lambda: f"{n()} {self.pick(('<', '=', '>=', '<>', 'is distinct from'))} {n()}",
            lambda: f"{t()} {self.pick(('<', '=', '>', 'is not distinct from'))} {t()}",
            lambda: t() + " like '%a%'",
            lambda: f"regexp_matches({t()}, {self.pick(_PATTERNS)})",
            lambda: f"contains({t()}, {t()})",
            lambda: f"ends_with({t()}, {t()})",
            lambda: f"(({b()}) {self.pick(('and', 'or'))} ({b()}))",
            lambda: f"not ({b()})",
            lambda: f"({b()}) is true",
            lambda: f"({t()}) is null",
            lambda: f"{n()} between {n()} and {n()}",
            lambda: f"{t()} not in ({t()}, {t()})",
        ]
        return self._random.choice(ways)()

    def query(self) -> str:
        if self._random.random() < 0.6:
            return f"select {self.t(3)} a, {self.n(3)} b, {self.b(3)} c from package_entry where {self.b(2)}"
        t, n, b, best = self.t(2), self.n(2), self.b(2), self.pick(("arg_max", "arg_min"))
        return (
            f"select {b} k, count(*) n, sum({n}) s, min({t}) m, count(distinct {t}) d, bool_or({b}) o, count_if({b}) i, "
            f"{best}({t}, logical_key || top_hash) x, max({n}) filter (where {b}) f from package_entry group by all"
        )


@given(st.randoms(use_true_random=False))
def test_a_query_is_refused_or_answers_the_same(engines: tuple[Any, Engine], random: Random) -> None:
    connection, sqlite = engines
    query = Maker(random).query()
    try:
        made = translate(query, IN_B)
    except (NotSupported, TooLarge):
        return
    try:
        expected = connection.execute(query).fetchall()
    except duckdb.Error:
        return  # an error here: it is one there too, or a NULL that nobody was promised
    rows = sqlite.run(made.sql)[1]
    assert rows_of(read_back(rows, made.lists), ordered=False) == rows_of(expected, ordered=False), (
        query,
        made.sql,
    )
