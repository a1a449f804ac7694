"""Queries that cannot be read, or would be misread: each error says where, and what to write instead."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quilt_mcp.domain.search.query.parse import MOST_DEPTH, MOST_TERMS, parse_query
from quilt_mcp.domain.search.query.term import Query
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.errors import InvalidQuery

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def parse(text: str, scope: Scope = "packages") -> Query:
    return parse_query(text, scope, NOW)


WRONG = [
    # operators
    ("a and b", 2, "no operator", "a AND b"),
    ("a Or b", 2, "no operator", "a OR b"),
    ("not a", 0, "no operator", "a NOT b"),
    ("name:NOT x", 5, "no operator", "whole terms"),
    ("name:(a or b)", 8, "no operator", '"or"'),
    ("AND a", 0, "joins nothing", "before it"),
    ("a (|| b)", 3, "joins nothing", "before it"),
    ("a NOT", 2, "nothing follows NOT", '"not"'),
    ("a &&", 2, "nothing follows &&", "leave it out"),
    ("a AND OR b", 2, "nothing follows AND", "follows it"),
    ("(a OR) b", 3, "nothing follows OR", "follows it"),
    ("--a", 0, "-- is no sign", "- for NOT"),
    ("a OR +b", 5, "+ asks for", "Leave + out"),
    ("a & b", 2, "no letter and no digit", "Write AND"),
    ("a | b", 2, "no letter and no digit", "Write OR"),
    ("a - b", 2, "no letter and no digit", "Write NOT"),
    ("a||b", 1, "inside a word", "OR"),
    # parentheses and quotation marks
    ("(a", 0, "not closed", "Close it: (a)"),
    ("x (a (b)", 2, "not closed", "Close it: (a (b))"),
    ("a)", 1, ") closes nothing", "(a)"),
    (")", 0, ") closes nothing", "Write a word"),
    ("()", 0, "nothing stands between", "between them"),
    ("name:( )", 5, "nothing stands between", "between them"),
    ("(a)b", 3, "a space should follow", "Put one"),
    ("plate(1)", 5, "a ( stands inside a word", r"\("),
    ("(" * (MOST_DEPTH + 2), MOST_DEPTH + 1, "nested more than", "flatter"),
    ("a " * (MOST_TERMS + 1), MOST_TERMS * 2, "more than 64 terms", "Ask for less"),
    ('"a', 0, "not closed", 'Close it: "a"'),
    ('a"b"', 1, "inside a word", r"\""),
    ('"a"b', 3, "a space should follow", "Put one"),
    ('"R0*"', 2, "no wildcard", "quotation marks out"),
    ("'a b'", 0, "no quotation mark", '"two words"'),
    ("“a b”", 0, "no quotation mark", '"two words"'),
    ("a\\", 1, "a backslash stands last", "two"),
    ("\\", 0, "a backslash stands last", "Write a word"),
    # words
    ("😀", 0, "no letter and no digit", "/a\\+b/"),
    ('""', 0, "no letter and no digit", "Write a word"),
    ("roam~", 4, "~ asks for what is alike", "wild*cards"),
    ("roam~0.8", 4, "~0.8 asks for", "OR between"),
    ("a^2", 1, "^2 asks for", "OR between"),
    ("(a b)^2", 5, "^2 asks for", "OR between"),
    ('"a b"~3', 5, "~3 asks for", "OR between"),
    ("a\0b", 1, "cannot be seen", "Remove it"),
    ("a \ufeffAND b", 2, "cannot be seen", "Remove it"),
    ("a\ud800", 1, "cannot be seen", "Remove it"),
    ("**", 0, "a pattern needs a letter", "R0*"),
    ("path:R0[12].csv", 7, "chooses no letters", "/R0[12]/"),
    ("R0[12]*", 2, "chooses no letters", "OR between"),
    ("a*" * 300, 0, "more than 500", "shorter"),
    (r"data\raw\x.csv", 4, "before a letter or a digit", "Write / between"),
    (r'"a \b"', 3, "before a letter or a digit", "two backslashes"),
    ("x -80C", 2, "may mean NOT or less than zero", "NOT before it"),
    ("size:(-5 OR 1)", 6, "may mean NOT or less than zero", "quotation marks"),
    # regular expressions
    ("/a(?=b)/", 0, "cannot be used", "RE2"),
    (r"/(a)\1/", 0, "cannot be used", "backreferences"),
    ("/((a{30}){30}){30}/", 0, "cannot be used", "shorten"),
    (r"/\pL{400}/", 0, "too large", "shorten"),
    ("/[/", 0, "cannot be used", "Mend"),
    ("/^a[0-9]+", 0, "does not end as one", "End it with"),
    ("/fastq/i", 0, "does not end as one", "no flags"),
    ("size:/x/", 5, "size is a number", "size:>1MB"),
    ("modified:/x/", 9, "modified is a time", "modified:>2026-01-31"),
    ("modified:2026*", 9, "modified is a time", "modified:>2026-01-31"),
    # fields
    ("nam:x", 0, "no field 'nam'", "Did you mean name?"),
    ("content:x", 0, "no field 'content'", "meta.content"),
    ("total_file:x", 0, "no field 'total_file'", "Did you mean total_files"),
    ("exists:x", 0, "no field 'exists'", "_exists_"),
    ("GO:0008150", 0, "no field 'GO'", "quotation marks"),
    ("größe:3", 0, "no field 'größe'", "meta.größe"),
    ("name.a:x", 0, "no field 'name.a'", "Did you mean name"),
    ("*:x", 0, "named by a pattern", "everywhere"),
    ("meta.*:x", 0, "named by a pattern", "meta:value"),
    ("meta.a/b:x", 0, "by dots and by slashes", "meta./a/b"),
    ("meta..a:x", 0, "names no field of metadata", "~1"),
    ("meta./a~b:x", 0, "names no field of metadata", "~0"),
    ("_exists_:foo", 9, "no field 'foo'", "meta.foo"),
    ("_exists_:", 9, "no field follows", "name"),
    ("_exists_:(a)", 9, "no field follows", "name"),
    ("_exists_:name\"x\"", 13, "a space should follow", "Put one"),
    ("name:", 0, "nothing follows the field name", "_exists_:name"),
    ("(name: )", 1, "nothing follows the field name", "_exists_:name"),
    ("name:(a ext:tif)", 8, "inside the parentheses of name", "Close those"),
    ("name:(a _exists_:x)", 8, "inside the parentheses of name", "Close those"),
    ("name:ext:csv", 5, "a field, ext, stands where", '"ext:csv"'),
    ("name :x", 5, "after no field", "field:value"),
    ("path://x", 0, "no value begins with //", "quotation marks around"),
    ("name : x", 5, "no letter and no digit", "field:value"),
    ("name:-x", 5, "between the field and its value", "NOT name:x"),
    ("name:!x", 5, "between the field and its value", "NOT name:x"),
    ("size>5", 0, "a : should stand", "size:>5"),
    ("size=5", 0, "a : should stand", "size:5"),
    ("name!=x", 0, "a : should stand", "NOT name:x"),
    ("entries>=5", 0, "a : should stand", "entries:>=5"),
    ("meta.age>3", 0, "a : should stand", "meta.age:>3"),
    ("meta./lot=B33", 0, "a : should stand", "meta./lot:B33"),
    ("age<=3", 0, "a : should stand", "age:<=3"),
    ("ext:csv,tsv", 7, ", joins no values", "ext:(csv OR tsv)"),
    ("ext:;", 4, "; joins no values", "ext:(csv OR tsv)"),
    # comparisons
    ("size > 5", 5, "> compares nothing", "size:>1MB"),
    ("size:>", 5, "nothing follows >", "size:>1MB"),
    ("size:>(1)", 5, "nothing follows >", "size:>1MB"),
    ("size:><5", 5, "nothing follows >", "size:>1MB"),
    ("size:!=5", 5, "!= is no sign", "NOT size:value"),
    ("size:==5", 5, "== is no sign", "size:value"),
    ("size:<>5", 5, "<> is no sign", "NOT size:value"),
    ("size:=>5", 5, "=> is no sign", ">="),
    ("size:1 MB", 7, "stands apart", "Write 1MB"),
    ("size:>1 MB", 8, "stands apart", "Write 1MB"),
    ("size:big", 5, "size is a number", "size:>1MB"),
    ("entries:>1k", 9, "entries is a number", "entries:>100"),
    ("name:>a", 6, "name is a text", "Compare numbers"),
    ("meta:>3", 6, "field by field, as meta./age:>3", "field of metadata"),
    ("meta./a:>1MB", 9, "as a text", "1000000"),
    ("meta./a:>2026-02-30", 9, "as a text", "a day that there is"),
    ("size:>5x", 6, "size is a number", "size:>1MB"),
    ('size:>"5"x', 9, "a space should follow", "Put one"),
    ('"meta./cell line":-x', 18, "between the field", 'NOT "meta./cell line":x'),
    ("meta./a:!=5", 8, "!= is no sign", "NOT meta./a:value"),
    ("meta./a:", 0, "nothing follows the field", "_exists_:meta./a"),
    # times
    ("modified:2026-02-30", 9, "modified is a time", "a day that there is"),
    ("modified:>soon", 10, "modified is a time", "now-7d"),
    ("modified:2026-01-01 10:00", 20, "apart from its day", "2026-01-01T10:00"),
    # ranges
    ("[1 TO 2]", 0, "a range needs a field", "size:[1MB TO 2MB]"),
    ("x {1 TO 2}", 2, "a range needs a field", "quotation marks"),
    ("size:1 TO 10", 7, "TO stands in no range", "[a TO b]"),
    ("size:[1 to 2]", 5, "no range", "TO in capital letters"),
    ("modified:[2026-01-01", 9, "no range", "modified:[2026-01-01 TO 2026-06-30]"),
    ("entries:[5]", 8, "no range", "entries:[1 TO 10]"),
    ("size:[1 TO 2]x", 13, "a space should follow", "Put one"),
    ("size:[1 TO x]", 11, "size is a number", "size:>1MB"),
    ("message:[a TO b]", 9, "message is a text", "Compare numbers"),
    ("meta./a:[1 TO b]", 8, "of two types", "two numbers"),
    ("meta./a:[b TO 2026-01-01]", 8, "of two types", "two times"),
    ("size:[5 TO 1]", 5, "nothing lies between 5 and 1", "size:[1 TO 5]"),
    ("modified:[2026-02 TO 2026-01}", 9, "nothing lies between", "[2026-01 TO 2026-02}"),
    ("meta./a:[b TO a]", 8, "nothing lies between b and a", "meta./a:[a TO b]"),
    ("size:{5 TO 5]", 5, "when the ends are left out", "size:[5 TO 5]"),
    ("modified:{2026 TO 2026}", 9, "when the ends are left out", "modified:[2026 TO 2026]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "at", "said", "next_step"), WRONG)
def test_what_cannot_be_read_is_an_error_with_its_place_and_the_next_step(
    text: str, at: int, said: str, next_step: str
) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse(text)
    assert said in caught.value.message
    assert next_step in str(caught.value.next_step)
    assert caught.value.details["at"] == at
    assert "at its end" in caught.value.message or f"at character {at + 1}, before" in caught.value.message


def test_an_unknown_field_tells_the_nearest_and_the_scope_that_has_it() -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse("message:x", "objects")
    assert "message is a field of searches over packages and entries" in str(caught.value.next_step)
    assert "meta" not in str(caught.value.next_step)
    with pytest.raises(InvalidQuery) as caught:
        parse("pth:x", "objects")
    assert caught.value.details["near"] == ["path"]


def test_a_query_too_long_is_refused_before_it_is_read() -> None:
    for text in ("(" * 10_000, '"' * 10_000, "a " * 10_000, "\\" * 10_000):
        with pytest.raises(InvalidQuery, match="more than 4,000"):
            parse(text)
