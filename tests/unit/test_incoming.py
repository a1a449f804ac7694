"""A line of a client is a message, or an error for whoever asked; whatever it holds, it is one of the two."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.server.incoming import Unreadable, read_message

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | VALUES,
        "id": st.integers() | TEXTS | VALUES,
        "method": st.just("tools/call") | VALUES,
        "params": st.dictionaries(TEXTS, VALUES, max_size=3) | VALUES,
        "result": VALUES,
    },
)


@given(FIELDS | VALUES)
def test_case_P1_each_value_is_a_message_or_refused_and_a_request_is_always_answered(value: Any) -> None:
    line = json.dumps(value).encode()
    try:
        message = read_message(line)
    except Unreadable as refused:
        answers = [json.loads(one) for one in refused.answers]
    else:
        message.model_dump_json()
        return
    assert all(one["error"]["code"] in (-32600, -32700) and one["error"]["message"] for one in answers)
    if (
        isinstance(value, dict)
        and isinstance(value.get("method"), str)
        and isinstance(value.get("id"), int | str)
    ):
        number = None if isinstance(value["id"], bool) else value["id"]
        assert [one["id"] for one in answers] == [number]


@given(FIELDS, st.integers(1, 200))
def test_case_P1_a_line_cut_short_is_refused_with_its_own_id_or_none(value: dict[str, Any], cut: int) -> None:
    line = json.dumps(value).encode()[:-cut]
    try:
        read_message(line)
    except Unreadable as refused:
        for one in map(json.loads, refused.answers):
            assert one["id"] is None or one["id"] == value["id"]


@given(st.binary(max_size=60))
def test_case_P1_any_bytes_are_a_message_or_refused(line: bytes) -> None:
    try:
        read_message(line)
    except Unreadable as refused:
        assert len(refused.answers) <= 20
