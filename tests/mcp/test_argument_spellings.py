"""Arguments as clients spell them: each spelling gives what the schema's own gives, and nothing is taken two ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools import TOOLS
from quilt_mcp.tools.arguments.coercion import ADDRESSES, HOST_EXTRAS, NEVER_EMPTY, coerce
from quilt_mcp.tools.arguments.schema import check
from quilt_mcp.tools.spec import ToolSpec

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=4)
    | st.sampled_from(["10", "true", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
TEXTS = st.text(min_size=1, max_size=8).filter(str.strip) | st.sampled_from(
    ["data/", "[a-c]*.csv", "{x}", "10", "true"]
)


def canonical(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What the schema asks for, in its own spelling."""
    match schema["type"]:
        case "string":
            return st.sampled_from(schema["enum"]) if "enum" in schema else TEXTS
        case "integer":
            return st.integers(schema.get("minimum", -99), schema.get("maximum", 9_999))
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(canonical(schema["items"]), max_size=3)
        case _ if "properties" in schema:
            parts = {name: canonical(part) for name, part in schema["properties"].items()}
            required = {name: parts.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(required, optional=parts)
        case _:
            return st.dictionaries(st.text(max_size=4), JSON, max_size=3)


def respelled(data: st.DataObject, schema: dict[str, Any], value: Any) -> Any:
    """The same as a client may send it."""
    kind = schema["type"]
    if kind in ("integer", "boolean"):
        return data.draw(st.sampled_from([value, json.dumps(value)]))
    if kind == "object":
        if "properties" in schema:
            value = with_nulls(data, schema, value)
        return data.draw(st.sampled_from([value, json.dumps(value)]))
    if kind != "array":
        return value
    item = schema["items"]
    items = [respelled(data, item, one) for one in value]
    spellings: list[Any] = [items]
    if all(isinstance(one, str) for one in items) or item["type"] == "object":
        spellings.append(json.dumps(items))
    if len(value) == 1 and (item["type"] == "object" or not is_json(value[0])):
        spellings.append(items[0])
    sole = item.get("required", ())
    if len(value) == 1 and len(sole) == 1 and set(value[0]) == set(sole) and not is_json(value[0][sole[0]]):
        spellings += [value[0][sole[0]], [value[0][sole[0]]]]
    return data.draw(st.sampled_from(spellings))


def with_nulls(data: st.DataObject, schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    absent = sorted(set(schema["properties"]) - set(value))
    nulls = dict.fromkeys(data.draw(st.lists(st.sampled_from(absent), unique=True)) if absent else ())
    empty = {name: "" for name in nulls if name in ADDRESSES and data.draw(st.booleans())}
    respelt = {name: respelled(data, schema["properties"][name], one) for name, one in value.items()}
    return {**nulls, **empty, **respelt}


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list | dict)
    except ValueError:
        return False


@pytest.mark.sampled(3)
@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
@given(data=st.data())
def test_every_spelling_gives_the_same_arguments(spec: ToolSpec, data: st.DataObject) -> None:
    schema = spec.input_schema()
    value = data.draw(canonical(schema))
    expected, said = spec.understand(value)
    assert said == ()
    assert expected == check(schema, value)
    sent = with_nulls(data, schema, value)
    others = [one for one in HOST_EXTRAS if one not in spec.arguments]
    extras = data.draw(st.lists(st.sampled_from(others), unique=True))
    found, said = spec.understand(sent | dict.fromkeys(extras, "x"))
    assert found == expected
    assert [one.partition(":")[0] for one in said] == ["ignored"] * bool(extras)
    assert all(name in said[0] for name in extras)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
@given(data=st.data())
def test_what_is_understood_is_what_the_schema_says_and_understood_again(
    spec: ToolSpec, data: st.DataObject
) -> None:
    """Whatever is sent: it is refused, or becomes arguments that the listed schema takes and that nothing changes any more."""
    schema = spec.input_schema()
    names = st.sampled_from([*schema["properties"], "sessionId", "other", "from"])
    sent = data.draw(st.dictionaries(names, JSON | JSON.map(json.dumps), max_size=4))
    sent |= {name: sent.get(name, "x") for name in schema.get("required", ())}
    try:
        found, _ = spec.understand(sent)
    except InvalidArgument as error:
        assert error.message
        assert error.next_step
        return
    assert jsonschema.Draft202012Validator(schema).is_valid(found)
    assert set(found) <= set(schema["properties"])
    assert coerce(schema, found, spec.former) == (found, ())
    for name, value in found.items():
        kept = schema["properties"][name]
        if (
            name in sent
            and type(sent[name]) is type(value)
            and not (kept["type"] == "array" or "properties" in kept)
        ):
            assert value == sent[name], name


def understood(tool: str, **arguments: Any) -> dict[str, Any]:
    return next(one for one in TOOLS if one.name == tool).understand(arguments)[0]


def test_null_is_absent_case_C1_and_clears_nothing_case_C2() -> None:
    plain = understood("package_patch", package="a/b", message="m", add=[{"from": "x"}])
    nulls = understood(
        "package_patch",
        package="a/b",
        message="m",
        registry=None,
        metadata=None,
        workflow=None,
        add=[{"from": "x", "to": None, "metadata": None, "include": None}],
    )
    assert nulls == plain
    assert "metadata" not in nulls
    with pytest.raises(InvalidArgument, match="package is missing"):
        understood("package_browse", package=None)


def test_null_inside_metadata_is_data() -> None:
    sent = {"metadata": {"gone": None, "n": "10"}, "entry_metadata": {"f": None}}
    found = understood("package_patch", package="a/b", **sent)
    assert {name: found[name] for name in sent} == sent
    assert understood("package_patch", package="a/b", metadata='{"gone": null}')["metadata"] == {"gone": None}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("data/", [{"from": "data/"}]),
        (["data/"], [{"from": "data/"}]),
        ({"from": "data/"}, [{"from": "data/"}]),
        ('["data/", {"from": "x", "to": null}]', [{"from": "data/"}, {"from": "x"}]),
        ('{"from": "data/", "include": "*.csv"}', [{"from": "data/", "include": ["*.csv"]}]),
        (['{"from": "data/"}'], [{"from": "data/"}]),
        ("[ab]*.csv", [{"from": "[ab]*.csv"}]),
        ("{a}.csv", [{"from": "{a}.csv"}]),
        ([], []),
    ],
)
def test_sources_are_understood_as_clients_send_them_case_C3(sent: Any, expected: Any) -> None:
    assert understood("package_create", package="a/b", sources=sent)["sources"] == expected


