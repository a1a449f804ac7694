"""C16 and C13 through a stack: every tool of an administrator without AWS credentials, with inputs that keep to its schema and
inputs that break it; in read-only mode, and in a dry run, the stack is told to change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import PlaceOnS3
from test_fuzz import WITH_AND_WITHOUT_WRITES, hold, object_of, words
from test_fuzz_s3 import FEWER

from parts.s3_access import S3Access
from parts.stack import Stack, quilt_stack
from parts.stack.faults import no_credentials
from quilt_mcp.catalog.graph import document, documents
from quilt_mcp.config import Settings
from quilt_mcp.session import Session
from quilt_mcp.tools import TOOLS
from quilt_mcp.tools.results.envelope import Reply
from quilt_mcp.tools.spec import ToolSpec

pytestmark = pytest.mark.xdist_group("a place on S3")  # which quilt3 takes some seconds to fill

CHANGES = frozenset(name for name in documents() if document(name).lstrip().startswith("mutation"))
READS = frozenset({"BrowsingSessionCreate"})
"""Mutations in form, which every reading of bytes makes (C13 exempts them)."""


@pytest.fixture(scope="module")
def stack(moto: S3Access, place_on_s3: PlaceOnS3) -> Iterator[Stack]:
    with quilt_stack(moto, [place_on_s3.url.removeprefix("s3://")]) as made:
        made.add_user("ada", admin=True)
        made.fault(no_credentials())
        yield made


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def arguments_of(place_on_s3: PlaceOnS3) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    known = words(place_on_s3)
    return {spec.name: object_of(spec.input_schema(), known) for spec in TOOLS}


@pytest.fixture(scope="module")
def sessions(
    stack: Stack, place_on_s3: PlaceOnS3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[bool, Session]]:
    """By whether it writes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place_on_s3.variables.items():
            patch.setenv(name, value)
        common: dict[str, Any] = {
            "catalog_url": stack.url,
            "api_key": stack.api_key("ada"),
            "default_registry": place_on_s3.url,
            "roots": (place_on_s3.here,),
            "max_response_tokens": 2_000,
        }
        yield {
            writes: Session(
                Settings(allow_write=writes, cache_dir=tmp_path_factory.mktemp("fuzz-stack"), **common)
            )
            for writes in (False, True)
        }


def ask(runner: asyncio.Runner, session: Session, spec: ToolSpec, arguments: Any) -> Reply:
    async def call() -> Reply:
        return await asyncio.wait_for(session.call(spec.name, arguments), 60)

    reply = runner.run(call())
    hold(spec, arguments, reply, session.settings.response_bytes())
    return reply


def changes(stack: Stack) -> list[str]:
    told = [str(one["operation"]) for one in stack.requests()]
    return [name for name in told if name in CHANGES - READS]


@pytest.mark.nightly
@WITH_AND_WITHOUT_WRITES
@FEWER
@given(data=st.data())
def test_any_input_gets_an_answer_or_an_error_to_act_on(
    spec: ToolSpec,
    writes: bool,
    data: st.DataObject,
    sessions: dict[bool, Session],
    runner: asyncio.Runner,
    arguments_of: dict[str, st.SearchStrategy[dict[str, Any]]],
    stack: Stack,
) -> None:
    arguments = data.draw(arguments_of[spec.name])
    stack.forget()
    ask(runner, sessions[writes], spec, arguments)
    if not writes or arguments.get("dry_run") is True:
        assert changes(stack) == []


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.nightly)])
def test_nothing_that_the_read_only_server_is_asked_changes_anything(
    every: int, sessions: dict[bool, Session], runner: asyncio.Runner, place_on_s3: PlaceOnS3, stack: Stack
) -> None:
    """Every action of administration, and the corpus of words into every tool (of six one, another for each tool), with dry runs
    off."""
    stack.forget()
    for number, spec in enumerate(TOOLS):
        actions = spec.arguments.get("action", {}).get("enum", [None])
        for word in [*words(place_on_s3)][number % every :: every]:
            texts = {name: word for name, part in spec.arguments.items() if part.get("type") == "string"}
            texts |= {"dry_run": False} if "dry_run" in spec.arguments else {}
            for action in actions:
                ask(runner, sessions[False], spec, texts | ({"action": action} if action else {}))
    assert changes(stack) == []
