"""Our checker of arguments agrees with a full JSON Schema validator on the schemas that are listed, but that it takes no other
properties than theirs, which they do not say (decision 025)."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools import TOOLS
from quilt_mcp.tools.arguments.schema import check

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 700_000)
    | st.floats()
    | st.text(max_size=8)
    | st.just("auto"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.just("from"), inner, max_size=3)
    ),
    max_leaves=6,
)


def value_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly what the schema asks for, sometimes not."""
    kind = schema.get("type")
    if "enum" in schema:
        good: st.SearchStrategy[Any] = st.sampled_from(schema["enum"])
    elif kind == "array":
        good = st.lists(value_of(schema["items"]), max_size=3)
    elif kind == "object" and "properties" in schema:
        good = object_of(schema)
    else:
        good = {
            "string": st.text(max_size=8),
            "integer": st.integers(-1, 1_001),
            "boolean": st.booleans(),
            "object": st.dictionaries(st.text(max_size=4), ANY, max_size=3),
        }[kind]
    return st.one_of(good, good, good, good, ANY)


def object_of(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: value_of(part) for name, part in schema["properties"].items()}
    required = {name: known[name] for name in schema.get("required", ())}
    mostly = st.fixed_dictionaries(
        required, optional={name: one for name, one in known.items() if name not in required}
    )
    return st.one_of(
        mostly, mostly, mostly, st.dictionaries(st.sampled_from([*known, "other"]), ANY, max_size=3)
    )


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """With no other properties than those that each object lists."""
    parts = {name: closed(part) for name, part in schema.get("properties", {}).items()}
    more = {"properties": parts, "additionalProperties": False} if parts or "properties" in schema else {}
    items = {"items": closed(schema["items"])} if "items" in schema else {}
    return {**schema, **more, **items}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
@given(data=st.data())
def test_what_we_refuse_is_what_the_schema_refuses(spec: Any, data: st.DataObject) -> None:
    schema = spec.input_schema()
    arguments = data.draw(object_of(schema))
    valid = jsonschema.Draft202012Validator(closed(schema)).is_valid(arguments)
    try:
        checked = check(schema, arguments)
    except InvalidArgument as error:
        assert not valid, error.message
        assert error.message and error.next_step
    else:
        assert valid
        assert {name: checked[name] for name in arguments} == arguments
        for name, part in schema["properties"].items():
            assert name in checked or "default" not in part


def test_a_default_is_filled_in_inside_lists_too() -> None:
    schema = {
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}},
            }
        },
    }
    assert check(schema, {"items": [{}, {"n": 4.0}]}) == {"items": [{"n": 3}, {"n": 4}]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"package": "a/b", "limt": 3}, "The argument limt is not known. Did you mean limit?"),
        ({"package": "a/b", "limit": "3 "}, "The argument limit must be a whole number, not '3 '."),
        ({"package": "a/b", "limit": True}, "The argument limit must be a whole number, not True."),
        ({"package": "a/b", "limit": 5_000}, "The argument limit is 5000."),
        ({"package": {}}, "The argument package must be text, not an object."),
        ({"package": "a/b", "limit": 10**5_000}, "The argument limit is a huge number."),
    ],
)
def test_a_refusal_names_the_argument_and_the_fault(arguments: dict[str, Any], said: str) -> None:
    browse = next(one for one in TOOLS if one.name == "package_browse")
    with pytest.raises(InvalidArgument) as caught:
        browse.understand(arguments)
    assert caught.value.message == said
