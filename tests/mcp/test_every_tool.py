"""An agent's whole job with every tool there is, on all four wires; results hold to the schemas of the reference."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from mcp import Client
from serving import ALL_WIRES, Place, PlaceOnS3, connected

from quilt_mcp.tools import TOOLS

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ALL_WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return request.param


class Agent:
    """Calls tools, and holds every answer against the schema of its tool."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.schemas = {one.name: one.output_schema() for one in TOOLS}
        self.called: set[str] = set()

    async def __call__(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        answer = await self.client.call_tool(tool, arguments)
        assert not answer.is_error, answer.content[0].text
        jsonschema.Draft202012Validator(self.schemas[tool]).validate(answer.structured_content)
        listed = self.schemas[tool]["properties"]["data"]
        if "additionalProperties" not in listed and tool != "package_create":
            unlisted = set(answer.structured_content["data"]) - set(listed["properties"])
            assert unlisted <= {
                "package",
                "registry",
                "workflow",
                "bytes_copied",
                "merged_onto",
                "metadata_changed",
                "bytes_to_copy",
                "note",
            }
        self.called.add(tool)
        return answer.structured_content


async def test_an_agent_does_its_whole_job(wire: str, place: Place) -> None:
    await whole_job(wire, place)


@pytest.mark.xdist_group("a place on S3")
async def test_an_agent_does_its_whole_job_on_s3(place_on_s3: PlaceOnS3) -> None:
    await whole_job("stdio-modern", place_on_s3)


async def whole_job(wire: str, place: Place) -> None:
    mine = f"agents/{wire}"
    (place.here / "new").mkdir(exist_ok=True)
    (place.here / "new" / "table.csv").write_text("x,y\n1,2\n")
    async with connected(place, wire, "--allow-write") as client:
        agent = Agent(client)
        status = await agent("status")
        assert status["data"]["writes"] is True
        await agent("registry_list")
        await agent("packages_list")
        assert (await agent("workflow_list"))["data"]["workflows"] == []
        plan = await agent(
            "package_create",
            package=mine,
            sources=[{"from": "new/", "to": "data/", "metadata": {"unit": "kg"}}],
            files=[{"path": "README.md", "text": "# Mine"}],
            metadata={"by": "agent"},
            message="made",
            dry_run=True,
        )
        assert (plan["data"]["done"], plan["data"]["added"]) == (False, 2)
        names = [one["name"] for one in (await agent("packages_list", prefix="agents/"))["data"]["packages"]]
        assert mine not in names
        made = await agent(
            "package_create",
            package=mine,
            sources=[{"from": "new/", "to": "data/", "metadata": {"unit": "kg"}}],
            files=[{"path": "README.md", "text": "# Mine"}],
            metadata={"by": "agent"},
            message="made",
        )
        found = await agent("search", query=f"name:{mine} table.csv", facets=["*"])
        assert [one["package"].partition("@")[0] for one in found["data"]["hits"]] == [mine]
        assert found["data"]["hits"][0]["files"] == ["data/table.csv"]
        [file] = (await agent("search", query=f"name:{mine} ext:csv", scope="entries"))["data"]["hits"]
        assert (await agent("object_read", package=file["file"]))["data"]["size"] == file["size"]
        assert (await agent("search", query="table", scope="objects"))["page"]["total"] >= 0
        tables = (await agent("sql_tables", packages=[mine]))["data"]["tables"]
        assert tables[-1] == {"table": "'data/table.csv'", "columns": {"x": "BIGINT", "y": "BIGINT"}}
        summed = await agent("sql_query", sql=f"SELECT sum(x + y) AS n FROM '{file['file']}'")
        assert (summed["data"]["rows"], summed["page"]["total"]) == ([[3]], 1)
        query = f"SELECT logical_key FROM package_entry JOIN package_tag USING (top_hash) WHERE pkg_name = '{mine}' ORDER BY 1"
        rows = (await agent("sql_query", sql=query))["data"]["rows"]
        assert rows == [["README.md"], ["data/table.csv"]]
        assert made["data"]["done"] is True
        entries = (await agent("package_browse", package=made["uri"], recursive=True))["data"]["entries"]
        assert [(one["path"], one.get("metadata")) for one in entries] == [
            ("README.md", None),
            ("data/table.csv", {"unit": "kg"}),
        ]
        changed = await agent(
            "package_patch",
            package=mine,
            expected_top_hash=made["data"]["top_hash"],
            files=[{"path": "notes.txt", "text": "noted"}],
            rename=[{"from": "data/table.csv", "to": "tables/table.csv"}],
            metadata={"checked": True},
            message="tidied",
        )
        assert (changed["data"]["added"], changed["data"]["renamed"]) == (1, 1)
        assert len((await agent("package_log", package=mine))["data"]["revisions"]) >= 1
        diff = await agent("package_diff", before=made["uri"], after=changed["uri"])
        assert [one["path"] for one in diff["data"]["added"]] == ["notes.txt"]
        read = await agent("object_read", uri=f"{changed['uri']}&path=tables/table.csv")
        assert read["data"]["text"] == "x,y\n1,2\n"
        await agent("object_link", uri=f"{changed['uri']}&path=tables/table.csv")
        assert (await agent("package_verify", package=changed["uri"]))["data"]["ok"] is True
        installed = await agent("package_install", package=changed["uri"], dest=f"installed-{wire}")
        assert installed["data"]["installed"] == 3
        assert (place.here / f"installed-{wire}" / "notes.txt").read_text() == "noted"
        copied = await agent("package_copy", package=changed["uri"], to=f"{mine}-copy")
        assert copied["data"]["top_hash"] == changed["data"]["top_hash"]
        dry = await agent("package_delete", package=f"{mine}-copy", all=True, dry_run=True)
        assert dry["data"]["done"] is False
        gone = await agent("package_delete", package=f"{mine}-copy", all=True)
        assert (gone["data"]["done"], gone["data"]["latest"]) == (True, None)
        put = await agent("object_put", uri=(place.here / f"put-{wire}.txt").as_uri(), text="put")
        await agent("object_list", location=f"{place.here.as_uri()}/")
        assert (await agent("object_read", uri=put["uri"]))["data"]["text"] == "put"
    assert agent.called == {one.name for one in TOOLS if not one.needs}


async def test_quilt3_names_survive_the_round(wire: str, place: Place) -> None:
    """A revision that quilt3 built is patched here; only what was asked for changes."""
    async with connected(place, wire, "--allow-write") as client:
        agent = Agent(client)
        name = f"agents/from-quilt3-{wire}"
        copied = await agent("package_copy", package=place.uri("demo/flowers"), to=name, copy=False)
        assert copied["data"]["top_hash"] == place.hashes["demo/flowers"][-1]
        patched = await agent("package_patch", package=name, remove=["more.json"])
        diff = await agent("package_diff", before=copied["uri"], after=patched["uri"])
        assert [one["path"] for one in diff["data"]["removed"]] == ["more.json"]
        assert diff["data"]["totals"]["unchanged"] == 3
