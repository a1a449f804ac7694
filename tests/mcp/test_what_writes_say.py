"""What the tools that write take and tell beyond the engine's own contract, through a real client."""

from __future__ import annotations

import json

import pytest
from serving import Connect, Place, failure, result

pytestmark = pytest.mark.anyio


@pytest.mark.sampled(1)
async def test_a_revision_notes_who_wrote_it_where_the_call_or_the_settings_ask_for_it(
    connect: Connect, place: Place
) -> None:
    files = [{"path": "a", "text": "a"}]
    async with connect("--allow-write") as client:
        asked = {"files": files, "metadata": {"agent_context": {"inputs": [1]}}, "overwrite": True}
        await result(client, "package_create", package="noted/asked", agent_context=True, **asked)
        await result(client, "package_create", package="noted/not", **asked)
        noted = (await result(client, "package_browse", package="noted/asked"))["data"]["metadata"]
        plain = (await result(client, "package_browse", package="noted/not"))["data"]["metadata"]
    assert plain == {"agent_context": {"inputs": [1]}}
    assert noted["agent_context"]["inputs"] == [1]
    assert set(noted["agent_context"]["quilt"]) == {
        "version", "timestamp", "client", "principal", "authentication"
    }  # fmt: skip
    async with connect("--allow-write", QUILT_MCP_AGENT_CONTEXT="1") as client:
        await result(client, "package_create", package="noted/set", files=files, overwrite=True)
        noted = (await result(client, "package_browse", package="noted/set"))["data"]["metadata"]
    assert noted["agent_context"]["quilt"]["client"] == "quilt-mcp"


@pytest.mark.sampled(1)
async def test_package_metadata_comes_from_a_file_of_the_package(connect: Connect, place: Place) -> None:
    sheet = {"path": "sheet.json", "text": json.dumps({"instrument": "confocal"})}
    async with connect("--allow-write") as client:
        made = {"package": "from/file", "files": [sheet], "metadata_from": "sheet.json", "overwrite": True}
        await result(client, "package_create", **made)
        found = await result(client, "package_browse", package="from/file")
        kept = await result(client, "packages_list", prefix="from/", metadata=["instrument"])
        whole = await result(client, "packages_list", prefix="from/", metadata=[""])
    assert found["data"]["metadata"] == {"instrument": "confocal"}
    assert kept["data"]["packages"][0]["metadata"] == {"instrument": "confocal"}
    assert whole["data"]["packages"][0]["metadata"] == {"instrument": "confocal"}


@pytest.mark.sampled(1)
async def test_case_W7_a_package_of_nothing_is_made_only_where_that_is_meant(connect: Connect) -> None:
    async with connect("--allow-write") as client:
        error = await failure(client, "package_create", package="of/nothing")
        assert error["code"] == "invalid_argument" and "allow_empty" in error["next_step"]
        made = await result(client, "package_create", package="of/nothing", allow_empty=True, overwrite=True)
        assert made["data"]["totals"] == {"entries": 0, "bytes": 0}


@pytest.mark.sampled(1)
async def test_a_registry_tells_its_workflows_and_a_plan_all_that_they_have_against_it(
    connect: Connect, place: Place
) -> None:
    folder = place.here / "demanding"
    (folder / ".quilt" / "workflows").mkdir(parents=True, exist_ok=True)
    schema = {"type": "object", "required": ["instrument"], "properties": {"year": {"type": "integer"}}}
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / ".quilt" / "workflows" / "config.yml").write_text(
        "version: '1'\n"
        "is_workflow_required: true\n"
        "default_workflow: runs\n"
        "workflows:\n"
        "  runs:\n"
        "    name: Runs\n"
        "    is_message_required: true\n"
        "    handle_pattern: ^lab/\n"
        "    metadata_schema: run\n"
        "schemas:\n"
        f"  run: {{url: '{(folder / 'schema.json').as_uri()}'}}\n"
    )
    there = {"registry": str(folder)}
    async with connect("--allow-write") as client:
        listed = (await result(client, "workflow_list", **there))["data"]
        assert listed["is_required"] is True
        (workflow,) = listed["workflows"]
        assert (workflow["id"], workflow["is_default"], workflow["handle_pattern"]) == ("runs", True, "^lab/")
        assert workflow["metadata_schema"]["content"] == schema
        files = [{"path": "a", "text": "a"}]
        asked = {"package": "other/run", "files": files, "metadata": {"year": "2026"}, **there}
        told = await result(client, "package_create", dry_run=True, **asked)
        plan = told["data"]
        assert {one["rule"] for one in plan["faults"]} == {
            "is_message_required", "handle_pattern", "metadata_schema"
        }  # fmt: skip
        assert told["warnings"][0].startswith("workflow_rejects: ")
        assert (await failure(client, "package_create", **asked))["code"] == "workflow_failed"
        none = await result(client, "workflow_list")
        assert none["data"]["workflows"] == [] and none["warnings"][0].startswith("no_workflows: ")


@pytest.mark.sampled(1)
async def test_a_merged_patch_tells_what_changed_meanwhile(connect: Connect) -> None:
    async with connect("--allow-write") as client:
        fresh = {"files": [{"path": "a", "text": "a"}], "metadata": {}, "overwrite": True}
        made = await result(client, "package_create", package="merged/here", **fresh)
        mine = {"package": "merged/here", "expected_top_hash": made["data"]["top_hash"][:10], "merge": True}
        theirs = {"files": [{"path": "b", "text": "b"}], "message": "theirs", "metadata": {"checked": True}}
        await result(client, "package_patch", package="merged/here", **theirs)
        done = await result(client, "package_patch", files=[{"path": "c", "text": "c"}], **mine)
    told = done["data"]["changed_meanwhile"]
    assert told["changes"] == [{"path": "b", "action": "add"}]
    assert told["metadata"] == [{"field": "/checked", "after": True}]
    assert told["messages"] == ["theirs"]


