"""No answer exceeds the response budget, for any data; what was cut is said, and can be had (C17)."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import mcp_types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import Connect, Place, result

from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.results.envelope import (
    Answer,
    Block,
    clean,
    cut_text,
    error_reply,
    fit,
    json_text,
    reply,
)

TEXT = st.text(st.characters(exclude_categories=()))
"""Lone surrogates too, which JSON of a hostile manifest can hold and UTF-8 cannot."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXT, inner, max_size=6),
    max_leaves=40,
)


def tokens(answer: types.CallToolResult) -> float:
    """As documented: 4 bytes each, of the text blocks or of the structured content, whichever are more."""
    texts = sum(len(block.text.encode()) for block in answer.content if isinstance(block, types.TextContent))
    compact = json.dumps(answer.structured_content, ensure_ascii=False, separators=(",", ":"))
    return max(texts, len(compact.encode())) / 4


@pytest.mark.sampled(1)
@pytest.mark.anyio
async def test_a_page_ends_at_a_record_and_its_cursor_goes_on_there(connect: Connect) -> None:
    """200 entries of 600 bytes of metadata do not fit; all of them come, once each, in order."""
    paths: list[str] = []
    cursor: str | None = None
    pages = 0
    async with connect(QUILT_MCP_MAX_RESPONSE_TOKENS="6000") as client:
        while True:
            given_cursor = {} if cursor is None else {"cursor": cursor}
            answer = await client.call_tool(
                "package_browse", {"package": "demo/large", "recursive": True, "limit": 1000, **given_cursor}
            )
            assert not answer.is_error
            assert tokens(answer) <= 6_000
            paths += [one["path"] for one in answer.structured_content["data"]["entries"]]
            pages += 1
            cursor = answer.structured_content["page"]["next_cursor"]
            said = [
                one for one in answer.structured_content.get("warnings", []) if one.startswith("shortened: ")
            ]
            assert len(said) == (cursor is not None)
            if cursor is None:
                break
    assert len(paths) == len(set(paths)) == 201
    assert paths[1:] == [f"some/rather/long/folder/name/number-{number:04d}.txt" for number in range(200)]
    assert pages > 5


@pytest.mark.sampled(1)
@pytest.mark.anyio
async def test_metadata_too_large_for_an_answer_is_cut_and_can_be_read_in_parts(
    connect: Connect, place: Place
) -> None:
    uri = place.uri("demo/large", "some/rather/long/folder/name/number-0007.txt")
    async with connect(QUILT_MCP_MAX_RESPONSE_TOKENS="10000") as client:
        answer = await client.call_tool(
            "package_browse",
            {"package": "demo/large", "path": "some/rather/long/folder/name/number-0007.txt"},
        )
        assert tokens(answer) <= 10_000
        assert (
            answer.structured_content["data"]["entries"][0]["path"]
            == "some/rather/long/folder/name/number-0007.txt"
        )
        assert any("object_read" in one and "info" in one for one in answer.structured_content["warnings"])
        text, offset = "", 0
        while True:
            part = await client.call_tool("object_read", {"uri": uri, "mode": "info", "offset": offset})
            assert tokens(part) <= 10_000
            data = part.structured_content["data"]
            text += data["metadata_text"]
            if "next_offset" not in data:
                break
            offset = data["next_offset"]
        assert json.loads(text) == {"huge": ["y" * 100] * 3000}
        read = await result(client, "object_read", uri=uri)
        assert read["data"]["text"] == "one\n" * 10
        assert any(one.startswith("metadata_left_out") for one in read["warnings"])


