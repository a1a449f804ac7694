"""What clients send, through a real client: what a call does when it is spelled in their ways."""

from __future__ import annotations

import pytest
from serving import Connect, Place, failure, result

pytestmark = pytest.mark.anyio


@pytest.mark.sampled(1)
async def test_what_a_host_adds_is_ignored_and_said_case_C5(connect: Connect) -> None:
    async with connect() as client:
        plain = await result(client, "package_browse", package="demo/flowers", limit=1)
        extras = {"toolCallId": "1", "sessionId": "2", "action": "sendMessage", "chatInput": "what is in it?"}
        found = await result(
            client, "package_browse", package="demo/flowers", limit="1", registry=None, **extras
        )
        [said] = [one for one in found["warnings"] if one not in plain.get("warnings", [])]
        assert said.startswith("ignored: toolCallId, sessionId, action, chatInput:")
        assert found["data"] == plain["data"]
        error = await failure(client, "package_browse", package="demo/flowers", sesionId="2")
        assert "sesionId is not known" in error["message"]


@pytest.mark.sampled(1)
async def test_null_changes_no_metadata_and_an_empty_object_with_replace_clears_it_case_C2(
    connect: Connect, wire: str
) -> None:
    name = f"spelled/null-{wire}"
    async with connect("--allow-write") as client:
        made = await result(
            client, "package_create", package=name, files='[{"path": "a", "text": "1"}]', metadata='{"a": 1}'
        )
        patched = await result(
            client,
            "package_patch",
            package=name,
            metadata=None,
            files={"path": "b", "text": "2", "metadata": None},
        )
        assert patched["data"]["added"] == 1
        assert (await result(client, "package_browse", package=patched["uri"]))["data"]["metadata"] == {
            "a": 1
        }
        cleared = await result(client, "package_patch", package=name, metadata={}, metadata_mode="replace")
        assert (await result(client, "package_browse", package=cleared["uri"]))["data"].get("metadata") in (
            None,
            {},
        )
        for guard in ("", " "):
            error = await failure(client, "package_patch", package=name, expected_top_hash=guard, remove="b")
            assert error["code"] == "invalid_argument"
        short = made["data"]["top_hash"][:8]
        stale = await failure(
            client, "package_patch", package=name, expected_top_hash=short, files={"path": "b", "text": "3"}
        )
        assert stale["code"] == "stale_parent"


@pytest.mark.sampled(1)
async def test_a_word_skips_the_workflow_and_null_takes_the_default(connect: Connect, place: Place) -> None:
    registry = place.here / "flows" / "registry"
    (registry / ".quilt" / "workflows").mkdir(parents=True, exist_ok=True)
    (registry / ".quilt" / "workflows" / "config.yml").write_text(
        "version: '1'\nis_workflow_required: false\ndefault_workflow: none\n"
        "workflows:\n  none:\n    name: N\n  '-':\n    name: D\n"
    )
    async with connect("--allow-write") as client:
        for workflow, expected in ((None, "none"), ("none", "none"), ("-", "-"), (":none", None)):
            plan = await result(
                client,
                "package_create",
                package="w/w",
                registry=str(registry),
                files=[{"path": "a", "text": "1"}],
                workflow=workflow,
                dry_run=True,
            )
            assert plan["data"]["workflow"]["id"] == expected, workflow
