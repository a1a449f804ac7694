"""Which lines of a manifest are in quilt3's own spelling, told by DuckDB.

In such a line, free of escapes, the text between two quotes is the value, so SQL may take it. The proof must never be
wrong; a line it fails on is odd, no more, and is left to the codec (``domain.codec``).
"""

# ruff: noqa: S608 - the SQL holds our own path (quoted) and constants

from __future__ import annotations

from quilt_mcp.domain.codec import MAX_DEPTH
from quilt_mcp.registry.manifests.database import quoted

FOLDER = "parse_dirpath({}, 'forward_slash')"
"""A key's folder without its trailing '/', '' at the root; for directory metadata the directory itself."""
ODD_FOLDER = "folder <> '' AND regexp_matches(folder, '(?:^|/)[.]?[.]?(?:/|$)')"
"""Whether a key in this folder has an empty part, '.' or '..', for the codec to refuse."""

_PIECES = {
    1: "{",
    2: "logical_key",
    3: ": ",
    5: ", ",
    6: "physical_keys",
    7: ": [",
    9: "], ",
    10: "size",
    12: "hash",
    13: ": {",
    14: "type",
    15: ": ",
    17: ", ",
    18: "value",
    19: ": ",
    21: "}, ",
    22: "meta",
}
"""An entry line cut at its quotes, as quilt3 spells it, but for the values (4, 8, 11, 16, 20) and the meta object (23 on).
Where the values hold no backslash, every quote is a string's end, so equal pieces are proof."""
_MAYBE_ONLY_DUCKDB = r",\s*[}\]]|[:\[,]\s*[-+]?(?:[iIN]|n[aA])"
"""A cheaper look for ``_ONLY_DUCKDB`` that strings may set off."""
_STRING = r'"(?:[^"\\]|\\.)*"'
_ONLY_DUCKDB = r",\s*[}\]]|[iIN]|n[aA]"
"""JSON (strings taken out) that DuckDB's parser accepts and Python's does not, or reads otherwise: trailing commas, NaN
and infinity in any case."""
_LONGEST_LINE = 1 << 21
"""DuckDB's buffers hold several of these; a longer line is left to the codec."""


def judged_lines(source: str) -> str:
    """Named queries (``WITH ...``), the last of them ``judged``: every line of the file ``source`` but the one that
    equals ``$header``, with ``plain`` (never null) and, where it is true, the line's values."""
    # CASE, and not AND, wherever a test is dear: DuckDB computes both sides of an AND for every line.
    pieces = " AND ".join(f"p[{at}] = {quoted(text)}" for at, text in _PIECES.items())
    return f"""
        WITH lines AS (
            SELECT json::VARCHAR AS line FROM read_ndjson_objects({quoted(source)},
                format = 'newline_delimited', maximum_object_size = {_LONGEST_LINE})
        ), cut AS (
            SELECT line, str_split(line, '"') AS p FROM lines WHERE line <> $header
        ), named AS (
            SELECT line, p, p[4] AS key, p[8] AS physical_key, p[11] AS size_text, p[16] AS hash_type,
                p[20] AS hash_value
            FROM cut
        ), shaped AS (
            SELECT *, coalesce({pieces}
                AND CASE WHEN contains(line, '\\') THEN NOT (contains(key, '\\') OR contains(physical_key, '\\')
                    OR contains(hash_type, '\\') OR contains(hash_value, '\\')) ELSE true END
                AND regexp_full_match(size_text, ': (?:0|[1-9][0-9]{{0,17}}), ')
                AND physical_key <> '' AND NOT starts_with(key, '/')
                AND key <> '' AND NOT ends_with(key, '/') AND NOT ends_with(key, '.')
                AND CASE WHEN len(p) = 23 THEN p[23] = ': {{}}}}' ELSE starts_with(p[23], ': {{') END, false) AS canonical
            FROM named
        ), spelled AS (
            SELECT *, CASE WHEN NOT canonical THEN NULL WHEN len(p) = 23 THEN '{{}}'
                ELSE array_to_string(p[23:], '"')[3:-2] END AS meta
            FROM shaped
        ), judged AS (
            SELECT *, try_cast(size_text[3:-3] AS BIGINT) AS size, {FOLDER.format("key")} AS folder,
                strlen(line) + 1 AS line_bytes,
                CASE WHEN NOT canonical THEN false WHEN len(p) = 23 THEN true
                    WHEN NOT json_valid(meta) THEN false
                    WHEN regexp_matches(meta, '{_MAYBE_ONLY_DUCKDB}') AND regexp_matches(
                        regexp_replace(meta, '{_STRING}', '', 'g'), '{_ONLY_DUCKDB}') THEN false
                    WHEN strlen(meta) < 400 THEN true
                    ELSE strlen(meta) - strlen(replace(replace(meta, '[', ''), '{{', '')) < {MAX_DEPTH}
                        AND NOT regexp_matches(meta, '[0-9]{{300}}')
                END AS plain
            FROM spelled
        )
    """
