"""Workflows by themselves: bounds on hostile configurations, and what is said of a fault. Semantics: tests/interop."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.plan import UNSET
from quilt_mcp.domain.workflows import patterns
from quilt_mcp.domain.workflows.patterns import UnsafePattern, search
from quilt_mcp.domain.workflows.rules import WorkflowRules, check, parse_config, select
from quilt_mcp.errors import InvalidArgument, QuiltError, WorkflowConfigInvalid, WorkflowFailed

_CONFIG = b'version: "1"\nworkflows:\n  alpha: {name: A}\n  beta: {name: B, handle_pattern: ^b/}\n'


def run(schema: Any, meta: Any, *, entries: tuple[Entry, ...] = (), what: str = "metadata") -> None:
    rules = WorkflowRules("w", schemas=(("s", "s3://b/s"),), **{f"{what}_schema": "s"})
    check(
        rules,
        name="a/b",
        message=None,
        user_meta=meta,
        entries=entries,
        schemas={"s": json.dumps(schema).encode()},
    )


@pytest.mark.parametrize(
    ("bomb", "why"),
    [
        (b"a: &a [*a]", "nested more than"),
        (b"[" * 10_000, "nested too deeply"),
        (b"{a: " * 60 + b"1" + b"}" * 60, "nested more than"),
        (b"#" * 300_000, "at most"),
        (
            b"a: &a0 [x,x,x,x,x,x,x,x]\n"
            + b"".join(b"b%d: &a%d [%b]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 8)) for i in range(1, 9)),
            "once its aliases",
        ),
        (b"[&a 1" + b", *a" * 300 + b"]", "aliases"),
        (
            b"a0: &a0 {x: 1, y: 2}\n"
            + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d]}\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
            "merge keys",
        ),
        (b"\xff\xfe", "utf-8"),
        (b"!!python/name:os.system {}", "constructor"),
    ],
)
def test_a_bomb_in_the_configuration_is_refused_at_once(bomb: bytes, why: str) -> None:
    with pytest.raises(WorkflowConfigInvalid, match=re.compile(why, re.IGNORECASE)) as refused:
        parse_config(bomb)
    assert "config.yml" in refused.value.next_step


@given(st.binary(max_size=100) | st.text("{}[]:,-&*!<\"' \nab1", max_size=60).map(str.encode))
def test_any_configuration_is_read_or_refused(data: bytes) -> None:
    try:
        parse_config(data)
    except QuiltError as error:
        assert isinstance(error, WorkflowConfigInvalid)


def test_a_workflow_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(InvalidArgument, match="did you mean 'alpha'") as refused:
        select(parse_config(_CONFIG), "alhpa")
    assert refused.value.details["workflows"] == ["alpha", "beta"]
    assert "'beta'" in refused.value.next_step


def test_a_required_workflow_that_was_not_given_is_answered_with_the_choice() -> None:
    with pytest.raises(WorkflowFailed) as refused:
        select(parse_config(_CONFIG), UNSET)
    assert "'alpha', 'beta'" in refused.value.next_step


def test_a_remote_configuration_cannot_name_local_schemas() -> None:
    config = parse_config(
        b'version: "1"\nworkflows: {w: {name: W, metadata_schema: m}}\nschemas: {m: {url: file:///etc/passwd}}\n'
    )
    assert select(config, "w") is not None
    with pytest.raises(WorkflowConfigInvalid, match="local file"):
        select(config, "w", config_is_local=False)


def test_the_workflows_are_listed() -> None:
    first, second = parse_config(_CONFIG + b"default_workflow: beta\n").listings()
    assert (first.id, first.name, first.is_default) == ("alpha", "A", False)
    assert (second.id, second.handle_pattern, second.is_default) == ("beta", "^b/", True)


def test_a_fault_in_metadata_is_told_with_its_place_and_rule() -> None:
    schema = {
        "properties": {"samples": {"items": {"properties": {"a/b": {"type": "integer"}}}}},
        "required": ["owner"],
    }
    with pytest.raises(WorkflowFailed) as refused:
        run(schema, {"samples": [{}, {"a/b": "x"}]})
    assert "/samples/1/a~1b" in refused.value.message
    assert refused.value.details["pointer"] == "/samples/1/a~1b"
    assert refused.value.details["rule"] == "/properties/samples/items/properties/a~1b/type"
    assert [fault["rule"] for fault in refused.value.details["faults"]][1] == "/required"


def test_a_fault_in_entries_is_told_with_the_logical_key() -> None:
    entries = (Entry("ok", "p", 1, Hash("SHA256", "0")), Entry("data/big.csv", "p", 9, Hash("SHA256", "0")))
    with pytest.raises(WorkflowFailed, match=r"/1/size \(the entry 'data/big.csv'\)"):
        run({"items": {"properties": {"size": {"maximum": 5}}}}, UNSET, entries=entries, what="entries")


def test_a_fault_does_not_repeat_a_huge_value() -> None:
    with pytest.raises(WorkflowFailed) as refused:
        run({"type": "object"}, ["x" * 100_000])
    assert len(refused.value.message) < 1000


def test_an_entry_stream_is_left_alone_where_no_schema_asks_for_it() -> None:
    def never():
        raise AssertionError("read")
        yield

    check(WorkflowRules("w"), name="a/b", message=None, user_meta=UNSET, entries=never(), schemas={})


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"patternProperties": {"^(a+)+$": False}},
        {"propertyNames": {"pattern": "^(a|a)*$"}},
    ],
)
def test_a_pattern_that_backtracks_without_end_is_answered_in_time(schema: Any) -> None:
    text = "a" * 5000 + "!"
    value: Any = text if "pattern" in schema else {text: 1}
    if "patternProperties" in schema:
        run(schema, value)
        with pytest.raises(WorkflowFailed):
            run(schema, {"a" * 5000: 1})
    else:
        with pytest.raises(WorkflowFailed):
            run(schema, value)


def test_the_first_of_several_additional_properties_is_the_first_in_the_metadata() -> None:
    names = [f"{letter}{letter}" for letter in "qwertyuiop"]
    with pytest.raises(WorkflowFailed) as refused:
        run({"additionalProperties": {"type": "string"}}, dict.fromkeys(names, 1))
    assert refused.value.details["pointer"] == "/qq"
    with pytest.raises(WorkflowFailed, match="'qq', 'ww', 'ee'"):
        run({"additionalProperties": False}, dict.fromkeys(names, 1))


def test_additional_properties_are_told_by_bounded_patterns_too() -> None:
    schema = {"patternProperties": {"^(a+)+$": True}, "additionalProperties": False}
    with pytest.raises(WorkflowFailed, match="aaa!"):
        run(schema, {"a" * 100 + "!": 1})


@pytest.mark.parametrize("pattern", ["(a+)+(?=b)", r"(a+)+\1", "(?>a+)+b+c*" + "a*" * 40 + r"\Z"])
def test_a_pattern_that_no_engine_bounds_is_a_fault_of_the_configuration(pattern: str) -> None:
    with pytest.raises(WorkflowConfigInvalid, match="pattern"):
        run({"pattern": pattern}, "a" * 3000)


_PIECES = [*"abé1-/.^$|", r"\w", r"\d", "[ab]", "[^a]", r"[\w-]", "(a|b)", "(?:ab)", "x{2}", "a{1,2}"]
_NOT_REPEATED = ("^", "$", "|", "x{2}", "a{1,2}")
_REPEATS = ["", "*", "+", "?", "*?"]


@given(
    st.lists(
        st.tuples(st.sampled_from(_PIECES), st.sampled_from(_REPEATS)).filter(
            lambda p: p[0] not in _NOT_REPEATED or not p[1]
        ),
        max_size=5,
    ),
    st.text("abé1-/.x\n", max_size=12),
)
@example([("a", ""), ("$", "")], "a\n")
@example([("^", ""), (r"[\w-]", "+"), ("$", "")], "é1-b")
def test_the_linear_engine_finds_what_pythons_finds(pieces: list[tuple[str, str]], text: str) -> None:
    pattern = "".join(atom + repeat for atom, repeat in pieces)
    assert patterns._linear_search(pattern, text) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "nested"),
    [
        ("^(a+)+$", True),
        ("(a|aa)*", True),
        ("((a?)b?)*", True),
        ("(?:x*)*", True),
        ("(a|b){40}", True),
        ("^[a-z]+-[a-z]+/[a-z0-9]+$", False),
        ("[(a+)+]*", False),
        (r"\(a+\)+", False),
        ("(abc)*", False),
        ("(?P<n>abc)+", False),
    ],
)
def test_repeats_within_repeats_are_recognised(pattern: str, nested: bool) -> None:
    assert patterns._shape(pattern)[2] is nested


def test_a_pattern_beyond_all_measure_is_refused() -> None:
    with pytest.raises(UnsafePattern, match="longer than"):
        search("a" * 3000, "a")


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (b" " * 1_000_001, "at most"),
        (b"[" * 100_000, "nested"),
        (b'{"not":' * 150 + b"{}" + b"}" * 150, "nested"),
        (b"\xff", "not JSON"),
        (b'{"$ref": "#"}', r"\$ref"),
        (b'{"properties": {"x": {"pattern": "("}}}', "pattern"),
        (b'{"patternProperties": {"(": {}}}', "patternProperties|pattern"),
    ],
)
def test_a_schema_beyond_its_bounds_is_refused(schema: bytes, why: str) -> None:
    rules = WorkflowRules("w", metadata_schema="s", schemas=(("s", "s3://b/s"),))
    with pytest.raises(WorkflowConfigInvalid, match=why) as refused:
        check(rules, name="a/b", message=None, user_meta={"x": "y"}, entries=(), schemas={"s": schema})
    assert refused.value.details["schema"] == "s"


def test_a_costly_pattern_is_not_tried_on_text_without_bound() -> None:
    with pytest.raises(UnsafePattern, match="longer than"):
        search("^(a+)+$", "a" * 3_000_000)
