"""The query language: what is written means one thing, or is an error that says where and what may stand there."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quilt_mcp.domain.search.query.field import FIELDS, example_of, fields_of, named, spelled
from quilt_mcp.domain.search.query.parse import MOST, parse_query
from quilt_mcp.domain.search.query.term import (
    EVERYTHING,
    And,
    Between,
    Bound,
    Exists,
    Not,
    Or,
    Pattern,
    Query,
    Regex,
    Term,
    Test,
    Words,
    lowered,
    terms,
    tokens,
)
from quilt_mcp.domain.search.request import SCOPES, Scope
from quilt_mcp.errors import InvalidQuery

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def parse(text: str, scope: Scope = "packages") -> Query:
    return parse_query(text, scope, NOW)


def printed(query: Query, *, inner: bool = False) -> str:
    """A query that means ``query``."""
    match query:
        case Term():
            name = query.field.name if query.field else ""
            if query.pointer:
                name = '"' + re.sub(r'(["\\*])', r"\\\1", f"{name}.{query.pointer}") + '"'
            return (f"{name}:" if name else "") + printed_test(query.test)
        case Not():
            return f"NOT ({printed(query.part)})"
        case And(parts=()):
            return "*"
        case And() | Or():
            text = (" AND " if isinstance(query, And) else " OR ").join(
                printed(one, inner=True) for one in query.parts
            )
            return f"({text})" if inner else text


def printed_test(test: Test) -> str:
    match test:
        case Words():
            return '"' + re.sub(r'(["\\*])', r"\\\1", test.written) + '"'
        case Pattern():
            return test.written
        case Regex():
            return "/" + test.source.replace("/", "\\/") + "/"
        case Between():
            ends = "[" if test.with_low else "{", "]" if test.with_high else "}"
            return f"{ends[0]}{printed_bound(test.low)} TO {printed_bound(test.high)}{ends[1]}"
        case Exists():
            return "*"


def printed_bound(bound: Bound | None) -> str:
    if bound is None:
        return "*"
    if isinstance(bound, str):
        return re.sub(r"([^\w])", r"\\\1", bound) or '""'
    return bound.isoformat() if isinstance(bound, datetime) else repr(bound)


def meaning(query: Query) -> Query:
    """Without how it was written, and where."""
    match query:
        case Term():
            return replace(query, written="", at=0)
        case Not():
            return Not(meaning(query.part))
        case And():
            return And(tuple(map(meaning, query.parts)))
        case Or():
            return Or(tuple(map(meaning, query.parts)))


def shown(query: Query) -> str:
    """As the printer has it, which the tables below are written in."""
    return printed(meaning(query))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a b", '"a" AND "b"'),
        ("a AND b && c", '"a" AND "b" AND "c"'),
        ("a OR b || c", '"a" OR "b" OR "c"'),
        ("a OR b c", '"a" OR ("b" AND "c")'),
        ("a b OR c", '("a" AND "b") OR "c"'),
        ("(a OR b) c", '("a" OR "b") AND "c"'),
        ("(((a)))", '"a"'),
        ("(a)AND(b)", '"a" AND "b"'),
        ("(a)(b)", '"a" AND "b"'),
        ("NOT a b", 'NOT ("a") AND "b"'),
        ("NOT NOT a", '"a"'),
        ("NOT (a OR b)", 'NOT ("a" OR "b")'),
        ('-"x y"', 'NOT ("x y")'),
        ("!(a)", 'NOT ("a")'),
        ("-name:(a b)", "NOT (name:\"a\" AND name:\"b\")"),
        ("+a +b", '"a" AND "b"'),
        ("(+a) OR b", '"a" OR "b"'),
        ("* AND NOT name:x", '* AND NOT (name:"x")'),
        ("*:* AND x", '* AND "x"'),
        ("", "*"),
        (" * ", "*"),
        ("*:*", "*"),
        ("a\u3000b", '"a" AND "b"'),
    ],
)  # fmt: skip
def test_terms_side_by_side_are_joined_by_and_which_binds_before_or(text: str, wanted: str) -> None:
    assert shown(parse(text)) == wanted


@pytest.mark.parametrize(
    ("text", "field", "test"),
    [
        ("R01", None, Words(("r01",), "R01")),
        ("sample_R01.fastq", None, Words(("sample", "r01", "fastq"), "sample_R01.fastq")),
        (r"\(1\+1\)\:2", None, Words(("1", "1", "2"), "(1+1):2")),
        (r"a\*b", None, Words(("a", "b"), "a*b")),
        (r"a\~", None, Words(("a",), "a~")),
        ('"and"', None, Words(("and",), "and")),
        ('"a \\"b\\" c"', None, Words(("a", "b", "c"), 'a "b" c')),
        ('"a \\* b"', None, Words(("a", "b"), "a * b")),
        ("c.76A>T", None, Words(("c", "76a", "t"), "c.76A>T")),
        ("year=2020", None, Words(("year", "2020"), "year=2020")),
        (r"a\ b\\c", None, Words(("a", "b", "c"), r"a b\c")),
        ("12:30", None, Words(("12", "30"), "12:30")),
        ("s3://bucket/key", None, Words(("s3", "bucket", "key"), "s3://bucket/key")),
        ("/data/raw", None, Words(("data", "raw"), "/data/raw")),
        ("日本語", None, Words(("日本語",), "日本語")),
        ("İSTANBUL", None, Words(("istanbul",), "İSTANBUL")),
        ("GROẞ", None, Words(("groß",), "GROẞ")),
        ("ΣΑΣ", None, Words(("σασ",), "ΣΑΣ")),
        ("cafe\u0301", None, Words(("cafe",), "cafe\u0301")),
        ("a* ", None, Pattern("a*")),
        ("B?C", None, Pattern("b?c")),
        (r"a\*B*", None, Pattern(r"a\*b*")),
        ("name:lab/*", "name", Pattern("lab/*")),
        ("/R0[12]/", None, Regex("R0[12]")),
        (r"/a\/b c/", None, Regex("a/b c")),
        ("/😀/", None, Regex("😀")),
        ("name: lab/x", "name", Words(("lab", "x"), "lab/x")),
        ("NAME:x", "name", Words(("x",), "x")),
        ("ptr_name:x", "name", Words(("x",), "x")),
        ("entry_lk.text:x", "path", Words(("x",), "x")),
        ("mnfst_stats.total_files:5", "entries", Between(5, 5)),
        ("physical_key:s3://b/k", "physical_key", Words(("s3", "b", "k"), "s3://b/k")),
        ("ext:.csv", "ext", Words(("csv",), "csv")),
        ("ext:*.CSV", "ext", Words(("csv",), "CSV")),
        ("ext:*.fast*", "ext", Pattern("fast*")),
        ('workflow:"-"', "workflow", Words((), "-")),
        ("name:*", "name", Exists()),
        ("_exists_:name", "name", Exists()),
        ("_exists_: name", "name", Exists()),
        ("size:>1MB", "size", Between(1_000_000, None, with_low=False)),
        ("size:>= 5", "size", Between(5, None)),
        ("size:<5", "size", Between(None, 5, with_high=False)),
        ('size:<="5 KiB"', "size", Between(None, 5120)),
        ("size:-5", "size", Between(-5, -5)),
        ("size:[1 TO 2MB]", "size", Between(1, 2_000_000)),
        ("size:{1 TO *}", "size", Between(1, None, with_low=False, with_high=False)),
        ("size:[* TO 5}", "size", Between(None, 5, with_high=False)),
        ("size:[* TO *]", "size", Exists()),
    ],
)  # fmt: skip
def test_a_term_is_a_word_a_phrase_a_pattern_an_expression_or_a_range(
    text: str, field: str | None, test: Test
) -> None:
    found = parse(text)
    assert isinstance(found, Term)
    assert (found.field.name if found.field else None, found.test, found.at) == (field, test, 0)
    assert found.written == text.strip()


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("modified:2026-01-31", day("2026-01-31"), day("2026-01-31T23:59:59.999999")),
        ("modified:>2026-01-31", day("2026-01-31T23:59:59.999999"), None),
        ("modified:<=2026-01", None, day("2026-01-31T23:59:59.999999")),
        ("modified:>2026-01-31T10:00+02:00", day("2026-01-31T08:00"), None),
        ("modified:>now-7d", day("2026-06-08T12:00"), None),
        ("modified:[now-7d TO now]", day("2026-06-08T12:00"), day("2026-06-15T12:00")),
        ("modified:{2025 TO 2026}", day("2025-12-31T23:59:59.999999"), day("2026-01-01")),
        ("modified:[* TO 9999-12-31]", None, datetime.max.replace(tzinfo=UTC)),
        ("meta./day:[2025 TO 2026-06-30]", day("2025-01-01"), day("2026-06-30T23:59:59.999999")),
        ("meta./year:[2025 TO 2026]", 2025, 2026),
        ("meta./age:>3", 3, None),
        ('meta./lot:["A 1" TO c\\ d]', "a 1", "c d"),
        ("meta./lot:>=B33", "b33", None),
    ],
)  # fmt: skip
def test_a_bound_is_a_number_a_time_or_in_metadata_a_text(
    text: str, low: Bound | None, high: Bound | None
) -> None:
    found = parse(text)
    assert isinstance(found, Term) and isinstance(found.test, Between)
    assert (found.test.low, found.test.high) == (low, high)


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("meta./a/b:x", "/a/b"),
        ("meta/a/b:x", "/a/b"),
        ("meta.a.b:x", "/a/b"),
        ("mnfst_metadata.a.b:x", "/a/b"),
        (r"meta.a\.b:x", "/a.b"),
        (r"meta.a\/b:x", "/a~1b"),
        (r"meta./a\ b:x", "/a b"),
        (r"meta./a\:b:x", "/a:b"),
        (r"meta.a\*:x", "/a*"),
        ("meta.a~b:x", "/a~0b"),
        ("meta./a~1b:x", "/a~1b"),
        ('"meta./cell line":x', "/cell line"),
        ('"meta.cell line.id":x', "/cell line/id"),
        ("meta.größe:x", "/größe"),
        ("_exists_:meta.a", "/a"),
        ('_exists_:"meta./a b"', "/a b"),
        ("meta:x", ""),
    ],
)
def test_a_field_of_metadata_is_named_by_dots_or_by_a_json_pointer(text: str, pointer: str) -> None:
    found = parse(text)
    assert isinstance(found, Term) and found.field is not None
    assert (found.field.name, found.pointer) == ("meta", pointer)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name:(a OR (b c))", 'name:"a" OR (name:"b" AND name:"c")'),
        ("name:(a GO:12)", 'name:"a" AND name:"GO:12"'),
        ("meta:(a b)", 'meta:"a" AND meta:"b"'),
        ("size:(>1MB <=5MB)", "size:{1000000 TO *] AND size:[* TO 5000000]"),
        ("size:([1 TO 2] OR 5)", "size:[1 TO 2] OR size:[5 TO 5]"),
        ("ext:(csv OR *.tsv)", 'ext:"csv" OR ext:"tsv"'),
        ("message:(* -x)", 'message:* AND NOT (message:"x")'),
    ],
)
def test_a_field_stands_before_each_term_in_its_parentheses(text: str, wanted: str) -> None:
    assert shown(parse(text)) == wanted


@pytest.mark.parametrize("scope", SCOPES)
def test_every_field_is_known_by_its_name_and_its_aliases(scope: Scope) -> None:
    names = named(scope)
    for one in fields_of(scope):
        assert names[one.name] is one
        for alias in one.aliases:
            assert alias == alias.lower()
            # A name of this scope stands before another's alias.
            assert names[alias] is one or alias in {other.name for other in fields_of(scope)}
        found = parse(example_of(one), scope)
        assert isinstance(found, Term) and found.field is one
    assert all(one.scopes for one in FIELDS)


@given(
    st.text('a b"\\*:()/.~é', min_size=1).map(lambda name: "/" + name.replace("~", "~0").replace("/", "~1"))
)
def test_a_field_is_spelled_as_it_can_be_written(pointer: str) -> None:
    found = parse(f"{spelled((named('packages')['meta'], pointer))}:x")
    assert isinstance(found, Term) and found.pointer == pointer


def test_terms_are_told_in_order_and_those_below_not_on_request() -> None:
    query = parse("a (b OR NOT c) -d")
    assert [one.written for one in terms(query)] == ["a", "b", "c", "d"]
    assert [one.written for one in terms(query, negated=False)] == ["a", "b"]
    assert list(terms(EVERYTHING)) == []


def test_words_are_runs_of_letters_and_digits_in_lower_case() -> None:
    assert tokens("Sample_R01.fastq-GZ 日本語 ½ x²") == ("sample", "r01", "fastq", "gz", "日本語", "½", "x²")
    assert lowered("ΑΣ İ ẞ") == "ας".replace("ς", "σ") + " i ß"


_PIECES = [
    *"abR0*?/\\()[]{}\"'+-!&|<>=:.~^ \0é日İ",
    *(" AND ", " OR ", " NOT ", " TO ", "and", "now-7d", "2026", "2026-01-31", "1MB", " mb", "10:00", "https://"),
    *("name:", "size:", "modified:", "meta:", "meta./a:", "meta.a.b:", "ext:", "path:", "entries:", "workflow:", "_exists_:"),
    *("size:>1", "[1 TO 2]", "[a TO *}", "{* TO 3]", "/R0[12]+/", '"x y"', "*.csv", "\\*", "meta./d:[2025 TO 2026-01]"),
]  # fmt: skip
_QUERIES = st.lists(st.sampled_from(_PIECES), max_size=14).map("".join)


@given(st.text(max_size=300) | _QUERIES, st.sampled_from(SCOPES))
@example("size:1e300PB", "packages")
@example("meta./a:>" + "9" * 3_900, "packages")
@example("(" * MOST, "packages")
@example("NOT " * (MOST // 4), "packages")
@example("/" + "(" * 1_500 + ")" * 1_500 + "/", "packages")
@example("~" + "1" * 3_900 + "x", "packages")
@example("/" * MOST, "packages")
@example('"' + "\\" * 3_999, "packages")
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str, scope: Scope) -> None:
    try:
        query = parse(text, scope)
    except InvalidQuery as error:
        assert 0 <= error.details["at"] <= len(text)
        assert error.next_step
        error.message.encode()
        str(error.details).encode()
    else:
        for term in terms(query):
            assert text[term.at :].startswith(term.written)


_WORD = st.text("abzR0é日_-.", min_size=1, max_size=6).filter(
    lambda text: text[0] not in "-" and bool(tokens(text))
)
_TERMS = st.one_of(
    _WORD,
    _WORD.map("{}*".format),
    _WORD.map('"{} x"'.format),
    st.sampled_from(["name:", "message:", "ext:", "meta./a/b:", "meta:", "path:", "workflow:"]).flatmap(
        lambda name: _WORD.map(name.__add__)
    ),
    st.sampled_from(
        ["size:>1MB", "size:{1 TO 5]", "modified:2026-01", "modified:[* TO 2026}", "meta./a:[b TO c]", "meta.n:<=2.5"]
    ),
    st.sampled_from([r"/a\/b\\\/c/", "/R0[12]+/", "name:/^lab/", "_exists_:meta.x", "name:*", "*", r'"meta./a\"b":x']),
)  # fmt: skip
_TREES = st.recursive(
    _TERMS.filter(lambda text: text.upper() not in ("AND", "OR", "NOT", "TO")),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' OR '.join(parts)})"),
        inner.map("NOT {}".format),
    ),
    max_leaves=8,
)


@given(_TREES)
def test_a_query_that_is_printed_means_the_same(text: str) -> None:
    query = parse(text)
    assert meaning(parse(printed(query))) == meaning(query)


@given(_QUERIES)
def test_whatever_can_be_read_can_be_printed_and_read_again(text: str) -> None:
    try:
        query = parse(text)
    except InvalidQuery:
        return
    again = printed(query)
    assert meaning(parse(again)) == meaning(query), again