def test_a_list_of_texts_may_be_one_text_or_json() -> None:
    for sent in (["a"], "a", '["a"]'):
        assert understood("package_patch", package="a/b", remove=sent)["remove"] == ["a"]
    assert understood("package_patch", package="a/b", remove="[ab].csv")["remove"] == ["[ab].csv"]
    with pytest.raises(InvalidArgument, match="could be a list") as refused:
        understood("package_patch", package="a/b", remove="[12]")
    assert '["[12]"]' in refused.value.next_step


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        (
            "package_browse",
            {"package": "a/b", "limit": "10", "recursive": "true"},
            {"limit": 10, "recursive": True},
        ),
        ("package_browse", {"package": "a/b", "recursive": "False"}, {"recursive": False}),
        ("object_read", {"uri": "x", "offset": "0"}, {"offset": 0}),
    ],
)
def test_exact_spellings_of_numbers_and_switches_are_taken_case_C4(
    tool: str, arguments: Any, expected: Any
) -> None:
    found = understood(tool, **arguments)
    assert {name: found[name] for name in expected} == expected


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a number with a blank": ("package_browse", {"package": "a/b", "limit": " 10"}, "whole number"),
    "a number with zeros in front": ("package_browse", {"package": "a/b", "limit": "010"}, "whole number"),
    "a number that is not whole": ("package_browse", {"package": "a/b", "limit": "1.5"}, "whole number"),
    "no number": ("package_browse", {"package": "a/b", "limit": ""}, "whole number"),
    "a switch that is a word": ("package_browse", {"package": "a/b", "recursive": "yes"}, "true or false"),
    "a switch that is a number": ("package_browse", {"package": "a/b", "recursive": 1}, "true or false"),
    "a number for a text": ("package_browse", {"package": "a/b", "path": 2024}, "must be text"),
    "a text that is no object": ("package_patch", {"package": "a/b", "metadata": "x"}, "an object"),
    "JSON with a key twice": (
        "package_patch",
        {"package": "a/b", "metadata": '{"a": 1, "a": 2}'},
        "an object",
    ),
    "JSON with NaN": ("package_patch", {"package": "a/b", "metadata": '{"a": NaN}'}, "an object"),
    "JSON that is nested too deep": (
        "package_patch",
        {"package": "a/b", "metadata": "[" * 99_999},
        "an object",
    ),
    "a text for a pair": ("package_patch", {"package": "a/b", "rename": "a"}, "an object"),
    "a list of null": ("package_create", {"package": "a/b", "sources": [None]}, "an object"),
    "a number for a list": ("package_patch", {"package": "a/b", "remove": 3}, "a list"),
    "an empty guard, case_C6": ("package_patch", {"package": "a/b", "expected_top_hash": ""}, "is empty"),
    "a guard of blanks": ("package_patch", {"package": "a/b", "expected_top_hash": " "}, "is empty"),
    "an empty source, case_C6": ("package_create", {"package": "a/b", "sources": [{"from": ""}]}, "is empty"),
    "empty sources": ("package_create", {"package": "a/b", "sources": ""}, "is empty"),
    "an empty source in a list": ("package_create", {"package": "a/b", "sources": [""]}, "is empty"),
    "an empty package": ("package_browse", {"package": ""}, "package is missing"),
    "an unknown argument, case_C5": (
        "package_browse",
        {"package": "a/b", "session": "x"},
        "session is not known",
    ),
    "a host's extra inside": (
        "package_create",
        {"package": "a/b", "sources": [{"from": "x", "action": 1}]},
        "not known",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_could_mean_two_things_or_would_do_harm_is_refused(case: str) -> None:
    tool, arguments, said = REFUSED[case]
    with pytest.raises(InvalidArgument, match=said) as refused:
        understood(tool, **arguments)
    assert refused.value.next_step


def test_an_empty_optional_address_is_absent_case_C6() -> None:
    assert understood("package_browse", package="a/b", registry="", path="", cursor="") == understood(
        "package_browse", package="a/b"
    )
    assert not ADDRESSES & set(NEVER_EMPTY)


def test_an_empty_choice_of_rows_is_absent_case_C6() -> None:
    assert understood("object_read", uri="x", find="", rows="", where="", columns="") == understood(
        "object_read", uri="x"
    )


@pytest.fixture
def renamed() -> Callable[..., dict[str, Any]]:
    schema = {"type": "object", "properties": {"new": {"type": "number"}}}
    return lambda **sent: coerce(schema, sent, {"old": "new"})[0]


def test_a_former_name_goes_on_working(renamed: Callable[..., dict[str, Any]]) -> None:
    assert renamed(old="1.5") == renamed(new=1.5) == {"new": 1.5}
    assert renamed(old=None) == renamed(old=None, new=None) == {}
    assert renamed(old=1, new=None) == {"new": 1}
    with pytest.raises(InvalidArgument, match="former name of new"):
        renamed(old=1, new=1)


def test_former_names_are_not_listed_and_lead_to_listed_ones() -> None:
    for spec in TOOLS:
        assert set(spec.former.values()) <= set(spec.arguments)
        assert not set(spec.former) & set(spec.arguments)
