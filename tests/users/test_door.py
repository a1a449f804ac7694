"""Who is let in: each request by its own bearer, and everybody else by the same answer."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from pathlib import Path

import pytest
from company import Company, Two, company, read

from quilt_mcp.server.http.pages import VIEW
from quilt_mcp.view.page import page, policy


def unsigned(**claims: object) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(
        [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts] + ["x"]
    )


def test_each_user_is_who_the_stack_says(two: Two, served: Company) -> None:
    for name, bucket in (("ada", two.hers), ("bob", two.his)):
        for token in (two.token(name), two.stack.token(name)):
            told = served.call(token, "status")["data"]
            assert (told["user"], told["role"]) == (name, f"of-{name}")
            assert told["registry"] == f"s3://{bucket}"
            assert told["principal"].startswith(f"{name} at ")


def test_every_other_bearer_has_one_and_the_same_answer(two: Two, served: Company) -> None:
    good = two.token("ada")
    revoked = two.token("ada")
    two.stack.revoke(revoked)
    bearers: dict[str, list[tuple[str, str]]] = {
        "none": [],
        "empty": [("Authorization", "")],
        "no scheme": [("Authorization", good)],
        "another scheme": [("Authorization", f"Basic {good}")],
        "two": [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")],
        "two in one": [("Authorization", f"Bearer {good}, Bearer {good}")],
        "malformed": [("Authorization", "Bearer not-a-token")],
        "not ASCII": [("Authorization", "Bearer qk_\xe4")],
        "an API key of nobody": [("Authorization", "Bearer qk_nobody")],
        "an API key that is none": [("Authorization", "Bearer qk_")],
        "expired": [("Authorization", f"Bearer {two.stack.token('ada', seconds=-10)}")],
        "not a signature": [("Authorization", f"Bearer {unsigned(id='ada', exp=time.time() + 900)}")],
        "revoked": [("Authorization", f"Bearer {revoked}")],
        "endless": [("Authorization", f"Bearer qk_{'x' * 20_000}")],
        "in the query": [],
    }
    answers = {}
    for name, headers in bearers.items():
        path = f"/mcp?access_token={good}" if name == "in the query" else "/mcp"
        raw = [("Content-Type", "application/json"), *headers]
        answer = served.send(
            "POST",
            path,
            content=b"{}",
            headers=[(key.encode(), value.encode("latin-1")) for key, value in raw],
        )
        answers[name] = (answer.status_code, answer.text, answer.headers.get("www-authenticate"))
    assert set(answers.values()) == {answers["none"]}, answers
    assert answers["none"][0] == 401
    assert answers["none"][2] == "Bearer", "no metadata where no server issues tokens for this one"


def test_the_scheme_has_no_case(two: Two, served: Company) -> None:
    answer = served.post(None, headers={"Authorization": f"bEaReR  {two.token('ada')}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_know_the_address_alone(served: Company, path: str) -> None:
    answer = served.send("GET", path, headers={"Host": "10.1.2.3:8000"})
    assert answer.status_code == 200
    assert served.send("POST", path).status_code == 404


def test_the_front_page_tells_how_to_connect(two: Two, served: Company) -> None:
    page = served.send("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "claude mcp add" in page.text and two.stack.url in page.text
    shown = html.unescape(page.text)
    assert f"--transport http quilt {served.url} " in shown and f'"url": "{served.url}"' in shown
    assert set(re.findall(r"http://127[^\s\"<)]*", shown)) == {served.url, two.stack.url}
    assert "script" not in page.text
    assert served.send("GET", "/", headers={"Host": "evil.example"}).status_code == 421


def test_the_view_is_a_page_where_it_was_switched_on_and_its_calls_are_the_users(
    two: Two, served: Company, tmp_path: Path
) -> None:
    """The page has no data, so it asks for no token; what it then asks for is each user's own."""
    off, other = served.send("GET", VIEW), served.send("GET", "/other")
    assert (off.status_code, off.text) == (404, other.text)
    assert VIEW not in served.send("GET", "/").text
    with company(two.stack, two.server, tmp_path, QUILT_MCP_VIEW="1") as viewing:
        shown = viewing.send("GET", VIEW)
        assert (shown.status_code, shown.text) == (200, page())
        assert shown.headers["content-security-policy"] == policy()
        assert f"{viewing.origin}{VIEW}" in viewing.send("GET", "/").text
        assert viewing.send("GET", VIEW, headers={"Host": "evil.example"}).status_code == 421
        assert viewing.send("GET", VIEW, headers={"Origin": "https://evil.example"}).status_code == 403
        own = {"Origin": viewing.origin}
        assert viewing.post(None, headers=own).status_code == 401
        for name in ("ada", "bob"):
            answer = viewing.post(
                two.token(name), "tools/call", own, name="package_browse", arguments={"package": "lab/reads"}
            )
            assert read(answer)["result"]["structuredContent"]["data"]["top_hash"] == two.hashes[name]


def test_there_is_no_metadata_of_an_issuer_that_there_is_not(served: Company) -> None:
    assert served.send("GET", "/.well-known/oauth-protected-resource/mcp").status_code == 404


def test_what_statelessness_cannot_give_is_405(two: Two, served: Company) -> None:
    for method in ("GET", "DELETE", "PUT"):
        headers = {"Authorization": f"Bearer {two.token('ada')}"}
        answer = served.send(method, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
