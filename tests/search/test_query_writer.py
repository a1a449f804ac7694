"""What a stack is asked for a query: the text of its query string and the filters beside it, or why it cannot be asked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from parts.stack.search.query_string import parse
from quilt_mcp.catalog.search.query_writer import Asked, asked_of_stack
from quilt_mcp.domain.search.query.parse import parse_query
from quilt_mcp.domain.search.request import Scope
from quilt_mcp.errors import NotSupported

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def asked(query: str, scope: Scope = "packages") -> Asked:
    found = asked_of_stack(parse_query(query, scope, NOW), scope)
    parse(found.text)  # which the grammar of Lucene takes
    return found


def filters(found: Asked) -> list[tuple[Any, ...]]:
    return [(one.column, one.operator, *one.values) for one in found.conditions]


CSV = r"/.*[^.\/]\.[Cc][Ss][Vv]/"


@pytest.mark.parametrize(("query", "text"), [
    ("", ""),
    ("*", ""),
    ("* organoid", "organoid"),
    ("* OR organoid", ""),
    ("NOT *", "(*:* AND NOT *:*)"),
    ("R01", "R01"),
    ('"AND"', '"AND"'),
    ('"brain organoid"', '"brain organoid"'),
    ("RNA-seq", '"RNA-seq"'),
    (r"a\"b\\c", r'"a\"b\\c"'),
    ("数据", '"数据"'),
    ("R0*", "r0*"),
    ("*fastq*", "*fastq*"),
    ("*ÄU", "*äu"),
    ("a OR b OR a", "(a OR b)"),
    ("name:organoid", "ptr_name.text:organoid"),
    ("name:organoid*", r"ptr_name:/(.*\/)?[Oo][Rr][Gg][Aa][Nn][Oo][Ii][Dd][^\/]*(\/.*)?/"),
    ("name:lab*/", r"ptr_name:/(.*\/)?[Ll][Aa][Bb][^\/]*\/.*/"),
    ("name:a/b/c*", r"ptr_name:/[Aa]\/[Bb]\/[Cc][^\/]*/"),
    ("name:x OR message:y", "(ptr_name.text:x OR mnfst_message:y)"),
    ("message:(a OR b) meta:c", "((mnfst_message:a OR mnfst_message:b) AND mnfst_metadata:c)"),
    ("NOT message:draft", "(_exists_:mnfst_hash AND NOT mnfst_message:draft)"),
    ("NOT name:old", "(_exists_:ptr_name AND NOT ptr_name.text:old)"),
    ("NOT (NOT organoid)", "organoid"),
    ("NOT (message:a meta:b)", "(_exists_:mnfst_hash AND NOT (mnfst_message:a AND mnfst_metadata:b))"),
    ("NOT (message:a name:b)", "((_exists_:mnfst_hash AND NOT mnfst_message:a) OR (_exists_:ptr_name AND NOT ptr_name.text:b))"),
    ("_exists_:message", "_exists_:mnfst_message"),
    ("_exists_:ptr_name", "_exists_:ptr_name"),
    ("workflow:Alpha-1", r"mnfst_workflow.id:/[Aa][Ll][Pp][Hh][Aa]\-1/"),
    ("workflow:a*", "mnfst_workflow.id:/[Aa].*/"),
    ("hash:12*ab", "mnfst_hash:/12.*[Aa][Bb]/"),
    ("hash:12 OR hash:AB", "(mnfst_hash:12* OR mnfst_hash:ab*)"),
    ("path:R01", "entry_lk.text:R01"),
    ("path:*.csv", r"entry_lk:/(.*\/)?[^\/]*\.[Cc][Ss][Vv](\/.*)?/"),
    ("path:raw*/", r"entry_lk:/(.*\/)?[Rr][Aa][Ww][^\/]*\/.*/"),
    ("path:a/**/b?", r"entry_lk:/[Aa]\/([^\/]+\/)*[Bb][^\/]/"),
    ("path:a*/b", r"entry_lk:/[Aa][^\/]*\/[Bb](\/.+)?/"),
    ("path:a/**", r"entry_lk:/[Aa]\/.+/"),
    (r"path:a\*b*", r"entry_lk:/(.*\/)?[Aa]\*[Bb][^\/]*(\/.*)?/"),
    ("ext:csv", f"entry_lk:{CSV}"),
    ("ext:.CSV", f"entry_lk:{CSV}"),
    ("ext:csv file_size:>=10 path:raw", f"(entry_lk:{CSV} AND entry_size:[10 TO *] AND entry_lk.text:raw)"),
    ("(path:raw ext:csv) OR message:x", f"((entry_lk.text:raw AND entry_lk:{CSV}) OR mnfst_message:x)"),
    ("(path:a path:b) path:c", "((entry_lk.text:a AND entry_lk.text:b) AND entry_lk.text:c)"),
    ("file_meta:A1", "entry_metadata:A1"),
    ("file_hash:AB12", "entry_hash.value:ab12*"),
    ("physical_key:s3", "entry_pk.text:s3"),
    ("size:>1MB OR entries:<5", "(mnfst_stats.total_bytes:[1000001 TO *] OR mnfst_stats.total_files:[* TO 4])"),
    ("NOT size:[1.5 TO 2.5}", "(_exists_:mnfst_hash AND NOT mnfst_stats.total_bytes:[2 TO 2])"),
    ("modified:2026-03-04 OR x", '(ptr_last_modified:["2026-03-04T00:00:00.000Z" TO "2026-03-04T23:59:59.999Z"] OR x)'),
    ("modified:>2026-03-04 OR x", '(ptr_last_modified:["2026-03-05T00:00:00.000Z" TO *] OR x)'),
    ("modified:<2026-03-04 OR x", '(ptr_last_modified:[* TO "2026-03-03T23:59:59.999Z"] OR x)'),
    ("modified:>9999 OR x", '(ptr_last_modified:["9999-12-31T23:59:59.999Z" TO *] OR x)'),
])  # fmt: skip
def test_a_query_over_packages_is_written_as_text(query: str, text: str) -> None:
    found = asked(query)
    assert (found.text, found.conditions, found.warnings) == (text, (), ())


@pytest.mark.parametrize(("query", "text", "beside"), [
    ("name:lab/*", "", [("name", "wildcard", "lab/*")]),
    ("organoid name:lab/**", "organoid", [("name", "wildcard", "lab/*")]),
    ("organoid size:>1MB", "organoid", [("size", ">=", 1_000_001)]),
    ("size:(>1MB <5MB) x", "x", [("size", ">=", 1_000_001), ("size", "<=", 4_999_999)]),
    ("size:>1 size:>2 message:x", "mnfst_stats.total_bytes:[3 TO *]", [("size", ">=", 2), ("message", "words", "x")]),
    ("entries:[2 TO 6] R01", "R01", [("entries", ">=", 2), ("entries", "<=", 6)]),
    ("R01 (ext:csv OR entries:3)", None, None),
    ("organoid message:\"first run\"", "organoid", [("message", "words", '"first run"')]),
    ("name:lab message:run*", "ptr_name.text:lab", [("message", "words", "run*")]),
    ("hash:1220AB x", "x", [("hash", "wildcard", "1220ab*")]),
    ("modified:>now-7d x", "x", [("modified", ">=", "2026-06-23T12:00:00.001Z")]),
    ("meta./age:>3", "", [("/age", ">=", 3.0000000000000004)]),
    ("meta./age:[3 TO 5]", "", [("/age", ">=", 3), ("/age", "<=", 5)]),
    ("meta./day:>=2026-01", "", [("/day", ">=", "2026-01-01T00:00:00.000Z")]),
    ("ext:csv meta./age:<3", f"entry_lk:{CSV}", [("/age", "<=", 2.9999999999999996)]),
    ("path:a (size:1 x)", None, None),
])  # fmt: skip
def test_what_must_hold_beside_the_text_is_a_filter(
    query: str, text: str | None, beside: list[Any] | None
) -> None:
    if text is None:
        with pytest.raises(NotSupported):
            asked(query)
        return
    found = asked(query)
    assert (found.text, filters(found)) == (text, beside)


@pytest.mark.parametrize(("query", "text"), [
    ("R01", "R01"),
    ("a b", "(a AND b)"),
    ("a NOT b", "(a AND (_exists_:key AND NOT key_text:b))"),
    ("NOT (a NOT b)", "(_exists_:key AND NOT (key_text:a AND (_exists_:key AND NOT key_text:b)))"),
    ("path:R01", "key_text:R01"),
    ("path:results/**", r"key:/[Rr][Ee][Ss][Uu][Ll][Tt][Ss]\/.+/"),
    ("ext:csv", "ext:.csv"),
    ("ext:fastq.gz", r"key:/.*[^.\/]\.[Ff][Aa][Ss][Tt][Qq]\.[Gg][Zz]/"),
    ("size:>1MB OR modified:<2026", '(size:[1000001 TO *] OR last_modified:[* TO "2025-12-31T23:59:59.999Z"])'),
])  # fmt: skip
def test_a_query_over_objects_is_written_whole(query: str, text: str) -> None:
    """Each is one document, of which all can be asked."""
    assert asked(query, "objects") == Asked(text)


@pytest.mark.parametrize(("query", "term", "instead"), [
    ("x /R0[12]/", "/R0[12]/", "R0*"),
    ("path:/a+/", "path:/a+/", "R0*"),
    ("R0?", "R0?", "R0*"),
    ("confocal*fastq", "confocal*fastq", "path:*a*b*"),
    ("数据*", "数据*", "engine=local"),
    ("readme:x", "readme:x", "without a field"),
    ("NOT column:x", "column:x", "without a field"),
    ("NOT organoid", "organoid", "NOT message:word"),
    ("a NOT ext:bam", "ext:bam", "NOT message:word"),
    ("NOT (ext:bam path:raw)", "ext:bam", "NOT message:word"),
    ("NOT (message:a OR name:b)", "name:b", "Name each field once"),
    ("organoid ext:tif", "ext:tif", "path:word"),
    ("path:a meta:b", "meta:b", "where"),
    ("x OR (path:a entries:>3)", "entries:>3", "where"),
    ("workflow:alpha organoid", "organoid", "where"),
    ("path:a (path:b message:c)", "message:c", "where"),
    ("(a OR message:b) (c OR message:d)", "c", "where"),
    ("path:a (* path:b)", "path:b", "where"),
    ("meta:\"cell line\"", 'meta:"cell line"', "meta:B33"),
    ("file_meta:user", "file_meta:user", "file_meta:B33"),
    ("file_meta./well:A1", "file_meta./well:A1", "file_meta:word"),
    ("meta./lot:B33 OR x", "meta./lot:B33", "meta:word"),
    ("meta./age:42", "meta./age:42", "[42 TO 42]"),
    ("meta./flag:true", "meta./flag:true", "where"),
    ("meta./lot:b?3", "meta./lot:b?3", "where"),
    ("meta./lot:[a TO b]", "meta./lot:[a TO b]", "where"),
    ("_exists_:meta./lot", "_exists_:meta./lot", "where"),
    ("_exists_:meta", "_exists_:meta", "what it should hold"),
    ("ext:tif*", "ext:tif*", "path:*.tif*"),
    ("ext:a.b", "ext:a.b", "path:*.tif*"),
])  # fmt: skip
def test_what_no_stack_can_be_asked_is_refused_with_what_to_write_instead(
    query: str, term: str, instead: str
) -> None:
    with pytest.raises(NotSupported) as raised:
        asked(query)
    error = raised.value
    assert error.details == {"term": term, "at": query.index(term)}
    assert term in error.message and instead in error.next_step
    assert "engine=local" in error.next_step and "syntax=stack" in error.next_step


@pytest.mark.parametrize(("query", "text", "shown"), [
    ("brain organoid", "(brain AND organoid)", "(brain, organoid)"),
    ("(a b) OR c", "((a AND b) OR c)", "(a, b)"),
    ("a b c d e size:>1", "(a AND b AND c AND d AND e)", "(a, b, c, d...)"),
])  # fmt: skip
def test_words_side_by_side_are_asked_of_one_place_and_that_is_told(
    query: str, text: str, shown: str
) -> None:
    found = asked(query)
    assert found.text == text
    [said] = found.warnings
    assert said.startswith("same_document: ") and shown in said and "engine=local" in said


def test_a_word_at_a_pointer_is_looked_for_right_there_and_that_is_told() -> None:
    found = asked("meta./assay/lot:B33 meta./assay/kit:b3*")
    assert filters(found) == [("/assay/lot", "words", "B33"), ("/assay/kit", "words", "b3*")]
    assert [one.partition(":")[0] for one in found.warnings] == ["one_value", "one_value"]


@pytest.mark.parametrize(("query", "scope", "is_told"), [
    ("entry_lk:data/*", "packages", True),
    ("key:results/*", "objects", True),
    ("key:results/*/x", "objects", True),
    ("key:*a/b.csv", "objects", True),
    ("key:results/**", "objects", False),
    ("key:*.csv", "objects", False),
    ("path:results/*", "objects", False),
])  # fmt: skip
def test_who_writes_the_stacks_own_field_is_told_that_a_star_stays_within_a_folder(
    query: str, scope: Scope, is_told: bool
) -> None:
    said = asked(query, scope).warnings
    assert bool(said) == is_told and all(re.match(r"one_folder: .*\*\*", one) for one in said)
