"""Every tool, with inputs that keep to its schema and inputs that break it: an answer or an error with a code and a next
step, within the budget; never a traceback, never a hang (C16). In read-only mode nothing on disk changes (C13)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import Place

from quilt_mcp import errors
from quilt_mcp.config import Settings
from quilt_mcp.session import Session
from quilt_mcp.tools import TOOLS, resources
from quilt_mcp.tools.results.envelope import Reply, weight
from quilt_mcp.tools.spec import ToolSpec

CODES = {
    one.code for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.QuiltError)
} - {"internal_error"}
WORDS = (
    "demo/flowers",
    "demo/flowers:latest",
    "demo/nothing",
    "fuzz/one",
    "fuzz/two",
    "README.md",
    "data/",
    "data/flowers.csv",
    "source/1",
    "source/1/",
    "source/**/*.csv",
    "../..",
    "..",
    "/",
    "/etc/passwd",
    "~",
    "",
    ".",
    "a\0b",
    "\ud800",
    "\u202e",
    "%2e%2e/x",
    "x" * 300,
    "s3://bucket/key",
    "quilt+s3://bucket#package=a/b&path=c",
    "file:///etc/passwd",
    "file://host/x",
    "quilt+file:///#package=a/b",
    "latest",
    "0" * 64,
    "abcdef",
    "eyJhIjogMX0",
    "*",
    "[",
    "auto",
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def words(place: Place) -> tuple[str, ...]:
    flowers = place.hashes["demo/flowers"]
    return (
        *WORDS,
        place.url,
        str(place.here),
        f"{place.here}/fuzzed",
        f"{place.here.as_uri()}/fuzzed.txt",
        f"demo/flowers@{flowers[0]}",
        f"demo/flowers@{flowers[0][:6]}",
        flowers[-1],
        place.uri("demo/flowers"),
        place.uri("demo/flowers", "README.md"),
        place.uri("demo/odd", "binary.bin"),
        place.uri("demo/outside", "there.txt"),
        place.uri("demo/large", "some/"),
    )


def value_of(schema: dict[str, Any], known: tuple[str, ...]) -> st.SearchStrategy[Any]:
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if "enum" in schema:
        good: st.SearchStrategy[Any] = st.sampled_from(schema["enum"])
    elif kind == "array":
        good = st.lists(value_of(schema["items"], known), max_size=3)
    elif kind == "object" and "properties" in schema:
        good = object_of(schema, known)
    else:
        good = {
            "string": st.sampled_from(known) | st.text(max_size=20),
            "integer": st.integers(0, 30) | st.integers(),
            "boolean": st.booleans(),
            "object": st.dictionaries(st.sampled_from(known), ANY, max_size=3),
        }[kind]
    return st.one_of(good, good, good, good, good, ANY)


def object_of(schema: dict[str, Any], known: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    parts = {name: value_of(part, known) for name, part in schema["properties"].items()}
    required = {name: parts[name] for name in schema.get("required", ())}
    mostly = st.fixed_dictionaries(
        required, optional={name: one for name, one in parts.items() if name not in required}
    )
    return st.one_of(
        mostly, mostly, mostly, mostly, st.dictionaries(st.sampled_from([*parts, "x"]), ANY, max_size=4)
    )


@pytest.fixture(scope="module")
def arguments_of(place: Place) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    """By tool. To make a strategy anew for each example takes longer than to draw from it."""
    known = words(place)
    return {spec.name: object_of(spec.input_schema(), known) for spec in TOOLS}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def sessions(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Session]:
    """Small budgets find more; writes go to a registry of their own."""
    scratch = tmp_path_factory.mktemp("fuzz")
    common: dict[str, Any] = {
        "roots": (place.here,),
        "cache_dir": scratch / "cache",
        "max_response_tokens": 2_000,
    }
    return {
        False: Session(Settings(default_registry=str(place.registry), **common)),
        True: Session(Settings(default_registry=str(scratch / "registry"), allow_write=True, **common)),
    }


WITH_AND_WITHOUT_WRITES = pytest.mark.parametrize(
    ("spec", "writes"),
    [
        pytest.param(spec, writes, id=f"{spec.name}-{'writing' if writes else 'reading'}")
        for spec in TOOLS
        for writes in (False, True)
        if writes or not spec.writes
    ],
)
"""A tool that writes does the same without writes, up to the check of its arguments, and then refuses."""


def standing(*folders: Path) -> str:
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            found.update(str(path).encode())
            if path.is_file():
                found.update(path.read_bytes())
    return found.hexdigest()


def hold(spec: ToolSpec, arguments: Any, reply: Reply, budget: int) -> None:
    wire = json.dumps(reply.structured, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert json.loads(wire) == reply.structured
    assert weight(reply) <= budget
    for block in reply.blocks:
        block.body.encode("utf-8")
    jsonschema.Draft202012Validator(spec.output_schema()).validate(reply.structured)
    if reply.is_error:
        error = reply.structured["error"]
        assert error["code"] in CODES, (arguments, error)
        assert error["message"] and error["next_step"], (arguments, error)
        assert "Traceback" not in reply.text


@pytest.mark.sampled(1)
@WITH_AND_WITHOUT_WRITES
@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_any_input_gets_an_answer_or_an_error_to_act_on(
    spec: ToolSpec,
    writes: bool,
    data: st.DataObject,
    sessions: dict[bool, Session],
    runner: asyncio.Runner,
    arguments_of: dict[str, st.SearchStrategy[dict[str, Any]]],
) -> None:
    session = sessions[writes]
    arguments = data.draw(arguments_of[spec.name])
    reply = runner.run(asyncio.wait_for(session.call(spec.name, arguments), 60))
    hold(spec, arguments, reply, session.settings.response_bytes())


def test_nothing_that_the_read_only_server_was_asked_changed_a_byte(
    sessions: dict[bool, Session], runner: asyncio.Runner, place: Place
) -> None:
    """The whole corpus of words, into every tool, with dry runs off."""
    before = standing(place.registry, place.here)
    for spec in TOOLS:
        for word in words(place):
            arguments = {name: word for name, part in spec.arguments.items() if part.get("type") == "string"}
            arguments |= {"dry_run": False} if "dry_run" in spec.arguments else {}
            reply = runner.run(session_call(sessions[False], spec.name, arguments))
            hold(spec, arguments, reply, 8_000)
    assert standing(place.registry, place.here) == before


RESOURCE_PARTS = (
    "default",
    "demo",
    "flowers",
    "demo%2Fflowers",
    "file%3A%2F%2F%2F",
    "..",
    "%2e%2e",
    "README.md",
    "s3:",
    "",
    "a@b",
    "%00",
)


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_any_resource_address_is_read_or_refused(
    data: st.DataObject, sessions: dict[bool, Session], runner: asyncio.Runner, place: Place
) -> None:
    part = st.sampled_from((*RESOURCE_PARTS, *words(place))) | st.text(max_size=8)
    address = "quilt://" + "/".join(data.draw(st.lists(part, min_size=1, max_size=5)))
    variable, typed = data.draw(st.sampled_from(["registry", "package", "path", "other"])), data.draw(part)
    known = data.draw(st.dictionaries(st.sampled_from(["registry", "package", "path"]), part))

    async def ask() -> None:
        call = await sessions[False].open_call()
        try:
            body = await resources.read(call, address)
            assert len((body.text or "").encode()) + len(body.data or b"") <= 8_000
        except errors.QuiltError as error:
            assert error.code in CODES
            assert error.message and error.next_step
        try:
            values, _ = await resources.complete(call, variable, typed, known)
            assert len(values) <= 100
        except errors.QuiltError as error:
            assert error.code in CODES

    runner.run(asyncio.wait_for(ask(), 60))


async def session_call(session: Session, name: str, arguments: dict[str, Any]) -> Reply:
    return await asyncio.wait_for(session.call(name, arguments), 60)
