"""Two users with disjoint rights on one server: whatever is refused, neither is ever served by what is the other's."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from company import Company, Two, read

from parts.stack import Fault
from parts.stack.faults import no_credentials

ROUNDS = 1_000 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 160
REFUSED = {"permission_denied", "registry_not_found", "package_not_found", "object_not_found"}


@pytest.fixture(autouse=True)
def as_it_was(two: Two) -> Iterator[None]:
    yield
    two.stack.clear_faults()
    two.stack.set_role("bob", "of-bob")


def asked(two: Two, owner: str) -> list[tuple[str, dict[str, Any]]]:
    """What only the owner may see, by every tool that reads, by name and by hash."""
    registry = f"s3://{two.hers if owner == 'ada' else two.his}"
    pinned = f"quilt+{registry}#package=lab/reads@{two.hashes[owner]}"
    return [
        ("packages_list", {"registry": registry}),
        ("package_browse", {"package": "lab/reads", "registry": registry}),
        ("package_browse", {"package": pinned}),
        ("package_log", {"package": "lab/reads", "registry": registry}),
        ("package_diff", {"before": pinned, "after": f"quilt+{registry}#package=lab/reads"}),
        ("package_verify", {"package": pinned}),
        ("object_list", {"location": f"{registry}/lab/"}),
        ("object_read", {"uri": f"{pinned}&path=data/reads.csv"}),
        ("object_read", {"uri": f"{registry}/lab/reads/data/reads.csv"}),
        ("workflow_list", {"registry": registry}),
        (
            "package_create",
            {
                "package": "lab/new",
                "registry": registry,
                "files": [{"path": "x", "text": "x"}],
                "dry_run": True,
            },
        ),
    ]


def test_interleaved_a_thousand_times_nobody_sees_what_is_the_others(two: Two, served: Company) -> None:
    tokens = {name: two.token(name) for name in ("ada", "bob")}
    chance = random.Random(7)
    acts = [
        (who, whose, tool, arguments)
        for who, whose in product(tokens, tokens)
        for tool, arguments in asked(two, whose)
    ]
    wanted = [chance.choice(acts) for _ in range(ROUNDS)]

    async def one(who: str, whose: str, tool: str, arguments: dict[str, Any]) -> None:
        answer = await asyncio.to_thread(
            served.post, tokens[who], "tools/call", name=tool, arguments=arguments
        )
        assert answer.status_code == 200, answer.text
        told = read(answer)["result"]["structuredContent"]
        text = json.dumps(told)
        other = "bob" if who == "ada" else "ada"
        assert two.hashes[other][:12] not in text.replace(json.dumps(arguments), "") or whose == other
        assert f"{other},1" not in text and f"# of {other}" not in text and f'"owner": "{other}"' not in text
        if who == whose:
            assert "error" not in told, (who, tool, told)
        elif tool != "workflow_list":
            assert told["error"]["code"] in REFUSED, (who, tool, told)

    async def all_of_them() -> None:
        turns = asyncio.Semaphore(8)

        async def in_turn(act: tuple[str, str, str, dict[str, Any]]) -> None:
            async with turns:
                await one(*act)

        await asyncio.gather(*(in_turn(act) for act in wanted))

    asyncio.run(all_of_them())
    users = {one["user"] for one in two.stack.s3_requests()}
    assert users <= {"ada", "bob"}, "with the keys of the server's environment nothing was asked"


def test_a_manifest_that_another_user_opened_is_nobody_elses(two: Two, served: Company) -> None:
    """It stands in the server's cache, and its hash is known."""
    pinned = f"quilt+s3://{two.hers}#package=lab/reads@{two.hashes['ada']}"
    ada, bob = two.token("ada"), two.token("bob")
    assert "error" not in served.call(ada, "package_browse", package=pinned)
    assert served.call(bob, "package_browse", package=pinned)["error"]["code"] in REFUSED
    uri = f"{pinned}&path=data/reads.csv"
    assert "error" not in served.call(ada, "object_read", uri=uri)
    assert served.call(bob, "object_read", uri=uri)["error"]["code"] in REFUSED


def test_a_cursor_of_another_user_opens_nothing(two: Two, served: Company) -> None:
    pinned = f"quilt+s3://{two.hers}#package=lab/reads@{two.hashes['ada']}"
    first = served.call(two.token("ada"), "package_browse", package=pinned, limit=1)
    again = {"package": pinned, "limit": 1, "cursor": first["page"]["next_cursor"]}
    assert served.call(two.token("bob"), "package_browse", **again)["error"]["code"] in REFUSED
    assert "error" not in served.call(two.token("ada"), "package_browse", **again)


