"""Configurations of Tabulator tables: what they say, what is refused and where, and patterns that are hostile."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.tabulator import NamePattern, TabulatorTable, parse_table
from quilt_mcp.errors import TabulatorInvalid

DOCUMENTED = r"""
schema:
  - name: name  # must match ^[a-z_][a-z0-9_]*$
    type: STRING
  - {name: length, type: INT, nullable: false}
  - {name: tpm, type: FLOAT}
source:
  type: quilt-packages
  package_name: "^ccle/(?<date>[^_]+)_(?<study_id>[^_]+)_nfcore_rnaseq$"
  logical_key: "salmon/(?P<sample_id>[^/]+)/quant*\\.genes\\.sf$"
parser:
  format: csv
  delimiter: "\t"
  header: true
continue_on_error: true
"""


def parse(text: str | bytes) -> TabulatorTable:
    return parse_table("t", text, "t.yaml")


def changed(**more: Any) -> str:
    """The documented one with other parts; None: without."""
    config = yaml.safe_load(DOCUMENTED) | more
    return yaml.safe_dump({key: value for key, value in config.items() if value is not None})


def source(**more: str) -> dict[str, str]:
    return {"type": "quilt-packages", "package_name": ".*", "logical_key": ".*", **more}


def test_the_documented_configuration_is_read() -> None:
    table = parse(DOCUMENTED)
    assert [(one.name, one.engine_type, one.is_nullable) for one in table.columns] == [
        ("name", "VARCHAR", True),
        ("length", "INTEGER", False),
        ("tpm", "FLOAT", True),
    ]
    assert (table.form, table.delimiter, table.has_header, table.continues) == ("csv", "\t", True, True)
    assert table.groups == ("date", "study_id", "sample_id")
    assert table.package.match("ccle/2024-01-02_x1_nfcore_rnaseq") == ("2024-01-02", "x1")
    assert table.package.match("ccle/2024_nfcore_rnaseq") is None
    assert table.key.match("star/salmon/S7/quant.genes.sf") == ("S7",)
    assert [name for name, _ in table.described()][-5:] == [
        "$pkg_name",
        "$logical_key",
        "$physical_key",
        "$top_hash",
        "$issue",
    ]
    plain = parse(changed(parser={"format": "csv"}, continue_on_error=None))
    assert (plain.delimiter, plain.has_header, plain.continues) == (",", False, False)


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("schema: [", "/", "YAML"),
        ("a: &a [x]\nb: " + str([["*a"] * 300]).replace("'", ""), "/", "aliases"),
        ("- a", "/", "no object"),
        (changed(schema=None), "/", "lacks 'schema'"),
        (changed(schema=[]), "/schema", "no list of columns"),
        (changed(continue_on_eror=True), "/", "no 'continue_on_eror'"),
        (changed(continue_on_error="yes"), "/continue_on_error", "neither true nor false"),
        (changed(schema=[{"name": "a", "type": "string"}]), "/schema/0/type", "'string'"),
        (changed(schema=[{"name": "a", "type": "UUID"}]), "/schema/0/type", "'UUID'"),
        (changed(schema=[{"name": "a b", "type": "INT"}]), "/schema/0/name", "no name"),
        (changed(schema=[{"name": True, "type": "INT"}]), "/schema/0/name", "no name"),
        (changed(schema=[{"name": "a", "type": "INT"}, {"name": "A", "type": "INT"}]), "/", "'A' names two"),
        (changed(schema=[{"name": "date", "type": "INT"}]), "/", "'date' names two"),
        (changed(source=source(type="s3")), "/source/type", "'s3'"),
        (changed(source=source(bucket="b")), "/source", "no 'bucket'"),
        (changed(source=source(package_name="(")), "/source/package_name", "RE2"),
        (changed(source=source(logical_key="(?=x)")), "/source/logical_key", "look-around"),
        (changed(source=source(logical_key=r"(a)\1")), "/source/logical_key", "back-references"),
        (changed(source=source(logical_key="x" * 2_001)), "/source/logical_key", "2,000"),
        (changed(source=source(logical_key="[a-z]{990}[é-ü]{990}")), "/source/logical_key", "too large"),
        (changed(parser={"format": "json"}), "/parser/format", "'json'"),
        (changed(parser={"format": "csv", "delimiter": "||"}), "/parser/delimiter", "one character"),
        (changed(parser={"format": "csv", "delimiter": '"'}), "/parser/delimiter", "quotes"),
        (changed(parser={"format": "csv", "header": 1}), "/parser/header", "neither"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, at: str, said: str) -> None:
    with pytest.raises(TabulatorInvalid, match=said) as caught:
        parse(text)
    assert caught.value.code == "tabulator_config"
    assert caught.value.details == {"table": "t", "at": at, "origin": "t.yaml"}
    assert "t.yaml" in caught.value.next_step


def test_a_near_word_is_told() -> None:
    with pytest.raises(TabulatorInvalid) as caught:
        parse(changed(continue_on_eror=True))
    assert "Did you mean continue_on_error?" in caught.value.next_step
    with pytest.raises(TabulatorInvalid) as caught:
        parse(changed(schema=[{"name": "a", "type": "string"}]))
    assert "Write it as STRING." in caught.value.next_step


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)x", "(a*)*b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    """By an engine that walks back, none of these would end."""
    assert NamePattern(pattern).match("a" * 1_024 + "!") is None


@pytest.mark.parametrize(
    ("pattern", "beginning"),
    [
        ("^lab/(?<year>[0-9]+)", "lab/"),
        ("^lab/x$", "lab/x"),
        ("^lab/x?y", "lab/"),
        ("^a|b", ""),
        ("^ab|ac", ""),
        ("^?abc", ""),
        ("lab/", ""),
        ("(?i)^lab/", ""),
        (r"^experiments/(?<year>\d{4})/", "experiments/"),
    ],
)
def test_a_pattern_tells_what_its_names_begin_with(pattern: str, beginning: str) -> None:
    assert NamePattern(pattern).beginning() == beginning


_PIECES = st.sampled_from(
    ["a", "b", "/", "^", "$", "?", "*", "+", "|", "(", ")", "(?i)", ".", "é", "{2}", "[ab]"]
)


@given(st.lists(_PIECES, max_size=7).map("".join), st.text("abAB/é", max_size=6))
def test_no_name_that_fits_begins_otherwise(pattern: str, name: str) -> None:
    try:
        found = NamePattern(pattern)
    except ValueError:
        return
    if found.match(name) is not None:
        assert name.startswith(found.beginning())