@pytest.mark.sampled(1)
@pytest.mark.anyio
async def test_content_of_any_kind_stays_in_the_budget(connect: Connect, place: Place) -> None:
    files = {
        "controls.txt": "\x01\x02\u202e" * 40_000,
        "quotes.txt": '"\\' * 60_000,
        "astral.txt": "\U0001f600" * 40_000,
        "plain.bin": "\0" * 200_000,
    }
    folder = place.here / "budget"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    async with connect(QUILT_MCP_MAX_RESPONSE_TOKENS="3000") as client:
        for name, content in files.items():
            for mode in ("auto", "text", "bytes", "info"):
                uri = (folder / name).as_uri()
                answer = await client.call_tool("object_read", {"uri": uri, "mode": mode})
                assert not answer.is_error
                assert tokens(answer) <= 3_000, (name, mode)
                data = answer.structured_content["data"]
                if "text" in data:
                    assert data["text"] and printable(content).startswith(data["text"])
                    assert printable(content.encode()[: data["next_offset"]].decode()) == data["text"]


@given(JSON, st.lists(JSON, max_size=30), st.integers(4_000, 40_000))
def test_any_answer_fits_any_budget(value: Any, records: list[Any], budget: int) -> None:
    for size in (1, 200):
        data = {"value": [value] * size, "records": [{"meta": one} for one in records * size]}
        made = reply(Answer(data, uri="quilt+file:///r#package=a/b", records=("records",)), budget)
        while isinstance(made, int):
            assert 1 <= made < len(data["records"])
            data = {**data, "records": data["records"][:made]}
            made = reply(Answer(data, uri="quilt+file:///r#package=a/b", records=("records",)), budget)
        body = json.dumps(
            made.structured, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        assert max(len(body), sum(len(block.body.encode()) for block in made.blocks)) <= budget
        assert {"data", "page"} <= set(made.structured)


HIDING = ("Cc", "Cf", "Zl", "Zp", "Cs")


@given(st.text(st.characters(categories=HIDING) | st.characters()))
def test_nothing_that_hides_or_acts_on_a_terminal_is_left_in_text(text: str) -> None:
    """Unicode's controls and formats, apart from a few that scripts need to be written (joiners of numbers and verses)."""
    for shown in (json_text(clean(text)), printable(text)):
        left = {char for char in shown if unicodedata.category(char) in HIDING} - {"\n", "\t"}
        assert all("\u0600" <= char <= "\u08e2" or ord(char) > 0x1_0000 for char in left)
        assert not {char for char in left if 0xE0000 <= ord(char) <= 0xE0FFF}
    assert json.loads(json_text(clean(text))) == clean(text)


@given(st.text(max_size=200_000), JSON)
def test_any_error_is_short(text: str, value: Any) -> None:
    error = InvalidArgument(text * 20, next_step=text, details={"value": [value] * 500, "text": text})
    made = error_reply(error, 100_000)
    assert len(json.dumps(made.structured).encode("utf-8")) <= 60_000
    assert len(made.text.encode()) <= 60_000


@given(JSON)
def test_cleaned_values_are_json_that_every_client_reads(value: Any) -> None:
    made = clean(value)
    text = json.dumps(made, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode("utf-8")) == made
    assert json.loads(json_text(made)) == made


def test_nesting_without_end_is_cut_off() -> None:
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = [deep]
    assert "nested too deeply" in json_text(clean(deep))


@given(st.text(), st.integers(0, 100))
def test_a_cut_text_says_how_much_is_missing(text: str, most: int) -> None:
    cut = cut_text(text, most)
    if cut != text:
        kept, _, rest = cut.rpartition("... [")
        assert text.startswith(kept)
        assert int(rest.split()[0]) == len(text) - len(kept)


@given(JSON, st.integers(100, 2_000))
def test_fitting_keeps_the_type_and_the_room(value: Any, room: int) -> None:
    made = clean(value)
    fitted = fit(made, room)
    assert type(fitted) is type(made)
    assert len(json.dumps(fitted, ensure_ascii=False).encode("utf-8", "replace")) <= max(room * 2, 200)


def test_an_answer_with_a_picture_counts_the_picture() -> None:
    made = reply(Answer({"size": 1}, blocks=(Block("image", "A" * 900, "image/png"),)), 4_000)
    assert not isinstance(made, int)
    assert made.blocks[1].kind == "image"