@pytest.mark.parametrize("layer", ["token", "GraphQL", "credentials", "S3"])
def test_a_user_who_is_refused_at_a_layer_is_served_by_nobody_elses_keys(
    two: Two, served: Company, layer: str
) -> None:
    """The confused deputy: the environment of the server has AWS keys that open everything."""
    ada, bob = two.token("ada"), two.token("bob")
    assert "error" not in served.call(ada, "package_browse", package="lab/reads")
    two.stack.forget()
    match layer:
        case "token":
            two.stack.revoke(bob)
        case "GraphQL":
            two.stack.fault(Fault("/graphql", "Me", status=403, body='{"message": "Forbidden"}', times=1))
        case "credentials":
            two.stack.fault(no_credentials())
        case "S3":
            two.stack.set_role("bob", "of-both")
    answer = served.post(bob, "tools/call", name="package_browse", arguments={"package": "lab/reads"})
    if layer in ("token", "GraphQL"):
        assert answer.status_code == 401
    elif layer == "credentials":
        told = read(answer)["result"]["structuredContent"]
        assert told["data"]["top_hash"] == two.hashes["bob"], "through the stack, as bob"
    else:
        write = {
            "package": "lab/new",
            "registry": f"s3://{two.his}",
            "files": [{"path": "x", "text": "x"}],
        }
        told = served.call(bob, "package_create", **write)
        assert told["error"]["code"] == "permission_denied", told
    assert {one["user"] for one in two.stack.s3_requests()} <= {"bob"}, "nobody else's keys, and no server's"


def test_a_token_that_was_revoked_is_given_nothing_new_while_it_is_still_believed(
    two: Two, served: Company
) -> None:
    """The door believes it for KNOWN_SECONDS at most (``test_known_users``); whatever asks the stack is refused at once."""
    ada = two.token("ada")
    assert served.post(ada).status_code == 200
    two.stack.revoke(ada)
    answer = served.post(ada, "tools/call", name="search", arguments={"query": "x"})
    told = read(answer)["result"]["structuredContent"] if answer.status_code == 200 else None
    assert answer.status_code == 401 or (told and told["error"]["code"] == "sign_in")


def test_nothing_of_the_servers_machine_is_in_reach(two: Two, served: Company) -> None:
    ada = two.token("ada")
    places = [
        "/etc/passwd",
        "file:///etc/passwd",
        "~/.aws/credentials",
        "server.log",
        "./server.log",
        "*.log",
    ]
    told = {served.call(ada, "object_read", uri=place)["error"]["message"] for place in places[:5]}
    assert len(told) == 1, told
    for place in places:
        sources = [{"from": place, "to": "x/"}]
        refused = served.call(ada, "package_create", package="lab/x", sources=sources, dry_run=True)
        assert refused["error"]["code"] in ("outside_roots", "invalid_argument"), (place, refused)
        assert str(served.log.parent) not in json.dumps(refused)
    for registry in ("/tmp", "file:///tmp", str(served.log.parent)):
        assert served.call(ada, "packages_list", registry=registry)["error"]["code"] == "outside_roots"
    installed = served.call(ada, "package_install", package="lab/reads", dest="/tmp/x")
    assert installed["error"]["code"] == "not_supported"
    listed = [tool["name"] for tool in read(served.post(ada))["result"]["tools"]]
    assert "package_install" not in listed and "package_create" in listed
    told = served.call(ada, "status", detail=True)["data"]
    assert told["roots"] == [] and str(served.log.parent) not in json.dumps(told)


def test_a_role_that_was_changed_elsewhere_is_another_users(two: Two, served: Company) -> None:
    bob = two.token("bob")
    told = served.call(bob, "status")["data"]
    assert told["role"] == "of-bob"
    switched = served.call(bob, "role_switch", role="of-both")
    assert "error" not in switched, switched
    told = served.call(bob, "registry_list")["data"]["registries"]
    assert {row["registry"] for row in told} == {f"s3://{two.hers}", f"s3://{two.his}"}


def test_resources_and_completions_are_their_users_own(two: Two, served: Company) -> None:
    ada, bob = two.token("ada"), two.token("bob")
    uri = f"quilt://{two.hers}/lab/reads@{two.hashes['ada']}/data/reads.csv"
    assert "ada,1" in json.dumps(read(served.post(ada, "resources/read", uri=uri)))
    refused = read(served.post(bob, "resources/read", uri=uri))
    assert refused["error"]["data"]["code"] in REFUSED and "ada,1" not in json.dumps(refused)
    given = {
        "ref": {"type": "ref/prompt", "name": "explore_package"},
        "argument": {"name": "package", "value": "lab/"},
    }
    for token in (ada, bob):
        answer = read(served.post(token, "completion/complete", **given))
        text = json.dumps(answer)
        assert (two.his if token == ada else two.hers) not in text
