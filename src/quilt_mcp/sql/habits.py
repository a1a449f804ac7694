"""Habits: what a text was probably meant as that is no query here, and what to write instead.

Nothing depends on it but the next step of an error, so that words are compared where the engine's parser would be dear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from quilt_mcp.domain.tabulator import ADDED
from quilt_mcp.sql.spelling import words

KEEP: Final = (
    "To keep a result as a file of a package, give its address as `to` (to='ns/name/results/x.parquet') where writes are on; at "
    "a shell, `quilt-mcp sql` with --parquet FILE or --csv needs no writes."
)
_STEP: Final = (
    "A step that other parts of a query read is a WITH: WITH a AS (SELECT ..) SELECT .. FROM a. " + KEEP
)
_CHANGE: Final = (
    "No file is changed in place: select the rows as they should be. package_patch adds, replaces and removes files of a "
    f"package. {KEEP}"
)
_ATTACH: Final = (
    "Nothing is attached: files are tables by their addresses, FROM 'ns/name/x.parquet', FROM files('s3://bucket/folder/*.csv'), "
    "and those of other registries too, FROM 'quilt+s3://bucket#package=ns/name&path=x.csv'."
)
_EXTENSION: Final = (
    "Leave it out: CSV, TSV, Parquet, JSON and s3:// are read without extensions, and there are no others."
)
_SETTING: Final = (
    "Leave it out: settings are fixed, and times are in UTC. Values for $name in the query go into parameters; options of a file "
    "into files('ns/name', 'x.csv', delim := ';')."
)
_INSTEAD: Final = {
    **dict.fromkeys(("COPY", "EXPORT"), KEEP),
    "CREATE": _STEP,
    **dict.fromkeys(("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "ALTER", "DROP", "COMMENT", "IMPORT"), _CHANGE),
    **dict.fromkeys(("ATTACH", "DETACH", "USE", "CONNECT"), _ATTACH),
    **dict.fromkeys(("INSTALL", "LOAD", "FORCE"), _EXTENSION),
    **dict.fromkeys(("SET", "RESET"), _SETTING),
    "PRAGMA": "sql_tables lists tables, columns and types; DESCRIBE FROM 'x.csv' those of one. Settings are fixed.",
    "CALL": "There are no procedures: write what is wanted as a SELECT.",
    **dict.fromkeys(
        ("BEGIN", "START", "COMMIT", "ROLLBACK", "ABORT"),
        "Leave it out: each query reads one state of its tables by itself.",
    ),
    **dict.fromkeys(
        ("PREPARE", "EXECUTE", "DEALLOCATE"),
        "Send the query itself; values for $name in it go into parameters.",
    ),
    **dict.fromkeys(("VACUUM", "CHECKPOINT", "ANALYZE"), "Leave it out: there is nothing to look after."),
    "EXPLAIN": "Send the query without EXPLAIN and with explain=true.",
}  # fmt: skip
"""By the word that a statement begins with."""
_PIVOT: Final = "Name its values, PIVOT x ON column IN ('a', 'b') USING sum(y), or write sum(y) FILTER (column = 'a') for each."
_AS_NAMES: Final = frozenset(
    """
    all analyse analyze anti any array asc asof at authorization both check collate collation column columns constraint cross
    default desc describe do end fetch for foreign full glob group into is lambda lateral leading left limit map natural offset
    only order outer pivot placing positional primary qualify references returning right semi show similar some struct summarize
    symmetric table tablesample to trailing tuple union unique using variadic verbose window
    """.split()  # noqa: SIM905 - a list of words
)
"""Words of SQL that stand for no column without quotes, and that columns are named by."""
_HEADING: Final = re.compile(r'at or near "(?:day|days|hour|minute|second|month|year|week)"')
_ARROW: Final = re.compile(r"->(?!>)\s*['$\d]")
_OF_ARROW: Final = re.compile(
    r"json_extract\w*\([^)]*BOOLEAN|Malformed JSON at byte 0|best candidate function|Could not convert"
)
_IN_ONE: Final = re.compile(r"\bIN\s*\(\s*(\$\w+|\?)\s*\)", re.I)
_UNQUOTED: Final = re.compile(r"(?<![\w$'\"])\$(" + "|".join(one[1:] for one in ADDED) + r")\b", re.I)


def not_a_query(sql: str) -> tuple[str, str]:
    """What a text is that the parser knows and that reads nothing, and what to do instead."""
    found = [one.upper() for one in words(sql)]
    begins = found[0] if found else ""
    if begins not in _INSTEAD and {"PIVOT", "PIVOT_WIDER"} & {*found}:
        return "PIVOT without its values cannot be looked at before it is run.", _PIVOT
    word = next((one for one in found if one in _INSTEAD), None)
    if word is None:
        return (
            "This is no query: only what reads can be run (SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE).",
            "Nothing that writes, sets or loads is run.",
        )
    return (
        f"{word} is no query: only what reads can be run (SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE).",
        _INSTEAD[word],
    )


def unparsed(sql: str, message: str, place: int | None) -> str:
    """What to write where the text does not parse. ``place``: letters before the fault."""
    said = message.casefold()
    if "->" in said or "arrow" in said:
        return "A function of a value is written `lambda x: x + 1`."
    if _HEADING.search(said):
        return "Headings that are words of SQL need AS: `SELECT x AS day`."
    if re.search(r"\b(?:from|join)\s+[\w.-]+/", sql, re.I):
        return "Paths of files stand in quotes: FROM 'data/x.csv'."
    if '"`"' in said:
        return "Names stand in double quotes, texts in single ones."
    if re.search(r"\bselect\s+top\s+\d", sql, re.I):
        return "DuckDB has LIMIT at the end in place of TOP."
    for word in _beside(sql, place):
        if word.lower() in _AS_NAMES:
            return f'{word} is a word of SQL; as the name of a column it stands in double quotes: "{word}".'
    return (
        "It is DuckDB's SQL: words of SQL as names, and names with other signs than letters, digits and _, stand in double "
        "quotes, texts in single ones."
    )


def _beside(sql: str, place: int | None) -> Iterator[str]:
    """The words before and at a place."""
    if place is not None:
        for found in (re.search(r"(\w+)\s*,?\s*\Z", sql[:place]), re.match(r"\s*(\w+)", sql[place:])):
            if found is not None:
                yield found[1]


def unbound(sql: str, message: str) -> tuple[str, str | None] | None:
    """What to write where the engine takes the text for another one than was meant, and what is said in place of its own words;
    None where that is not known."""
    if _ARROW.search(sql) and _OF_ARROW.search(message):
        return (
            "-> binds weaker than any comparison, so that it stands in parentheses: (metadata->'a'->>'b') = 'x'. A path in one "
            "text needs none: metadata->>'$.a.b' = 'x'.",
            None,
        )
    unquoted = _UNQUOTED.search(sql)
    if unquoted is not None and ("following parameters" in message or "count mismatch" in message):
        return (
            f'A column that is added to files stands in double quotes: "{unquoted[0].lower()}". Without them it is a parameter.',
            None,
        )
    in_one = _IN_ONE.search(sql)
    if in_one is not None and "[]" in message:
        return (
            f"A list in parameters is what IN looks through, without parentheses: IN {in_one[1]}.",
            f"IN ({in_one[1]}) compares with one value, and it is a list.",
        )
    if "Empty STRUCT" in message:
        return (
            "Leave that column out, or give it a field: {'a': 1}; as JSON it is '{}'::JSON.",
            "A column of the result is an object without any field ({}), and no result can hold one.",
        )
    if "Cannot compare values of type" in message:
        return (
            "Cast one side: x::DOUBLE > 5. What ->> gives is text: TRY_CAST(metadata->>'n' AS DOUBLE) > 5.",
            None,
        )
    return None
