"""Two users with disjoint rights on one server: whatever is refused, neither is ever served by what is the other's."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest
from company import Company, Two, read, until

from parts.stack import Fault
from parts.stack.faults import no_credentials

ROUNDS = 9 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 1
REFUSED = {"permission_denied", "registry_not_found", "package_not_found", "object_not_found"}


@pytest.fixture(autouse=True)
def as_it_was(two: Two) -> Iterator[None]:
    yield
    two.stack.clear_faults()
    two.stack.set_s3_silence(0.0)
    two.stack.set_role("bob", "of-bob")


@dataclass(frozen=True)
class Ask:
    """A request about what only its owner may see. ``shows``: what stands in the owner's answer. ``is_refused``: whether anybody
    else's is an error; any other has nothing of the owner's in it."""

    method: str
    params: dict[str, Any]
    shows: str
    is_refused: bool = True


def asked(two: Two, owner: str) -> list[Ask]:
    """By every tool that reads, by resources and by completions, by name and by hash."""
    bucket = two.bucket(owner)
    registry, only, short = f"s3://{bucket}", f"only-{owner}", two.hashes[owner][:8]
    pinned = f"quilt+{registry}#package=lab/reads@{two.hashes[owner]}"
    prompt, revision = (
        {"type": "ref/prompt", "name": "explore_package"},
        {"name": "package", "value": "lab/reads@"},
    )
    here, new = {"package": "lab/reads", "registry": registry}, [{"path": "x", "text": "x"}]

    def tool(name: str, shows: str, *, is_refused: bool = True, **arguments: Any) -> Ask:
        return Ask("tools/call", {"name": name, "arguments": arguments}, shows, is_refused)

    def resource(uri: str, shows: str, *, is_refused: bool = True) -> Ask:
        return Ask("resources/read", {"uri": uri}, shows, is_refused)

    def completion(name: str, value: str, shows: str, *, is_refused: bool = True, **known: str) -> Ask:
        ref = {"type": "ref/resource", "uri": "quilt://{registry}/{+package}/{+path}"}
        argument, context = {"name": name, "value": value}, {"arguments": known}
        params = {"ref": ref, "argument": argument, "context": context}
        return Ask("completion/complete", params, shows, is_refused)

    return [
        tool("packages_list", "lab/reads", registry=registry),
        tool("package_browse", short, **here),
        tool("package_browse", short, package=pinned),
        tool("package_browse", only, package=pinned, recursive=True),
        tool("package_log", f"pushed by {owner}", **here),
        tool("package_diff", "total", before=pinned, after=f"quilt+{registry}#package=lab/reads"),
        tool(
            "package_diff",
            '"cells_changed": 0',
            before=f"{pinned}&path=data/reads.csv",
            after=f"{pinned}&path=data/{only}.csv",
            content=True,
        ),
        tool("package_verify", short, package=pinned),
        tool("package_create", "lab/new", package="lab/new", registry=registry, files=new, dry_run=True),
        tool("object_list", only, location=f"{registry}/lab/reads/data/"),
        tool("object_read", f"{owner},1", uri=f"{pinned}&path=data/reads.csv"),
        tool("object_read", f"{owner},1", uri=f"{registry}/lab/reads/data/reads.csv"),
        tool("object_link", "reads.csv?", uri=f"{pinned}&path=data/reads.csv", download=True),
        tool("object_link", "reads.csv?", uri=f"{registry}/lab/reads/data/reads.csv", download=True),
        tool("object_link", only, package=pinned, path="data", download=True),
        tool("workflow_list", "no_workflows", registry=registry),
        tool("search", short, query="reads", registries=[registry], is_refused=False),
        tool("search", only, query="only", scope="objects", registries=[registry], is_refused=False),
        tool("search", short, query=f'"pushed by {owner}"', is_refused=False),
        tool("sql_query", f'"{owner}"', sql="SELECT * FROM 'data/reads.csv'", packages=[pinned]),
        tool("sql_query", owner, sql=f"SELECT * FROM '{registry}/lab/reads/data/reads.csv'"),
        tool("sql_tables", "data/reads.csv", packages=[pinned]),
        tool("registry_list", bucket, is_refused=False),
        tool("status", bucket, is_refused=False),
        resource(f"quilt://{bucket}/lab/reads@{two.hashes[owner]}/data/reads.csv", f"{owner},1"),
        resource("quilt://buckets", bucket, is_refused=False),
        resource("quilt://status", bucket, is_refused=False),
        completion("registry", "", bucket, is_refused=False),
        completion("package", "lab/", "lab/reads", registry=bucket),
        completion("package", "lab/reads@", short, registry=bucket),
        completion("path", "data/", only, registry=bucket, package="lab/reads"),
        Ask("completion/complete", {"ref": prompt, "argument": revision}, short, False),
        Ask("prompts/get", {"name": "explore_package", "arguments": {"package": pinned}}, short, False),
    ]


def secrets_of(two: Two, owner: str) -> list[str]:
    """What stands in nobody else's answers, unless it was in the question."""
    bucket = two.bucket(owner)
    words = [f"{owner},1", f"# of {owner}", f'"owner": "{owner}"', f"pushed by {owner}", f"only-{owner}"]
    return [*words, bucket, two.hashes[owner][:8]]


