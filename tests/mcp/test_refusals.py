"""What is refused, and how: a stable code, what was wrong, and the next call to make."""

from __future__ import annotations

import pytest
from mcp.shared.exceptions import MCPError
from serving import Connect, Place, failure, result

pytestmark = pytest.mark.anyio

READ_ONLY_CALLS = {
    "package_create": {"package": "no/pe", "files": [{"path": "a", "text": "b"}]},
    "package_patch": {"package": "demo/flowers", "remove": ["README.md"]},
    "package_copy": {"package": "demo/flowers", "to": "no/pe"},
    "package_delete": {"package": "demo/flowers"},
    "package_install": {"package": "demo/flowers", "dest": "nope"},
    "object_put": {"uri": "file:///nope", "text": "x"},
}


@pytest.mark.sampled(1)
async def test_read_only_servers_refuse_every_write_tool_by_name(connect: Connect, place: Place) -> None:
    before = sorted(str(path) for path in place.registry.rglob("*"))
    async with connect() as client:
        for tool, arguments in READ_ONLY_CALLS.items():
            for extra in ({}, {"dry_run": True}):
                error = await failure(client, tool, **arguments, **extra)
                assert error["code"] == "read_only"
                assert "--allow-write" in error["next_step"]
    assert sorted(str(path) for path in place.registry.rglob("*")) == before
    assert not (place.here / "nope").exists()


BAD = {
    "unknown argument": (
        "package_browse",
        {"pakage": "demo/flowers"},
        "invalid_argument",
        "Did you mean package?",
    ),
    "missing argument": ("package_browse", {}, "invalid_argument", "package is missing"),
    "wrong type": ("package_browse", {"package": 3}, "invalid_argument", "must be text"),
    "out of range": ("packages_list", {"limit": 0}, "invalid_argument", "limit is 0"),
    "not in the set": (
        "object_read",
        {"uri": "file:///x", "mode": "fast"},
        "invalid_argument",
        "mode is 'fast'",
    ),
    "bad name": ("package_browse", {"package": "flowers"}, "invalid_name", "flowers"),
    "bad uri": ("object_read", {"uri": "quilt+ftp://x#package=a/b&path=c"}, "invalid_uri", ""),
    "unknown package": ("package_browse", {"package": "demo/flower"}, "package_not_found", "demo/flower"),
    "unknown hash": ("package_browse", {"package": f"demo/flowers@{'0' * 64}"}, "revision_not_found", ""),
    "unknown path": (
        "package_browse",
        {"package": "demo/flowers", "path": "data/flower.csv"},
        "entry_not_found",
        "",
    ),
    "unknown registry": ("packages_list", {"registry": "s3://nowhere"}, "not_supported", ""),
    "folder for a file": ("object_read", {"uri": "{flowers}&path=data/"}, "not_a_file", ""),
    "package for a file": ("object_read", {"uri": "{flowers}"}, "not_a_file", ""),
    "bad cursor": (
        "package_browse",
        {"package": "demo/flowers", "cursor": "xx"},
        "invalid_argument",
        "cursor",
    ),
    "outside the roots": ("object_read", {"uri": "file:///etc/passwd"}, "outside_roots", "/etc"),
    "not there": ("object_read", {"uri": "{here}/nothing.txt"}, "object_not_found", ""),
}


@pytest.mark.sampled(1)
async def test_bad_input_is_named_and_the_next_call_told(
    connect: Connect, place: Place, subtests: pytest.Subtests
) -> None:
    async with connect() as client:
        for case, (tool, arguments, code, said) in BAD.items():
            with subtests.test(case):
                known = {"flowers": place.uri("demo/flowers"), "here": place.here.as_uri()}
                filled = {
                    name: value.format(**known) if isinstance(value, str) else value
                    for name, value in arguments.items()
                }
                error = await failure(client, tool, **filled)
                assert (error["code"], said in error["message"]) == (code, True), error


