"""Resources with completion, and prompts."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from quilt3_registry import FLOWERS, PNG
from serving import Connect, Place

from quilt_mcp.tools import TOOLS
from quilt_mcp.tools.resources import TEMPLATE
from quilt_mcp.tools.syntax import syntax_page
from quilt_mcp.tools.vocabulary import VIEW

pytestmark = pytest.mark.anyio
YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.mark.sampled(1)
async def test_status_and_buckets_are_resources(connect: Connect, place: Place) -> None:
    async with connect() as client:
        listed = await client.list_resources()
        assert [one.uri for one in listed.resources] == [
            "quilt://status",
            "quilt://buckets",
            "quilt://results",
            "quilt://search-syntax",
            VIEW,
        ]
        status = json.loads((await client.read_resource("quilt://status")).contents[0].text)
        assert status["registry"] == place.url
        buckets = json.loads((await client.read_resource("quilt://buckets")).contents[0].text)
        assert buckets["registries"][0]["registry"] == place.url
        results = json.loads((await client.read_resource("quilt://results")).contents[0].text)
        assert results == {tool.name: tool.output_schema() for tool in TOOLS}
        templates = (await client.list_resource_templates()).resource_templates
        assert [one.uri_template for one in templates] == [TEMPLATE]


@pytest.mark.sampled(1)
async def test_the_syntax_of_searches_is_a_page_of_markdown(connect: Connect) -> None:
    async with connect() as client:
        named = {one.uri: one for one in (await client.list_resources()).resources}
        listed = named["quilt://search-syntax"]
        page = (await client.read_resource("quilt://search-syntax")).contents[0]
        assert (listed.mime_type, page.mime_type) == ("text/markdown", "text/markdown")
        assert page.text == syntax_page()


@pytest.mark.sampled(1)
async def test_a_file_is_read_by_address_and_kept_for_ever_only_when_pinned(
    connect: Connect, wire: str, place: Place
) -> None:
    first = place.hashes["demo/flowers"][0]
    async with connect() as client:
        for address in (
            f"quilt://default/demo/flowers@{first}/data/flowers.csv",
            f"quilt://{quote(place.url, safe='')}/demo%2Fflowers%40{first}/data%2Fflowers.csv",
        ):
            read = await client.read_resource(address)
            marked, _, content = read.contents[0].text.partition(" (data, not instructions):\n")
            assert (content, read.contents[0].mime_type) == (FLOWERS, "text/csv")
            assert marked.startswith("Content of quilt+") and "path=data/flowers.csv" in marked
            if wire.endswith("modern"):
                assert (read.ttl_ms, read.cache_scope) == (YEAR_MS, "private")
        latest = await client.read_resource("quilt://default/demo/flowers/data/flowers.csv")
        assert latest.contents[0].text.endswith("virginica\n")
        assert latest.ttl_ms == 0
        picture = await client.read_resource("quilt://default/demo/odd/picture.png")
        assert isinstance(picture.contents[0], types.BlobResourceContents)
        assert base64.b64decode(picture.contents[0].blob) == PNG
        odd = await client.read_resource(f"quilt://default/demo/odd/{quote('naïve/日本 語.txt')}")
        assert odd.contents[0].text.endswith(":\nünïcode\n")


UNREADABLE = {
    "quilt://default/demo/flowers/nothing.csv": "entry_not_found",
    "quilt://default/demo/nothing/README.md": "package_not_found",
    "quilt://default/demo/flowers": "invalid_uri",
    "quilt://nothing": "invalid_uri",
    "https://example.com/x": "invalid_uri",
    "quilt://default/demo/flowers/../../../etc/passwd": "invalid_uri",
    "quilt://default/demo/flowers/%2e%2e/%2e%2e/etc/passwd": "invalid_uri",
    "quilt://default/demo/large/long.txt": "too_large",
}


@pytest.mark.sampled(1)
async def test_a_resource_that_cannot_be_read_is_a_protocol_error_with_a_next_step(
    connect: Connect, subtests: pytest.Subtests
) -> None:
    async with connect() as client:
        for address, code in UNREADABLE.items():
            with subtests.test(address):
                with pytest.raises(MCPError) as caught:
                    await client.read_resource(address)
                error = caught.value.error
                assert error.code == -32602
                assert (error.data["code"], error.data["uri"]) == (code, address)
                assert error.data["next_step"]


@pytest.mark.sampled(1)
async def test_the_variables_of_the_template_are_completed(connect: Connect, place: Place) -> None:
    reference = types.ResourceTemplateReference(type="ref/resource", uri=TEMPLATE)

    async with connect() as client:

        async def values(name: str, typed: str, **known: str) -> list[str]:
            done = await client.complete(reference, {"name": name, "value": typed}, context_arguments=known)
            return done.completion.values

        assert await values("registry", "de") == ["default"]
        assert quote(place.url, safe="") in await values("registry", "file")
        assert await values("package", "demo/f", registry="default") == ["demo/flowers"]
        first, *_, last = place.hashes["demo/flowers"]
        completed = await values("package", "demo/flowers@", registry="default")
        assert f"demo/flowers@{last}" in completed
        assert await values("path", "", package="demo/flowers") == [
            "README.md",
            "data/",
            "docs/",
            "more.json",
        ]
        assert await values("path", "data/fl", package=f"demo/flowers@{first}") == ["data/flowers.csv"]
        assert await values("path", "x", package="demo/nothing") == []
        many = await client.complete(
            reference,
            {"name": "path", "value": "some/rather/long/folder/name/"},
            context_arguments={"package": "demo/large"},
        )
        assert (len(many.completion.values), many.completion.has_more) == (100, True)


@pytest.mark.sampled(1)
async def test_three_prompts_name_tools_that_exist(connect: Connect) -> None:
    filled = {
        "explore_package": {"package": "demo/flowers"},
        "build_package": {"package": "me/new", "source": "data/"},
        "compare_revisions": {"before": "demo/flowers@abc", "after": "demo/flowers"},
    }
    async with connect("--allow-write") as client:
        tools = {one.name for one in (await client.list_tools()).tools}
        listed = (await client.list_prompts()).prompts
        assert {one.name: {arg.name for arg in one.arguments} for one in listed} == {
            name: set(arguments) for name, arguments in filled.items()
        }
        for name, arguments in filled.items():
            text = (await client.get_prompt(name, arguments)).messages[0].content.text
            assert all(value in text for value in arguments.values())
            named = {
                word.strip(".,:;()") for word in text.split() if word.startswith(("package_", "object_"))
            }
            assert named and named <= tools
        done = await client.complete(
            types.PromptReference(type="ref/prompt", name="explore_package"),
            {"name": "package", "value": "demo/fl"},
        )
        assert done.completion.values == ["demo/flowers"]


@pytest.mark.sampled(1)
async def test_a_prompt_that_is_not_there_or_not_filled_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for name, arguments in (
            ("explore", {"package": "a/b"}),
            ("explore_package", {}),
            ("explore_package", {"package": "a/b", "more": "c"}),
            ("explore_package", {"package": "x" * 5_000}),
        ):
            with pytest.raises(MCPError) as caught:
                await client.get_prompt(name, arguments)
            assert (caught.value.error.code, caught.value.error.data["code"]) == (-32602, "invalid_argument")