def test_interleaved_nobody_sees_what_is_the_others(two: Two, served: Company) -> None:
    two.stack.forget()
    tokens = {name: two.token(name) for name in ("ada", "bob")}
    acts = [(who, whose, ask) for who, whose in product(tokens, tokens) for ask in asked(two, whose)]
    wanted = acts * ROUNDS
    random.Random(7).shuffle(wanted)

    def one(who: str, whose: str, ask: Ask) -> None:
        answer = served.post(tokens[who], ask.method, **ask.params)
        assert answer.status_code == 200, answer.text
        message = read(answer)
        told = message["result"].get("structuredContent", message["result"]) if "result" in message else {}
        code = told.get("error", {}).get("code") or message.get("error", {}).get("data", {}).get("code")
        text, question = json.dumps(message).replace('\\"', '"'), json.dumps(ask.params)
        other = "bob" if who == "ada" else "ada"
        for word in secrets_of(two, other):
            assert word not in text or word in question, (who, ask, word, text)
        if who == whose:
            assert code is None and ask.shows in text, (who, ask, text)
        elif ask.is_refused:
            assert code in REFUSED, (who, ask, text)

    with ThreadPoolExecutor(8) as turns:
        for done in [turns.submit(one, *act) for act in wanted]:
            done.result()
    users = {one["user"] for one in two.stack.s3_requests()}
    assert users == {"ada", "bob"}, "with the keys of the server's environment nothing was asked"


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


def test_a_kept_result_is_paged_through_by_whose_it_is_and_on_this_server_alone(
    two: Two, served: Company, impatient: Company
) -> None:
    """Whoever else asks the very same, with the very cursor, is told that it is gone, whatever he may see himself."""
    packages = [f"quilt+s3://{two.hers}#package=lab/reads@{two.hashes['ada']}"]
    query = {"sql": "SELECT a, range AS n FROM 'data/reads.csv', range(9)", "packages": packages, "limit": 4}
    ada, bob = two.token("ada"), two.token("bob")
    query["cursor"] = served.call(ada, "sql_query", **query)["page"]["next_cursor"]
    for told in (served.call(bob, "sql_query", **query), impatient.call(ada, "sql_query", **query)):
        assert told["error"]["details"]["reason"] == "cursor_expired", told
        assert "data" not in told and "without cursor" in told["error"]["next_step"]
    assert served.call(ada, "sql_query", **query)["data"]["rows"] == [["ada", n] for n in range(4, 8)]


@pytest.mark.sampled(2)
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