@pytest.mark.sampled(1)
async def test_a_log_names_the_latest_at_its_top_and_where_a_file_came_from(connect: Connect) -> None:
    async with connect("--allow-write") as client:
        fresh = {"files": [{"path": "old.txt", "text": "a"}], "overwrite": True}
        made = await result(client, "package_create", package="moved/here", **fresh)
        rename = [{"from": "old.txt", "to": "new.txt"}]
        await result(client, "package_patch", package="moved/here", rename=rename, message="moves")
        first = made["data"]["top_hash"]
        log = (await result(client, "package_log", package="moved/here", path="new.txt"))["data"]
        await result(client, "package_copy", package=f"moved/here@{first}")
        short = (await result(client, "package_log", package="moved/here", limit=1))["data"]
        long = (await result(client, "package_log", package="moved/here", limit=1, detail=True))["data"]
    moved, older = (one["change"] for one in log["revisions"][:2])
    assert moved == {"action": "renamed", "old_path": "old.txt"}
    assert older == {"action": "added", "path": "old.txt", "size": 1}
    assert (short["latest"], long["latest"]) == (first[:10], first)
    assert "latest" not in short["revisions"][0]


@pytest.mark.sampled(1)
async def test_a_plan_tells_in_json_what_changes_in_metadata_within_bounds(connect: Connect) -> None:
    async with connect("--allow-write") as client:
        files = [{"path": f"{name}.csv", "text": name, "metadata": {"unit": "kg"}} for name in "abc"]
        fresh = {"files": files, "metadata": {"n": 0}, "overwrite": True}
        await result(client, "package_create", package="planned/here", **fresh)
        asked = {
            "package": "planned/here",
            "metadata": {"n": "x" * 300, **{f"k{number:02}": number for number in range(30)}},
            "entry_metadata": {
                "*.csv": {"unit": "g"},
                "a.csv": {f"k{number}": number for number in range(9)},
            },
            "rename": [{"from": "b.csv", "to": "z.csv"}],
        }
        plan = (await result(client, "package_patch", dry_run=True, **asked))["data"]
        done = (await result(client, "package_patch", **asked))["data"]
        again = await result(
            client, "package_patch", message="again", **asked | {"rename": []} | {"entry_metadata": {}}
        )
    assert (plan["metadata"], plan["renamed"], plan["kept"]) == (2, 1, 2)
    assert plan["metadata_changed"] is True
    assert plan["package_metadata_total"] == 31 and len(plan["package_metadata"]) == 20
    assert plan["package_metadata"][0] == {"field": "/k00", "after": 0}
    renamed, labelled, other = plan["changes"]
    grams = {"field": "/unit", "before": "kg", "after": "g"}
    assert renamed == {"path": "z.csv", "action": "rename", "size": 1, "old_path": "b.csv", "fields": [grams]}
    assert (labelled["path"], len(labelled["fields"]), labelled["fields_total"]) == ("a.csv", 5, 10)
    assert (other["path"], other["fields"]) == ("c.csv", [grams])
    assert done["changes"] == plan["changes"] and done["package_metadata"] == plan["package_metadata"]
    assert [one for one in again["warnings"] if one.startswith("nothing_changed: ")]


@pytest.mark.sampled(1)
async def test_a_plan_of_an_installation_lists_files_and_what_stays_behind(
    connect: Connect, place: Place
) -> None:
    async with connect("--allow-write") as client:
        fresh = {
            "files": [{"path": "old.txt", "text": "a"}, {"path": "same", "text": "b"}],
            "overwrite": True,
        }
        made = await result(client, "package_create", package="put/here", **fresh)
        await result(
            client, "package_patch", package="put/here", rename=[{"from": "old.txt", "to": "new.txt"}]
        )
        first = {"package": f"put/here@{made['data']['top_hash']}", "dest": "put-here"}
        done = await result(client, "package_install", **first)
        again = {"package": "put/here", "dest": "put-here"}
        plan = await result(client, "package_install", dry_run=True, **again)
    assert "changes" not in done["data"]
    assert plan["data"]["changes"] == [{"path": "new.txt", "action": "add", "size": 1}]
    (told,) = plan["warnings"]
    assert told.startswith("left_behind: 1 file ") and told.endswith("old.txt.")


@pytest.mark.sampled(1)
async def test_a_verification_lists_some_of_many_problems_and_counts_all(
    connect: Connect, place: Place
) -> None:
    (place.here / "partly").mkdir(exist_ok=True)
    async with connect() as client:
        done = await result(client, "package_verify", package="demo/large", dest="partly")
    data = done["data"]
    assert data["dest"] == str(place.here / "partly")
    assert len(data["problems"]) == 50 and data["problem_count"] > 100
    assert data["problems"][0] == {"path": data["problems"][0]["path"], "problem": "missing"}
    assert any(one.startswith("cut: ") for one in done["warnings"])


@pytest.mark.sampled(1)
@pytest.mark.parametrize("empty", ["to", "to_registry"])
async def test_an_empty_name_to_copy_to_is_no_rollback(connect: Connect, place: Place, empty: str) -> None:
    """A variable that a client left unset made an old revision the latest again."""
    old = f"demo/flowers@{place.hashes['demo/flowers'][0]}"
    async with connect("--allow-write") as client:
        for spelling in ("", "  "):
            refused = await failure(client, "package_copy", package=old, **{empty: spelling})
            assert refused["code"] in ("invalid_name", "invalid_uri") and refused["next_step"]
        found = await result(client, "package_browse", package="demo/flowers")
    assert found["data"]["top_hash"] == place.hashes["demo/flowers"][-1]
