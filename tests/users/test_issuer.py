"""Tokens of a server that issues them for this one: checked here first, and then asked about at the stack."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import jwt
import pytest
from company import Company, Two, company, free_port, read
from cryptography.hazmat.primitives import serialization
from issuing import Authority, authority
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

from quilt_mcp.errors import AuthenticationError
from quilt_mcp.server.users.issuer import Issuer

RESOURCE = "https://quilt.example.com/mcp"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Authority]:
    with authority() as made:
        yield made


@pytest.fixture(scope="module")
def guarded(two: Two, issuer: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    port = free_port()
    variables = {
        "QUILT_MCP_ISSUER": issuer.url,
        "QUILT_MCP_ISSUER_KEYS": f"{issuer.url}/jwks",
        "QUILT_MCP_AUDIENCE": RESOURCE,
        "QUILT_MCP_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    home = tmp_path_factory.mktemp("guarded")
    with company(two.stack, two.server, home, "--allow-write", port=port, **variables) as found:
        yield found


def pem(issuer: Authority) -> bytes:
    public = issuer.keys["one"].public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def with_secret(issuer: Authority, secret: bytes, **header: Any) -> str:
    """A JWT by HMAC, which libraries themselves refuse to make with a public key."""
    claims = {"iss": issuer.url, "aud": RESOURCE, "exp": time.time() + 600, "scope": "quilt:read quilt:write"}
    signed = f"{part({'alg': 'HS256', 'kid': 'one', **header})}.{part(claims)}"
    mac = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), hashlib.sha256)).decode().rstrip("=")
    return f"{signed}.{mac}"


def test_a_token_that_holds_is_its_users(two: Two, issuer: Authority, guarded: Company) -> None:
    token = issuer.token(RESOURCE)
    two.stack.accept(token, "ada")
    assert guarded.call(token, "status")["data"]["user"] == "ada"
    assert guarded.call(two.token("bob"), "status")["data"]["user"] == "bob", "an API key is the stack's own"


def test_a_token_that_holds_and_is_nobodys_at_the_stack_is_refused(
    issuer: Authority, guarded: Company
) -> None:
    assert guarded.post(issuer.token(RESOURCE)).status_code == 401


def test_what_is_not_signed_for_this_server_is_refused_alike_and_the_stack_is_not_asked(
    two: Two, issuer: Authority, guarded: Company
) -> None:
    good = issuer.token(RESOURCE)
    head, body, _ = good.split(".")
    with authority() as other:
        strange = {
            "another audience": issuer.token("https://other.example.com/mcp"),
            "no audience": issuer.token(RESOURCE, aud=None),
            "another issuer": issuer.token(RESOURCE, iss="https://evil.example"),
            "expired": issuer.token(RESOURCE, exp=time.time() - 3600),
            "no end": issuer.token(RESOURCE, exp=None),
            "not yet": issuer.token(RESOURCE, nbf=time.time() + 3600),
            "another's key": other.token(RESOURCE, iss=issuer.url),
            "alg none": f"{part({'alg': 'none'})}.{body}.x",
            "HMAC with the public key": with_secret(issuer, pem(issuer)),
            "no signature": f"{head}.{body}.AAAA",
            "a key id that is a path": issuer.token(RESOURCE, header={"kid": "../../etc/passwd"}),
            "a key id that is a URL": issuer.token(RESOURCE, header={"kid": f"{other.url}/jwks"}),
            "keys of its own": other.token(RESOURCE, iss=issuer.url, header={"jku": f"{other.url}/jwks"}),
            "something critical": issuer.token(RESOURCE, header={"crit": ["exp"], "exp": 1}),
            "the stack's own": two.stack.token("ada"),
        }
        two.stack.forget()
        answers = {name: guarded.post(token) for name, token in strange.items()}
        assert other.asked == [], "no address in a token is followed"
    nothing = guarded.post(None)
    for name, answer in answers.items():
        assert (answer.status_code, answer.text) == (401, nothing.text), name
        assert answer.headers["www-authenticate"] == nothing.headers["www-authenticate"], name
    assert not [one for one in two.stack.requests() if one["operation"] == "Me"]


def test_without_the_scope_to_read_it_is_403_and_without_that_to_write_nothing_is_written(
    two: Two, issuer: Authority, guarded: Company
) -> None:
    none, reads = issuer.token(RESOURCE, scope=""), issuer.token(RESOURCE, scope="quilt:read")
    for token in (none, reads):
        two.stack.accept(token, "ada")
    answer = guarded.post(none)
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="quilt:read"' in answer.headers["www-authenticate"]
    listed = {tool["name"] for tool in read(guarded.post(reads))["result"]["tools"]}
    assert "package_browse" in listed and "package_create" not in listed
    assert "error" not in guarded.call(reads, "package_browse", package="lab/reads")
    wanted = {"package": "lab/no", "files": [{"path": "x", "text": "x"}]}
    answer = guarded.post(reads, "tools/call", name="package_create", arguments=wanted)
    assert answer.status_code == 403
    assert 'scope="quilt:read quilt:write"' in answer.headers["www-authenticate"]
    both = issuer.token(RESOURCE)
    two.stack.accept(both, "ada")
    listed = {tool["name"] for tool in read(guarded.post(both))["result"]["tools"]}
    assert "package_create" in listed, "a listing is that bearer's own"


class Memory(TokenStorage):
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@pytest.mark.anyio
async def test_a_client_follows_401_the_metadata_and_the_authorization_server_and_comes_back(
    two: Two, issuer: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("signed-in")
    variables = {"QUILT_MCP_ISSUER": issuer.url, "QUILT_MCP_ISSUER_KEYS": f"{issuer.url}/jwks"}

    def issue(resource: str, scope: str) -> str:
        token = issuer.token(resource, scope=scope)
        two.stack.accept(token, "ada")
        return token

    issuer.issue = issue
    port = free_port()
    variables["QUILT_MCP_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    with company(two.stack, two.server, home, port=port, **variables) as found:
        came_back: dict[str, str] = {}

        async def open_browser(url: str) -> None:
            async with httpx2.AsyncClient(trust_env=False) as browser:
                answer = await browser.get(url, follow_redirects=False)
            asked = parse_qs(urlsplit(answer.headers["location"]).query)
            came_back.update({name: values[0] for name, values in asked.items()})

        async def called_back() -> AuthorizationCodeResult:
            return AuthorizationCodeResult.model_validate(came_back)

        provider = OAuthClientProvider(
            server_url=found.url,
            client_metadata=OAuthClientMetadata(
                client_name="a client",
                redirect_uris=["http://127.0.0.1:1/callback"],
                token_endpoint_auth_method="none",
            ),
            storage=Memory(),
            redirect_handler=open_browser,
            callback_handler=called_back,
        )
        async with create_mcp_http_client(auth=provider) as http:
            transport = streamable_http_client(found.url, http_client=http)
            async with Client(transport, read_timeout_seconds=60) as client:
                told = await client.call_tool("status", {})
        assert told.structured_content["data"]["user"] == "ada"


@pytest.mark.anyio
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_keys_are_asked_for_once_and_again_for_one_that_is_new(algorithm: Any) -> None:
    with authority(algorithm) as made:
        now = 1_000.0
        issuer = Issuer(made.url, f"{made.url}/jwks", RESOURCE, algorithm, clock=lambda: now)
        for _ in range(3):
            assert await issuer.scopes(made.token(RESOURCE)) == {"quilt:read", "quilt:write"}
        assert made.asked == ["/jwks"]
        made.add_key("two")
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await issuer.scopes(made.token(RESOURCE, key="two"))
        assert made.asked == ["/jwks"], "a flood of strange key ids asks nobody"
        now += 11
        await issuer.scopes(made.token(RESOURCE, key="two"))
        assert made.asked == ["/jwks"] * 2
    assert jwt.get_unverified_header(made.token(RESOURCE))["alg"] == algorithm
    now += 5_000
    assert await issuer.scopes(made.token(RESOURCE)), "keys that are held serve while the issuer is away"


@pytest.mark.anyio
async def test_an_issuer_that_tells_no_keys_or_falls_silent_keeps_no_known_key_waiting() -> None:
    now = 1_000.0
    with authority() as made:
        issuer = Issuer(made.url, f"{made.url}/jwks", RESOURCE, "RS256", clock=lambda: now)
        token = made.token(RESOURCE)
        assert await issuer.scopes(token)
        keys, made.keys = made.keys, {}
        now += 700
        for _ in range(3):
            assert await issuer.scopes(token), "a set of no keys replaces none"
            await asyncio.sleep(0.2)
        assert made.asked == ["/jwks"] * 2
        made.keys = keys
        port = int(made.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):  # takes the connection, and answers nothing
        now += 700
        with anyio.fail_after(2):
            for _ in range(3):
                assert await issuer.scopes(token)
