"""Whether a document fits a query. A document is a dict of fields; ``KINDS`` says how each field is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from parts.stack.search.query_string import Boolean, Query, QuerySyntaxError, Range, Term

KEYWORD, TEXT, NUMBER, DATE, FLAG = "keyword", "text", "number", "date", "flag"

KINDS = {
    "key": KEYWORD,
    "key_text": TEXT,
    "ext": KEYWORD,
    "size": NUMBER,
    "last_modified": DATE,
    "version_id": KEYWORD,
    "delete_marker": FLAG,
    "content": TEXT,
    "ptr_name": KEYWORD,
    "ptr_name.text": TEXT,
    "ptr_tag": KEYWORD,
    "ptr_last_modified": DATE,
    "mnfst_hash": KEYWORD,
    "mnfst_last_modified": DATE,
    "mnfst_message": TEXT,
    "mnfst_metadata": TEXT,
    "mnfst_stats.total_bytes": NUMBER,
    "mnfst_stats.total_files": NUMBER,
    "mnfst_workflow.id": KEYWORD,
    "entry_lk": KEYWORD,
    "entry_lk.text": TEXT,
    "entry_pk": KEYWORD,
    "entry_pk.text": TEXT,
    "entry_size": NUMBER,
    "entry_hash.value": KEYWORD,
    "entry_metadata": TEXT,
    "entry_contents": TEXT,
    "mnfst_metadata_fields.text": TEXT,
}

DEFAULTS = (
    "key_text",
    "content",
    "ptr_name.text",
    "mnfst_message",
    "mnfst_metadata",
    "mnfst_hash",
    "entry_lk.text",
    "entry_pk.text",
    "entry_metadata",
    "entry_contents",
)
"""What a word without a field is looked for in."""


def tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def score(query: Query, document: dict[str, Any], defaults: tuple[str, ...] = DEFAULTS) -> float:
    """How many terms were found; zero where the document does not fit."""
    match query:
        case Boolean(()):
            return 1.0
        case Boolean(clauses):
            found = [(clause.occur, score(clause.query, document, defaults)) for clause in clauses]
            if any(points if occur == "not" else occur == "must" and not points for occur, points in found):
                return 0.0
            total = sum(points for occur, points in found if occur != "not")
            return total or (1.0 if all(occur == "not" for occur, _ in found) else 0.0)
        case Term(field="_exists_"):
            return float(document.get(query.text) is not None)
        case _:
            fields = defaults if query.field is None else fields_of(query.field)
            return float(
                sum(
                    _fits(query, KINDS[name], document[name])
                    for name in fields
                    if document.get(name) is not None
                )
            )


def check(query: Query) -> None:
    """Raises ``QuerySyntaxError`` for what no field could be compared with, whatever there is to search."""
    match query:
        case Boolean(clauses):
            for clause in clauses:
                check(clause.query)
        case Term(field="_exists_") | Term(is_regex=False, pattern=str()):
            pass
        case Term(field=str(name)) | Range(field=str(name)):
            for field in fields_of(name) if name != "*" else ():
                _fits(query, KINDS[field], 0.0 if KINDS[field] in (NUMBER, DATE) else "")
        case _:
            pass


def fields_of(name: str) -> tuple[str, ...]:
    if name == "*":
        return tuple(KINDS)
    return (name,) if name in KINDS else ()


def _fits(query: Term | Range, kind: str, value: Any) -> bool:
    if isinstance(query, Range):
        return _in_range(query, kind, value)
    if query.text == "*" and query.pattern:
        return True
    compared = re.match(r"(>=|<=|>|<)(.+)", query.text)
    if compared and not query.is_phrase:
        sign, bound = compared.groups()
        low, high = (bound, None) if sign[0] == ">" else (None, bound)
        return _in_range(Range(query.field, low, high, "=" in sign, "=" in sign), kind, value)
    if kind == NUMBER:
        return value == _number(query.text)
    if kind == DATE:
        return datetime.fromtimestamp(value, UTC).isoformat().startswith(query.text)
    if kind == FLAG:
        return value is (query.text == "true")
    if query.is_regex or query.pattern is not None:
        pattern = query.text if query.is_regex else query.pattern
        assert pattern is not None
        try:
            if kind == TEXT:
                return any(re.fullmatch(pattern.lower(), token) for token in tokens(value))
            return re.fullmatch(pattern, value, re.DOTALL) is not None
        except re.error:
            return False
    if kind == KEYWORD:
        return value == query.text
    wanted, held = tokens(query.text), tokens(value)
    width = len(wanted)
    return bool(wanted) and any(held[at : at + width] == wanted for at in range(len(held) - width + 1))


def _in_range(query: Range, kind: str, value: Any) -> bool:
    def read(text: str) -> Any:
        return _number(text) if kind == NUMBER else _date(text) if kind == DATE else text

    low, high = (None if end is None else read(end) for end in (query.low, query.high))
    above = low is None or value > low or (query.with_low and value == low)
    below = high is None or value < high or (query.with_high and value == high)
    return bool(above and below)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise QuerySyntaxError(f"For input string: '{text}'", None) from None


def _date(text: str) -> float:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise QuerySyntaxError(f"failed to parse date field [{text}]", None) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
