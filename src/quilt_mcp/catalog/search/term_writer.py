"""From one term of a query to a stack's query string. A term that its index cannot be asked for with the same meaning is refused,
with what to write instead.

A stack keeps documents of four kinds: a package's pointer (name, time), its manifest (message, metadata, totals), each of its
files, and objects. A term is asked of one kind; a word without a field of any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, NoReturn

from quilt_mcp.catalog.search import lucene
from quilt_mcp.domain.printable import one_line
from quilt_mcp.domain.search.query.field import Field
from quilt_mcp.domain.search.query.term import Between, Exists, Pattern, Regex, Term, Words, lowered, tokens
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.errors import NotSupported

Document = Literal["pointer", "manifest", "file", "object", "any"]

GUARDS: Final[Mapping[Document, str]] = {
    "pointer": "_exists_:ptr_name",
    "manifest": "_exists_:mnfst_hash",
    "object": "_exists_:key",
}
"""What every document of a kind has, and no other. Of each kind a package has one document, or NOT would hold of another."""
_HELD: Final[Mapping[tuple[str, str], tuple[Document, str]]] = {
    ("package", "name"): ("pointer", "ptr_name"),
    ("package", "modified"): ("pointer", "ptr_last_modified"),
    ("package", "message"): ("manifest", "mnfst_message"),
    ("package", "meta"): ("manifest", "mnfst_metadata"),
    ("package", "workflow"): ("manifest", "mnfst_workflow.id"),
    ("package", "hash"): ("manifest", "mnfst_hash"),
    ("package", "entries"): ("manifest", "mnfst_stats.total_files"),
    ("package", "size"): ("manifest", "mnfst_stats.total_bytes"),
    ("file", "path"): ("file", "entry_lk"),
    ("file", "ext"): ("file", "entry_lk"),
    ("file", "file_size"): ("file", "entry_size"),
    ("file", "file_meta"): ("file", "entry_metadata"),
    ("file", "file_hash"): ("file", "entry_hash.value"),
    ("file", "physical_key"): ("file", "entry_pk"),
}
_OBJECT: Final = {"path": "key", "ext": "key", "size": "size", "modified": "last_modified"}
_TEXTS: Final = {
    "ptr_name": "ptr_name.text",
    "entry_lk": "entry_lk.text",
    "entry_pk": "entry_pk.text",
    "key": "key_text",
}
"""Where the words of a value are, that is kept whole otherwise."""
_ALWAYS: Final = frozenset({"name", "modified", "hash", "entries", "size", "path", "file_size"})
_OWN_WORDS: Final = frozenset({"user", "meta", "null"})
"""Words of the spelling of metadata as JSON, which are none of its own."""
_ENDING: Final = re.compile(r"[^. /]{1,19}|[a-z0-9]+\.(?:gz|bz2|xz|zst)")
_LOCAL: Final = "Or search with engine=local; syntax=stack sends query as it is, in the stack's own language."


def document_of(term: Term, scope: Scope) -> Document:
    """``any`` for a word without a field. Raises NotSupported for a field that no document has."""
    if scope == "objects":
        return "object"
    if term.field is None:
        return "any"
    return _held(term, term.field, scope)[0]


def written(term: Term, scope: Scope, *, is_negated: bool = False) -> str:
    """As it stands in a query string. Raises NotSupported."""
    test, field = term.test, term.field
    if isinstance(test, Regex):
        refuse(
            term,
            "its index holds single words and no whole text, so a regular expression would find something else",
            "Write words, phrases or patterns such as R0* joined by OR.",
        )
    if field is None:
        # What is left out by a word must not depend on contents, in which this language does not look.
        return f"key_text:{_text(term)}" if scope == "objects" and is_negated else _text(term)
    name = _held(term, field, scope)[1]
    if term.pointer:
        refuse(
            term,
            "its filters on one field of metadata must hold beside all the rest of the query, not below OR or NOT",
            f"Write {field.name}:word to look into all metadata.",
        )
    if isinstance(test, Exists):
        return _exists(term, field, name)
    if isinstance(test, Between):
        return f"{name}:{lucene.moments(test) if field.holds == 'time' else lucene.numbers(test)}"
    match field.name:
        case "ext":
            return _ending(term, scope)
        case "hash" | "file_hash":
            return f"{name}:{_hash(test)}"
        case "workflow":
            value = test.written if isinstance(test, Pattern) else lucene_escaped(test.written)
            return f"{name}:{lucene.regex(lucene.whole(value))}"
        case "name" | "path" if isinstance(test, Pattern):
            return f"{name}:{lucene.regex(lucene.path_regex(test.written))}"
        case "meta" | "file_meta":
            return f"{name}:{_metadata(term, field)}"
        case _:
            return f"{_TEXTS.get(name, name)}:{_text(term)}"


def refuse(term: Term, why: str, instead: str) -> NoReturn:
    shown = one_line(term.written[:80])
    raise NotSupported(
        f"A stack's search cannot be asked for {shown} at character {term.at + 1}: {why}.",
        next_step=f"{instead} {_LOCAL}",
        details={"term": shown, "at": term.at},
    )


def lucene_escaped(text: str) -> str:
    """With wildcards as letters."""
    return re.sub(r"[\\*?]", r"\\\g<0>", text)


def _held(term: Term, field: Field, scope: Scope) -> tuple[Document, str]:
    if scope == "objects":
        return "object", _OBJECT[field.name]
    held = _HELD.get((field.holder, field.name))
    if held is None:
        refuse(
            term,
            f"its index has no {field.name} of packages; it looks into the contents of files",
            "Write the word without a field, which is looked for in contents too.",
        )
    return held


def _text(term: Term) -> str:
    """Words, or a pattern within one word."""
    test = term.test
    if isinstance(test, Words):
        return lucene.phrase(test.written)
    pattern = lucene.word_pattern(test.written) if isinstance(test, Pattern) else None
    if pattern is None:
        refuse(
            term,
            "its index holds single words, and this pattern may reach over several of them",
            "Write patterns with * at the beginning or the end of one word, as R0* or *fastq*; path:*a*b* is matched with paths.",
        )
    return pattern


def _metadata(term: Term, field: Field) -> str:
    test = term.test
    if isinstance(test, Words) and (len(test.tokens) != 1 or test.tokens[0] in _OWN_WORDS):
        refuse(
            term,
            "it keeps metadata as one text of JSON, in which this may stand across two values",
            f"Write one word, as {field.name}:B33, or compare a value in where, as /assay/lot = 'B33'.",
        )
    return _text(term)


def _exists(term: Term, field: Field, name: str) -> str:
    if field.name in _ALWAYS or field.name in ("message", "workflow"):
        return f"_exists_:{name}"
    refuse(
        term,
        f"its index does not tell an empty {field.name} from none",
        "Write what it should hold.",
    )


def _hash(test: Words | Pattern) -> str:
    if isinstance(test, Pattern):
        return lucene.regex(lucene.whole(test.written))
    return lucene.beginning(lowered(test.written))


def _ending(term: Term, scope: Scope) -> str:
    test = term.test
    ending = lowered(test.written).lstrip(".") if isinstance(test, Words) else ""
    if not _ENDING.fullmatch(ending):
        refuse(term, "its index knows no pattern of endings", "Write a pattern of paths, as path:*.tif*.")
    if scope == "objects" and "." not in ending and tokens(ending) == (ending,):
        return f"ext:.{ending}"
    name = "key" if scope == "objects" else "entry_lk"
    body = r".*[^.\/]\." + lucene.any_case(ending)
    return f"{name}:{lucene.regex(body)}"
