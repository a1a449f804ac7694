"""Characters that hide or act on a terminal, through every tool that can show them: cases X1 and X2, claim C26."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from serving import Connect, Place

from quilt_mcp.domain.printable import printable

pytestmark = pytest.mark.anyio

HIDDEN = [
    chr(number)
    for number in range(sys.maxunicode + 1)
    if printable(chr(number)) != chr(number) and not 0xD800 <= number <= 0xDFFF
]
WHOLE = "".join(f"{one}." for one in HIDDEN)
IN_NAMES = [one for one in HIDDEN if one != "\0" and (one < "\U000e0000" or one > "\U000e0ff0")]
NAMES = ["n" + "".join(f"{one}." for one in IN_NAMES[at : at + 30]) for at in range(0, len(IN_NAMES), 30)]
FIRST = NAMES[0]


def test_the_sample_has_every_class_of_them() -> None:
    assert {unicodedata.category(one) for one in HIDDEN} >= {"Cc", "Cf", "Zl", "Zp", "Mn", "Lo", "So"}
    assert len(HIDDEN) > 4_000


def hides(shown: Any) -> list[str]:
    """Texts and keys anywhere in a message that hold what is not printable; blobs are bytes, and no text."""
    if isinstance(shown, str):
        return [ascii(shown)] if printable(shown) != shown else []
    if isinstance(shown, dict):
        return [one for pair in shown.items() for part in pair for one in hides(part)]
    return [one for part in shown for one in hides(part)] if isinstance(shown, list) else []


@pytest.fixture
async def client(connect: Connect, place: Place) -> AsyncIterator[Client]:
    """Of a server whose registry has a package that holds each of them in every text that there is."""
    folder = place.here / "hidden"
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        (folder / name).write_text(WHOLE, "utf-8")
    async with connect("--allow-write", QUILT_MCP_MAX_RESPONSE_TOKENS="100000") as client:
        made = await client.call_tool(
            "package_create",
            {
                "package": "hidden/all",
                "sources": [{"from": str(folder), "to": "d/", "metadata": {FIRST: [FIRST]}}],
                "metadata": {WHOLE[:6_000]: {"inside": WHOLE[6_000:]}},
                "message": WHOLE[:6_000],
                "overwrite": True,
            },
        )
        assert not made.is_error and not hides(made.model_dump(mode="json"))
        yield client


@pytest.mark.sampled(1)
async def test_no_tool_shows_one_as_it_is(client: Client, place: Place, subtests: pytest.Subtests) -> None:
    browsed = await client.call_tool("package_browse", {"package": "hidden/all", "recursive": True})
    uri = browsed.structured_content["data"]["entries"][0]["uri"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("status", {}),
        ("registry_list", {}),
        ("packages_list", {"prefix": WHOLE}),
        ("packages_list", {"registry": f"s3://{WHOLE}"}),
        ("package_browse", {"package": "hidden/all"}),
        ("package_browse", {"package": "hidden/all", "path": "d/"}),
        ("package_browse", {"package": f"hidden/{WHOLE}"}),
        ("package_browse", {"package": "hidden/all", "path": WHOLE}),
        ("package_browse", {"package": "hidden/all", WHOLE: 1}),
        ("package_log", {"package": "hidden/all"}),
        ("package_diff", {"before": "demo/flowers", "after": "hidden/all"}),
        ("package_verify", {"package": "hidden/all", "dest": str(place.here / "demo")}),
        ("object_list", {"location": (place.here / "hidden").as_uri()}),
        ("object_list", {"location": (place.here / WHOLE[:90]).as_uri()}),
        ("object_read", {"uri": uri}),
        ("object_read", {"uri": uri, "mode": "info"}),
        ("object_read", {"uri": f"{uri}{quote(FIRST)}"}),
        ("object_link", {"uri": uri}),
        ("package_create", {"package": "hidden/new", "files": [{"path": "a", "text": "x"}], "workflow": WHOLE}),
        ("package_create", {"package": "hidden/new", "sources": [{"from": WHOLE}]}),
        ("package_create", {"package": "hidden/new", "files": [{"path": f"{FIRST}/..", "text": "x"}]}),
        ("package_patch", {"package": "hidden/all", "remove": [FIRST], "dry_run": True}),
        ("package_patch", {"package": "hidden/all", "remove": [f"d/{FIRST}"], "dry_run": True}),
        ("package_copy", {"package": "hidden/all", "to": "hidden/copy", "message": WHOLE, "dry_run": True}),
        ("package_install", {"package": "hidden/all", "dest": str(place.here / f"in{FIRST}"), "dry_run": True}),
        ("package_delete", {"package": "hidden/all", "all": True, "dry_run": True}),
        ("object_put", {"uri": (place.here / FIRST).as_uri(), "text": WHOLE, "dry_run": True}),
    ]  # fmt: skip
    for tool, arguments in calls:
        with subtests.test(f"{tool} {ascii(arguments)[:80]}"):
            answer = await client.call_tool(tool, arguments)
            assert hides(answer.model_dump(mode="json")) == []


@pytest.mark.sampled(1)
async def test_no_resource_completion_or_prompt_shows_one_and_a_completed_path_is_read(
    client: Client,
) -> None:
    reference = types.ResourceTemplateReference(
        type="ref/resource", uri="quilt://{registry}/{+package}/{+path}"
    )
    done = await client.complete(
        reference, {"name": "path", "value": "d/"}, context_arguments={"package": "hidden/all"}
    )
    assert done.completion.values and hides(done.model_dump(mode="json")) == []
    again = await client.complete(
        reference,
        {"name": "path", "value": done.completion.values[0]},
        context_arguments={"package": "hidden/all"},
    )
    assert again.completion.values == done.completion.values[:1]
    read = await client.read_resource(f"quilt://default/hidden/all/{done.completion.values[0]}")
    assert hides(read.model_dump(mode="json")) == []
    prompt = await client.get_prompt("explore_package", {"package": WHOLE[:3_000]})
    assert hides(prompt.model_dump(mode="json")) == []
    with pytest.raises(MCPError) as caught:
        await client.read_resource(f"quilt://default/hidden/all/{quote(FIRST)}x")
    assert hides([caught.value.error.message, json.loads(json.dumps(caught.value.error.data))]) == []


@pytest.mark.sampled(1)
async def test_a_copied_address_still_names_the_file(client: Client) -> None:
    asked = {"package": "hidden/all", "path": "d/"}
    lean = await client.call_tool("package_browse", asked)
    browsed = await client.call_tool("package_browse", {**asked, "detail": True})
    entries = browsed.structured_content["data"]["entries"]
    assert len(entries) == len(NAMES)
    rows = lean.structured_content["data"]["entries"]
    assert [row.get("uri") for row in rows if "uri" in row] == [
        entry["uri"] for row, entry in zip(rows, entries, strict=True) if "uri" in row
    ]
    assert any("uri" in row for row in rows)
    for entry in entries:
        for address in (entry["uri"], entry["physical_key"]):
            read = await client.call_tool("object_read", {"uri": address, "mode": "info"})
            assert not read.is_error, read.content[0].text


def test_text_of_a_hostile_registry_is_escaped_too() -> None:
    """Hash types and physical keys, which no program of good faith writes so."""
    from quilt_mcp.domain.entry import Hash
    from quilt_mcp.domain.listing import Item
    from quilt_mcp.tools.results.envelope import Answer, Reply, reply
    from quilt_mcp.tools.results.shapes import item_json

    item = Item("a", "file", 1, Hash(WHOLE, WHOLE), {WHOLE: WHOLE}, f"s3://b/{WHOLE}", "quilt+s3://b")
    made = reply(Answer({"entries": [item_json(item)]}, records=("entries",), warnings=(WHOLE,)), 1_000_000)
    assert isinstance(made, Reply)
    assert hides([made.structured, made.text]) == []
