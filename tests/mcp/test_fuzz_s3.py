"""C16, C13 and C14 on S3: every tool of the IAM backend with inputs that keep to its schema and inputs that break it; in
read-only mode, and in a dry run, no request goes out that would change anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import PlaceOnS3
from test_fuzz import WITH_AND_WITHOUT_WRITES, hold, object_of, words

from parts.proxy import Proxy
from quilt_mcp.config import Settings
from quilt_mcp.session import Session
from quilt_mcp.tools import TOOLS, find
from quilt_mcp.tools.results.envelope import Reply
from quilt_mcp.tools.spec import ToolSpec

pytestmark = pytest.mark.xdist_group("a place on S3")  # which quilt3 takes some seconds to fill

FEWER = settings(
    max_examples=settings.default.max_examples // 5,
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
"""Of what a profile asks of a folder: here each example is some requests."""


@pytest.fixture(scope="module")
def arguments_of(place_on_s3: PlaceOnS3) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    known = words(place_on_s3)
    return {spec.name: object_of(spec.input_schema(), known) for spec in TOOLS}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def sessions(
    place_on_s3: PlaceOnS3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[bool, Session]]:
    """By whether it writes. The environment is the server's, as a user's would be."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place_on_s3.variables.items():
            patch.setenv(name, value)
        common: dict[str, Any] = {
            "backend": "iam",
            "default_registry": place_on_s3.url,
            "roots": (place_on_s3.here,),
            "max_response_tokens": 2_000,
        }
        yield {
            writes: Session(
                Settings(allow_write=writes, cache_dir=tmp_path_factory.mktemp("fuzz-s3"), **common)
            )
            for writes in (False, True)
        }


def ask(runner: asyncio.Runner, session: Session, spec: ToolSpec, arguments: Any) -> Reply:
    async def call() -> Reply:
        return await asyncio.wait_for(session.call(spec.name, arguments), 60)

    reply = runner.run(call())
    hold(spec, arguments, reply, session.settings.response_bytes())
    return reply


@pytest.mark.sampled(2)
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
    moto_proxy: Proxy,
) -> None:
    arguments = data.draw(arguments_of[spec.name])
    with moto_proxy.recording() as seen:
        ask(runner, sessions[writes], spec, arguments)
    if not (writes and spec.writes) or arguments.get("dry_run") is True:
        assert [str(exchange) for exchange in seen.mutating] == []


PACKAGE = {"package": "dry/run"}
CALLS: dict[str, dict[str, Any]] = {
    "package_create": {"package": "new/one", "files": [{"path": "f", "text": "1"}]},
    "package_patch": PACKAGE | {"files": [{"path": "f", "text": "1"}], "remove": ["README.md"]},
    "package_copy": PACKAGE | {"to": "new/copy"},
    "package_delete": PACKAGE | {"all": True},
    "package_install": PACKAGE | {"dest": "{here}/dry"},
    "object_put": {"uri": "{url}/new.txt", "text": "1"},
}
"""A call of each tool that writes, which does so unless it is kept from it."""


@pytest.fixture
def calls(
    sessions: dict[bool, Session], runner: asyncio.Runner, place_on_s3: PlaceOnS3
) -> dict[str, dict[str, Any]]:
    made = PACKAGE | {"files": [{"path": "README.md", "text": "# Dry"}], "overwrite": True}
    assert not ask(runner, sessions[True], find("package_create"), made).is_error

    def filled(value: Any) -> Any:
        return value.format(here=place_on_s3.here, url=place_on_s3.url) if isinstance(value, str) else value

    return {
        tool: {name: filled(value) for name, value in arguments.items()} for tool, arguments in CALLS.items()
    }


def test_nothing_that_the_read_only_server_is_asked_changes_anything(
    calls: dict[str, dict[str, Any]],
    sessions: dict[bool, Session],
    runner: asyncio.Runner,
    place_on_s3: PlaceOnS3,
    moto_proxy: Proxy,
) -> None:
    """Calls that would write, and the whole corpus of words into every tool, with dry runs off."""
    with moto_proxy.recording() as seen:
        for tool, arguments in calls.items():
            reply = ask(runner, sessions[False], find(tool), arguments)
            assert reply.structured["error"]["code"] == "read_only"
        for spec in TOOLS:
            for word in words(place_on_s3):
                arguments = {
                    name: word for name, part in spec.arguments.items() if part.get("type") == "string"
                }
                arguments |= {"dry_run": False} if "dry_run" in spec.arguments else {}
                ask(runner, sessions[False], spec, arguments)
    assert seen.total > 30
    assert [str(exchange) for exchange in seen.mutating] == []


@pytest.mark.parametrize("tool", CALLS)
def test_a_dry_run_of_each_writing_tool_sends_no_write(
    tool: str,
    calls: dict[str, dict[str, Any]],
    sessions: dict[bool, Session],
    runner: asyncio.Runner,
    place_on_s3: PlaceOnS3,
    moto_proxy: Proxy,
) -> None:
    with moto_proxy.recording() as seen:
        reply = ask(runner, sessions[True], find(tool), calls[tool] | {"dry_run": True})
    assert not reply.is_error, reply.text
    assert reply.structured["data"]["done"] is False
    assert seen.mutating == []
    assert not (place_on_s3.here / "dry").exists()


def test_every_writing_tool_is_tried_here() -> None:
    assert {spec.name for spec in TOOLS if spec.writes and not spec.needs} == CALLS.keys()