WRITES = {
    "missing source": ({"sources": [{"from": "nothing.csv"}]}, "source_not_found"),
    "source outside the roots": ({"sources": [{"from": "/etc/hostname"}]}, "outside_roots"),
    "two sources for one key": (
        {"files": [{"path": "a", "text": "1"}, {"path": "a", "text": "2"}]},
        "duplicate_key",
    ),
    "text and base64": ({"files": [{"path": "a", "text": "1", "base64": "MQ=="}]}, "invalid_argument"),
    "neither text nor base64": ({"files": [{"path": "a"}]}, "invalid_argument"),
    "broken base64": ({"files": [{"path": "a", "base64": "!"}]}, "invalid_argument"),
    "key that climbs": ({"files": [{"path": "../a", "text": "1"}]}, "invalid_name"),
    "unknown key in a source": ({"sources": [{"from": "source/", "into": "x"}]}, "invalid_argument"),
    "patterns that leave no file": ({"sources": [{"from": ".", "exclude": ["*"]}]}, "source_not_found"),
    "a pattern that is a number": ({"sources": [{"from": ".", "include": [3]}]}, "invalid_argument"),
    "metadata that is a list": ({"metadata": [1]}, "invalid_argument"),
    "unknown workflow": ({"files": [{"path": "a", "text": "1"}], "workflow": "alpha"}, "invalid_argument"),
    "a name that is taken": (
        {"package": "demo/flowers", "files": [{"path": "a", "text": "1"}]},
        "already_exists",
    ),
}


@pytest.mark.sampled(1)
async def test_a_refused_package_leaves_nothing_behind(
    connect: Connect, place: Place, subtests: pytest.Subtests
) -> None:
    async with connect("--allow-write") as client:
        for case, (arguments, code) in WRITES.items():
            before = sorted(str(path) for path in place.registry.rglob("*"))
            for dry_run in (True, False):
                with subtests.test(case, dry_run=dry_run):
                    asked = {"package": "refused/package", **arguments, "dry_run": dry_run}
                    error = await failure(client, "package_create", **asked)
                    assert error["code"] == code, error
            assert sorted(str(path) for path in place.registry.rglob("*")) == before


@pytest.mark.sampled(1)
async def test_a_parent_that_has_moved_is_a_conflict_that_names_both(connect: Connect, wire: str) -> None:
    name = f"refused/moved-{wire}"
    async with connect("--allow-write") as client:
        made = await result(
            client, "package_create", package=name, files=[{"path": "a", "text": "1"}], message="1"
        )
        moved = await result(
            client, "package_patch", package=name, files=[{"path": "b", "text": "2"}], message="2"
        )
        error = await failure(
            client,
            "package_patch",
            package=name,
            expected_top_hash=made["data"]["top_hash"],
            files=[{"path": "b", "text": "3"}],
        )
        assert (error["code"], error["recovery"], error["retryable"]) == (
            "stale_parent",
            "resolve_conflict",
            False,
        )
        assert moved["data"]["top_hash"] in str(error)
        assert made["data"]["top_hash"] in str(error)


@pytest.mark.sampled(1)
async def test_an_unknown_tool_is_a_protocol_error_that_lists_the_tools(connect: Connect) -> None:
    """Both revisions of the specification: unknown tools are protocol errors."""
    async with connect() as client:
        with pytest.raises(MCPError, match="package_browse") as caught:
            await client.call_tool("package_brows", {})
        assert caught.value.error.code == -32602


@pytest.mark.sampled(1)
async def test_an_ambiguous_hash_lists_its_candidates(connect: Connect, wire: str) -> None:
    name, seen = f"refused/short-{wire}", dict[str, str]()
    async with connect("--allow-write") as client:
        for number in range(40):
            made = await result(
                client,
                "package_create",
                package=name,
                overwrite=True,
                files=[{"path": "a", "text": str(number)}],
            )
            top_hash = made["data"]["top_hash"]
            if top_hash[:1] in seen:
                break
            seen[top_hash[:1]] = top_hash
        error = await failure(client, "package_browse", package=f"{name}@{top_hash[:1]}")
        assert error["code"] in ("ambiguous_hash", "invalid_name", "invalid_uri")