def test_a_role_that_was_changed_elsewhere_is_another_users(two: Two, impatient: Company) -> None:
    """Once the new role is told, nothing is served by the old one's rights: neither by what is remembered, nor by its keys."""
    two.stack.add_user("cem", roles=("of-bob", "of-ada"))
    numbers = count()

    def is_served(token: str, whose: str) -> bool:
        registry = f"s3://{two.bucket(whose)}"
        pinned = f"quilt+{registry}#package=lab/reads@{two.hashes[whose]}"
        new = {"package": f"cem/n{next(numbers)}", "files": [{"path": "x", "text": "x"}]}
        told = [
            impatient.call(token, "package_browse", package=pinned),
            impatient.call(token, "object_read", uri=f"{pinned}&path=data/reads.csv"),
            impatient.call(token, "sql_query", sql="FROM 'data/reads.csv'", packages=[pinned]),
            impatient.call(token, "package_create", registry=registry, **new),
        ]
        codes = {one.get("error", {}).get("code") for one in told}
        assert codes == {None} or codes <= REFUSED, told
        return codes == {None}

    tokens = [two.token("cem"), two.stack.token("cem")]
    for token in tokens:
        assert impatient.call(token, "status")["data"]["role"] == "of-bob"
        assert is_served(token, "bob") and not is_served(token, "ada")
    kept = {"sql": "SELECT range AS n FROM range(9)", "limit": 4}
    cursors = [impatient.call(token, "sql_query", **kept)["page"]["next_cursor"] for token in tokens]
    two.stack.set_role("cem", "of-ada")
    for token, cursor in zip(tokens, cursors, strict=True):
        until(partial(has_role, impatient, token, "of-ada"), looks=200)
        assert is_served(token, "ada") and not is_served(token, "bob")
        paged = impatient.call(token, "sql_query", **kept, cursor=cursor)
        assert paged["error"]["details"]["reason"] == "cursor_expired", paged
        told = impatient.call(token, "registry_list")["data"]["registries"]
        assert [row["registry"] for row in told] == [f"s3://{two.hers}"]


def has_role(served: Company, token: str, role: str) -> bool:
    return served.call(token, "status")["data"]["role"] == role


def test_a_token_that_was_revoked_ends_at_the_door_and_opens_nothing(two: Two, impatient: Company) -> None:
    for token in (two.token("ada"), two.stack.token("ada")):
        pinned = f"quilt+s3://{two.hers}#package=lab/reads@{two.hashes['ada']}"
        assert "error" not in impatient.call(token, "package_browse", package=pinned)
        two.stack.revoke(token)
        until(partial(is_answered, impatient, token, 401), looks=200)
        two.stack.forget()
        for ask in asked(two, "ada"):
            assert impatient.post(token, ask.method, **ask.params).status_code == 401, ask
        assert two.stack.s3_requests() == []
    assert impatient.post(two.token("ada")).status_code == 200, "her other tokens hold"


def is_answered(served: Company, token: str, status: int) -> bool:
    return served.post(token).status_code == status


def test_a_call_at_work_whose_token_is_revoked_ends_when_its_keys_are_asked_for_and_makes_no_package(
    two: Two, impatient: Company
) -> None:
    """It goes on for ROLE_SECONDS at most, which is how long its AWS keys are used before the stack is asked again whose they
    are; then it is refused, and asks S3 for nothing more."""
    ada = two.token("ada")
    files = [{"path": f"f{number}", "text": "x"} for number in range(300)]
    wanted = {"package": "revoked/midway", "registry": f"s3://{two.hers}", "files": files}
    impatient.call(ada, "status")
    two.stack.forget()
    two.stack.set_s3_silence(0.5)
    with ThreadPoolExecutor(1) as others:
        running = others.submit(impatient.call, ada, "package_create", **wanted)
        until(lambda: [one for one in two.stack.s3_requests() if one["method"] == "PUT"])
        two.stack.revoke(ada)
        told = running.result()
    assert told["error"]["code"] == "sign_in", told
    assert {one["user"] for one in two.stack.s3_requests()} == {"ada"}
    assert impatient.post(ada).status_code == 401
    two.stack.forget()
    time.sleep(1)
    assert two.stack.s3_requests() == [], "nothing goes on after the answer"
    with two.server.boto() as raw:
        found = raw.list_objects_v2(Bucket=two.hers, Prefix=".quilt/named_packages/revoked/")
    assert found["KeyCount"] == 0


