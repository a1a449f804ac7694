"""Workflows by themselves: bounds on hostile configurations, and what is said of a fault. Semantics: tests/interop."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema._utils import equal

from parts.workflows import check
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.plan import UNSET
from quilt_mcp.domain.workflows.rules import WorkflowRules, parse_config, select
from quilt_mcp.domain.workflows.schemas import schema_faults
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


@pytest.mark.sampled(5)
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
        (b"version: 1" + b":1" * 100_000, "number of more than 64"),
        (b"version: 0x" + b"f" * 4000, "number of more than 64"),
        (b"version: !!int '" + b"7" * 5000 + b"'", "number of more than 64"),
        (b"version: !!float '" + b"1:" * 5000 + b"1.0'", "number of more than 64"),
        (b"{version: '1." + b"7" * 5000 + b"', workflows: {w: {name: W}}}", "/version"),
        (b'{version: "' + rb"\ud800" + b"1" * 5000 + b'", workflows: {w: {name: W}}}', "config"),
    ],
    ids=lambda value: value[:20],
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


def test_a_name_that_is_refused_is_answered_with_the_workflows_that_take_it() -> None:
    pattern = "{name: N, handle_pattern: '%s'}"
    config = ["version: '1'", "workflows:", f"  w: {pattern % '^w/'}", f"  odd: {pattern % '(a+)+$'}"]
    with pytest.raises(WorkflowFailed) as refused:
        run_in("\n".join(config), "b/b")
    assert refused.value.next_step == "Choose a name that matches the pattern."
    with pytest.raises(WorkflowFailed) as refused:
        run_in("\n".join([*config, *(f"  z{number}: {pattern % '^b/'}" for number in range(11))]), "b/b")
    assert "this name: 'z0', " in refused.value.next_step and "'z9', .... " in refused.value.next_step


def run_in(config: str, name: str) -> None:
    rules = select(parse_config(config.encode()), "w")
    assert rules is not None
    check(rules, name=name, message="m", user_meta=UNSET, entries=(), schemas={})


def test_a_remote_configuration_cannot_name_local_schemas() -> None:
    config = parse_config(
        b'version: "1"\nworkflows: {w: {name: W, metadata_schema: m}}\nschemas: {m: {url: file:///etc/passwd}}\n'
    )
    assert select(config, "w") is not None
    with pytest.raises(WorkflowConfigInvalid, match="local file"):
        select(config, "w", config_is_local=False)


def test_the_workflows_are_listed() -> None:
    first, second = parse_config(_CONFIG + b"default_workflow: beta\n").listings({})
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
    assert refused.value.details["faults"][0]["pointer"] == "/samples/1/a~1b"
    assert [fault["keyword"] for fault in refused.value.details["faults"]] == [
        "/properties/samples/items/properties/a~1b/type",
        "/required",
    ]


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


def test_many_patterns_tell_additional_properties() -> None:
    """More of them than one pattern may be long."""
    schema = {
        "patternProperties": {f"^sample_{n:04}_": True for n in range(500)},
        "additionalProperties": False,
    }
    run(schema, {"sample_0499_a": 1})
    with pytest.raises(WorkflowFailed, match="sample_0500_a"):
        run(schema, {"sample_0500_a": 1})


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2, 0.0, 1.0, 1.5, -0.0, 2**53 + 1, float(2**53), "", "1"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("ab"), values, max_size=2),
    max_leaves=4,
)


@given(st.lists(_JSON, max_size=5))
@example([1, True])
@example([[1], [True], [1.0]])
@example([{"a": 1, "b": [0]}, {"b": [0.0], "a": 1.0}])
@example([{}, []])
def test_items_are_unique_where_no_two_of_them_are_equal_to_jsonschema(items: list[Any]) -> None:
    is_unique = not any(equal(one, other) for one, other in combinations(items, 2))
    if is_unique:
        run({"uniqueItems": True}, items)
    else:
        with pytest.raises(WorkflowFailed, match="non-unique"):
            run({"uniqueItems": True}, items)


def test_uniqueness_of_many_items_takes_time_by_their_number() -> None:
    """Each compared with each, these would take longer than a test may."""
    items = [{"logical_key": f"data/{n}.csv", "meta": {"n": n}} for n in range(60_000)]
    run({"uniqueItems": True}, items)
    with pytest.raises(WorkflowFailed, match="non-unique"):
        run({"uniqueItems": True}, [*items, items[0]])


@pytest.mark.parametrize("rule", [{"uniqueItems": True}, {"items": {"type": "object", "required": ["n"]}}])
def test_a_check_of_many_entries_can_be_cancelled(rule: dict[str, Any]) -> None:
    calls = 0

    def cancelled_soon() -> None:
        nonlocal calls
        calls += 1
        if calls > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schema_faults("s", rule, [{"n": n} for n in range(10_000)], cancelled_soon)
    assert calls == 101


def test_the_first_of_several_additional_properties_is_the_first_in_the_metadata() -> None:
    names = [f"{letter}{letter}" for letter in "qwertyuiop"]
    with pytest.raises(WorkflowFailed) as refused:
        run({"additionalProperties": {"type": "string"}}, dict.fromkeys(names, 1))
    assert refused.value.details["faults"][0]["pointer"] == "/qq"
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


@pytest.mark.sampled(4)
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
        (b'{"properties": {"y": {"pattern": "%b"}}}' % (b"(" * 900 + b")" * 900), "nested too deeply"),
        (b'{"properties": {"y": {"pattern": "(?i)%b"}}}' % (b"[!-\xf4\x8f\xbf\xbf]" * 50), "too wide"),
        (b'{"properties": {"y": {"pattern": "(?<=a+)"}}}', "look-behind"),
        (b'{"properties": {"x": {"pattern": "((((){1000}){1000}){1000}){1000}"}}}', "unbounded time"),
    ],
    ids=lambda value: value[:40],
)
def test_a_schema_beyond_its_bounds_is_refused(schema: bytes, why: str) -> None:
    rules = WorkflowRules("w", metadata_schema="s", schemas=(("s", "s3://b/s"),))
    with pytest.raises(WorkflowConfigInvalid, match=why) as refused:
        check(rules, name="a/b", message=None, user_meta={"x": "y"}, entries=(), schemas={"s": schema})
    assert refused.value.details["schema"] == "s"


def test_an_id_that_yaml_reads_as_no_text_is_told_with_who_can_mend_it_case_E8() -> None:
    config = parse_config(b"version: '1'\nworkflows:\n  no:\n    name: x\n")
    for asked in ("no", "False", UNSET, None):
        with pytest.raises((InvalidArgument, WorkflowFailed)) as caught:
            select(config, asked)
        assert "quotes" in caught.value.next_step and "false" in caught.value.next_step
        assert "did you mean" not in caught.value.message
