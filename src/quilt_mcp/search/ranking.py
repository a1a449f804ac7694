"""Ranking: how well the texts of packages fit the words of a query, by BM25 over FTS5 of SQLite.

It filters nothing: which packages are found the catalog's tables say. So it may be gone or behind, and only the order suffers.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.query.term import Pattern, Query, Words, terms, tokens
from quilt_mcp.errors import StorageBusy
from quilt_mcp.search.engine import Connection
from quilt_mcp.search.parts import remove
from quilt_mcp.search.view import View

_FILE: Final = "text.db"
_COLUMNS: Final = ("name", "message", "metadata", "readme", "columns")
_WEIGHTS: Final = (10.0, 5.0, 3.0, 1.0, 1.0)
_SCHEMA: Final = f"""CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5({", ".join(_COLUMNS)}, prefix = '2 3',
    tokenize = 'unicode61 remove_diacritics 0')"""
_CHUNK: Final = 500
_CHUNK_BYTES: Final = 4 << 20
BUSY_SECONDS: Final = 5.0
"""How long another process's writing is waited for."""


def rank(query: Query, numbers: Iterable[int], scores: Mapping[int, float]) -> dict[int, float]:
    """The seam for another way of ranking: a score for each candidate, the greatest first."""
    del query
    return {number: scores.get(number, 0.0) for number in numbers}


class Texts:
    """The texts of a catalog's packages, beside its tables. Methods block. What fails is made anew, or scores nothing."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder

    def scores(self, connection: Connection, view: View, query: Query) -> dict[int, float]:
        """By number, of the packages whose texts hold a word of the query. Takes in first what has come since."""
        wanted = match_text(query)
        if not wanted or not view.state.packages:
            return {}
        path = self._folder() / _FILE
        for _ in range(2):
            try:
                with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as texts:
                    # One transaction: another process may follow another state.
                    texts.execute("BEGIN IMMEDIATE")
                    self._follow(texts, connection, view)
                    weights = ", ".join(map(str, _WEIGHTS))
                    rows = texts.execute(
                        f"SELECT rowid, -bm25(texts, {weights}) FROM texts WHERE texts MATCH ?", (wanted,)
                    ).fetchall()
                    texts.execute("COMMIT")
                    return {number: score for number, score in rows if math.isfinite(score)}
            except (sqlite3.Error, ValueError) as error:  # ValueError: a damaged text is no UTF-8
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                    raise StorageBusy(
                        "Another process writes to what this search is ranked by.",
                        next_step="Make the same call again in a moment, or sort by name or modified.",
                    ) from error
                _remove(path)
        return {}

    def near(self, word: str) -> list[str]:
        """Words of the texts that ``word`` was probably meant to be. Those of paths are not among them."""
        try:
            with closing(sqlite3.connect(self._folder() / _FILE, timeout=BUSY_SECONDS)) as texts:
                texts.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, texts, row)")
                rows = texts.execute(
                    "SELECT term FROM temp.words WHERE length(term) BETWEEN ? AND ? ORDER BY cnt DESC LIMIT 20000",
                    (max(3, len(word) - 2), len(word) + 3),
                ).fetchall()
        except (sqlite3.Error, ValueError, OSError):
            return []
        return suggest(word, [term for (term,) in rows])

    def _follow(self, texts: sqlite3.Connection, connection: Connection, view: View) -> None:
        texts.execute(_SCHEMA)
        # A catalog that was made anew gives its numbers to other packages.
        texts.execute("CREATE TABLE IF NOT EXISTS held (number INTEGER PRIMARY KEY, package TEXT)")
        held = dict[int, str](texts.execute("SELECT number, package FROM held").fetchall())
        wanted = {one.number: f"{one.top_hash} {name}" for name, one in view.state.packages.items()}
        for number, package in held.items():
            if wanted.get(number) != package:
                texts.execute("DELETE FROM texts WHERE rowid = ?", (number,))
                texts.execute("DELETE FROM held WHERE number = ?", (number,))
        missing = sorted(number for number, package in wanted.items() if held.get(number) != package)
        for chunk in _chunks(connection, view, missing):
            some = ", ".join(map(str, chunk))
            rows = connection.rows(
                "SELECT number, name, coalesce(message, ''), coalesce(lmeta, ''), readme, columns "
                f"FROM {view.heads()} h WHERE number IN ({some})"
            )
            texts.executemany(
                "INSERT INTO texts(rowid, name, message, metadata, readme, columns) VALUES (?,?,?,?,?,?)",
                rows,
            )
            texts.executemany("INSERT INTO held VALUES (?, ?)", [(row[0], wanted[row[0]]) for row in rows])


def _chunks(connection: Connection, view: View, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Packages whose texts have some megabytes together."""
    weights = dict(
        connection.rows(
            f"SELECT number, weight + strlen(readme) + strlen(columns) FROM {view.heads()} h "
            f"WHERE number IN ({', '.join(map(str, numbers)) or 'NULL'})"
        )
    )
    chunk: list[int] = []
    weight = 0
    for number in numbers:
        if chunk and (weight + weights.get(number, 0) > _CHUNK_BYTES or len(chunk) == _CHUNK):
            yield chunk
            chunk, weight = [], 0
        chunk.append(number)
        weight += weights.get(number, 0)
    if chunk:
        yield chunk


def _remove(path: Path) -> None:
    """The database with its journal, which would be played into the next one; a folder that stands there, too."""
    for one in (path, path.with_name(f"{path.name}-journal")):
        with suppress(OSError):
            remove(one)


def match_text(query: Query) -> str:
    """An FTS5 query of the words that speak for a package: any of them, a phrase as one."""
    found: list[str] = []
    for term in terms(query, negated=False):
        if term.field is not None and term.field.holder == "file":
            continue
        if isinstance(term.test, Words) and term.test.tokens:
            found.append(f'"{" ".join(term.test.tokens)}"')
        elif isinstance(term.test, Pattern) and not term.test.written.startswith(("*", "?")):
            beginning = tokens(term.test.written.partition("*")[0].partition("?")[0])
            if beginning:
                found.append(f'"{" ".join(beginning)}" *')
    return " OR ".join(dict.fromkeys(found))
