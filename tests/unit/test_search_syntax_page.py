"""The page of syntax: made of the fields, and of examples that are read while it is built."""

from __future__ import annotations

import re

import pytest

from quilt_mcp.domain.search.query.field import FIELDS
from quilt_mcp.domain.search.request import SCOPES
from quilt_mcp.errors import InvalidQuery
from quilt_mcp.tools import syntax
from quilt_mcp.tools.syntax import Example, syntax_page, table


def test_every_field_and_every_alias_stands_on_the_page() -> None:
    page = syntax_page()
    for one in FIELDS:
        row = f"| `{one.name}` | {', '.join(one.scopes)} |"
        assert row in page and one.says in page
        assert all(f"`{alias}`" in page for alias in one.aliases)
    assert all(f"`scope: {scope}`" in page for scope in SCOPES)


def test_a_model_reads_the_page_in_nine_kilobytes() -> None:
    assert len(syntax_page().encode()) <= 9_000


def test_the_page_is_not_built_with_an_example_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "_JOINED", (Example("a and b", "nothing"),))
    with pytest.raises(InvalidQuery):
        syntax_page()


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a",), [("x|y\nz",)]) == ["| a |", "|---|", "| x\\|y z |"]


def test_a_note_stands_below_the_title() -> None:
    assert re.match(r"# [^\n]+\n\n<!-- x -->\n\n", syntax_page(note="<!-- x -->"))