NAMES = {
    "ada": "ada",
    "Ada": "Ada",
    "ada ": "ada ",
    "ada at x": "ada at x",
    "\u00e1da": "\u00e1da",
    "a\u0301da": "a\u0301da",
    "ada\u202e": "ada\\u202e",
    'ada", "outcome": "none': 'ada", "outcome": "none',
    'ada\n{"principal": "bob"}': 'ada\n{"principal": "bob"}',
    "ada\\": "ada\\",
    "ada\r\x00\x1b[2J": "ada\\r\\u0000\\u001b[2J",
}
"""And how each is shown."""


def written_since(log: Path, before: int, count: int) -> list[str]:
    """The audit's lines after so many letters, when there are so many lines: no call waits for its own."""

    def told() -> list[str]:
        # The server's own words stand among them.
        return [
            line
            for line in log.read_text()[before:].splitlines(keepends=True)
            if '"tool": ' in line and line.endswith("\n")
        ]

    until(lambda: len(told()) >= count)
    return told()


def test_users_whose_names_look_alike_are_each_only_themselves(two: Two, impatient: Company) -> None:
    """Every second sees what ada sees, the others what bob does. What the first has at work is not the others'."""
    owners = {name: ("ada", "bob")[number % 2] for number, name in enumerate(NAMES)}
    for name, owner in owners.items():
        two.stack.add_user(name, roles=(f"of-{owner}",))
    tokens = {name: two.token(name) for name in NAMES}
    before = len(impatient.log.read_text())

    def one(name: str) -> None:
        told = impatient.call(tokens[name], "status")["data"]
        assert (told["user"], told["role"]) == (NAMES[name], f"of-{owners[name]}")
        found = impatient.call(tokens[name], "package_browse", package="lab/reads")
        assert found.get("data", found).get("top_hash") == two.hashes[owners[name]], (name, found)

    with ThreadPoolExecutor(8) as turns:
        for _ in range(3):  # each asks once at a time: it may have two at work
            for done in [turns.submit(one, name) for name in NAMES]:
                done.result()
    lines = written_since(impatient.log, before, 2 * 3 * len(NAMES))
    noted = Counter(told["principal"] for told in map(json.loads, lines) if told["tool"] == "package_browse")
    assert noted == dict.fromkeys(NAMES, 3)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(impatient.begun(tokens["ada"], "Content-Length: 9"))
        until(lambda: impatient.post(tokens["ada"]).status_code == 429)
        assert {impatient.post(tokens[name]).status_code for name in NAMES if name != "ada"} == {200}


def test_what_is_struck_out_of_the_audit_leaves_its_lines_json(two: Two, impatient: Company) -> None:
    ada = two.token("ada")
    before = len(impatient.log.read_text())
    for secret in (
        'x?X-Amz-Signature=0123456789abcdef"',
        'Bearer 0123456789abcdef"',
        "x?X-Amz-Signature=0123\\",
    ):
        impatient.call(ada, "object_read", uri=f"s3://{two.hers}/{secret}")
    lines = written_since(impatient.log, before, 3)
    assert [json.loads(line)["tool"] for line in lines] == ["object_read"] * 3
    assert not [line for line in lines if "0123" in line]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("scope", ["packages", "entries"])
def test_a_server_of_many_keeps_no_catalog_of_anybody(two: Two, impatient: Company, scope: str) -> None:
    engine = {"engine": "local"} if scope == "packages" else {}  # files are searched over a catalog alone
    refused = impatient.call(two.token("ada"), "search", query="reads", scope=scope, **engine)
    assert refused["error"]["code"] == "not_supported" and "catalog" in refused["error"]["message"]
