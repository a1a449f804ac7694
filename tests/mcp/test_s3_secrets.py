"""C25 on S3: keys, session tokens and quilt3's tokens appear in no answer and no log, at the loudest level, whatever fails."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from serving import Place
from test_stdout import OPENING, call, talk

from parts import faults
from parts.proxy import Proxy
from parts.quilt_registry import QuiltRegistry
from parts.s3_access import S3Access

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIACANARY",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret",
    "AWS_SESSION_TOKEN": "canary-aws-session",
}
SAID_BY_S3 = faults.Answer(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided.",
    extra="<AWSAccessKeyId>AKIACANARY</AWSAccessKeyId><CanonicalRequest>GET\n/b/k\n\nx-amz-security-token:canary-aws-session"
    "</CanonicalRequest>",
)
"""S3 repeats the headers that it was sent, the session token among them."""
FAULTS = {
    "signature": SAID_BY_S3,
    "expired": faults.EXPIRED_TOKEN,
    "refused": faults.ACCESS_DENIED,
    "failing": faults.INTERNAL_ERROR,
    "lost": faults.LoseResponse(),
    "cut": faults.CutResponse(),
}


@pytest.fixture
def home(tmp_path: Path) -> Place:
    here = tmp_path / "here"
    here.mkdir()
    return Place(tmp_path, tmp_path / "none", here, {})


@pytest.fixture
def bucket(moto: S3Access) -> str:
    bucket = moto.make_bucket()
    with moto.boto() as raw:
        for kind in FAULTS:
            raw.put_object(Bucket=bucket, Key=f"{kind}/read", Body=b"1")
            raw.put_object(Bucket=bucket, Key=f"{kind}//odd", Body=b"1")  # which goes another way
    return bucket


@pytest.fixture
def failing(moto_proxy: Proxy, bucket: str) -> Iterator[None]:
    with ExitStack() as rules:
        for kind, fault in FAULTS.items():
            rules.enter_context(moto_proxy.injecting(fault, key=f"{kind}/*", bucket=bucket))
        yield


def messages(bucket: str) -> list[Any]:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("status", {}),
        ("registry_list", {}),
        ("packages_list", {}),
        ("package_browse", {"package": "no/such"}),
        ("package_create", {"package": "a/b", "files": [{"path": "f", "text": "1"}]}),
        ("package_verify", {"package": "a/b"}),
        ("object_read", {"uri": f"s3://{bucket}/nothing"}),
    ]
    for kind in FAULTS:
        asked += [("object_read", {"uri": f"s3://{bucket}/{kind}/{key}"}) for key in ("read", "/odd")]
        asked.append(("object_put", {"uri": f"s3://{bucket}/{kind}/new", "text": "x"}))
        asked.append(("object_list", {"location": f"s3://{bucket}/{kind}/"}))
    numbered = [call(number, tool, **arguments) for number, (tool, arguments) in enumerate(asked, 1)]
    status = {"jsonrpc": "2.0", "id": 0, "method": "resources/read", "params": {"uri": "quilt://status"}}
    return [*OPENING, *numbered, status | {"id": len(numbered) + 1}]


def command(backend: str) -> list[str]:
    return [sys.executable, "-m", "quilt_mcp", "--allow-write", "--log-level", "debug", "--backend", backend]


def failed(found: dict[Any, Any]) -> int:
    return sum(bool(message.get("result", {}).get("isError")) for message in found.values())


def test_aws_keys_appear_nowhere_but_in_the_signed_link_they_are_asked_for(
    home: Place, bucket: str, moto: S3Access, moto_proxy: Proxy, failing: None
) -> None:
    variables = moto.via(moto_proxy.url).environment() | KEYS | {"QUILT_DEFAULT_REGISTRY": f"s3://{bucket}"}
    asked = messages(bucket)
    link = call(len(asked), "object_link", uri=f"s3://{bucket}/{next(iter(FAULTS))}-linked")
    with moto.boto() as raw:
        raw.put_object(Bucket=bucket, Key=f"{next(iter(FAULTS))}-linked", Body=b"1")
    found, log = talk(command("iam"), home, [*asked, link], **variables)
    linked = json.dumps(found.pop(link["id"]))
    assert "canary-aws-session" in linked and "canary-aws-secret" not in linked
    assert failed(found) >= 3 * len(FAULTS) - 4, "the faults show"
    assert "canary" not in (json.dumps(found) + log).lower()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("state", ["good", "ended and renewed", "refused", "out of order"])
def test_the_tokens_of_a_quilt3_session_appear_nowhere(
    state: str, home: Place, bucket: str, moto: S3Access, moto_proxy: Proxy, failing: None
) -> None:
    folder = home.home / "data" / "Quilt"
    folder.mkdir(parents=True)
    with QuiltRegistry() as registry:
        registry.refresh_token, registry.access_token = "canary-refresh", "canary-access"
        entry = registry.entry(3600 if state == "good" else -10)
        (folder / "config.yml").write_text(
            f"registryUrl: {registry.url}\nnavigator_url: https://catalog.example\n"
        )
        (folder / "auth.json").write_text(json.dumps({registry.url: entry}))
        kind = {"Content-Type": "application/json"}
        keys = {
            "AccessKeyId": "ASIACANARY",
            "SecretAccessKey": "canary-secret",
            "SessionToken": "canary-session",
            "Expiration": "2099-01-01T00:00:00+00:00",
        }
        registry.answers["/api/auth/get_credentials"] = (200, kind, json.dumps(keys).encode())
        if state == "ended and renewed":
            renewed = {
                "refresh_token": "canary-2",
                "access_token": "canary-3",
                "expires_at": time.time() + 9_999,
            }
            registry.answers["/api/token"] = (200, kind, json.dumps(renewed).encode())
        elif state == "refused":
            registry.answers["/api/token"] = (200, kind, b'{"error": "canary-refresh is not known here"}')
        elif state == "out of order":
            registry.answers["/api/token"] = (502, {}, b"<html>refresh_token=canary-refresh</html>")
        variables = {
            "AWS_ENDPOINT_URL": moto_proxy.url,
            "AWS_REGION": moto.region,
            "XDG_DATA_HOME": str(home.home / "data"),
            "QUILT_DEFAULT_REGISTRY": f"s3://{bucket}",
        }
        found, log = talk(command("quilt3"), home, messages(bucket), **variables)
        assert registry.requests
    is_signed_in = state in ("good", "ended and renewed")
    assert bool(found[1]["result"].get("isError")) is not is_signed_in
    assert "canary" not in (json.dumps(found) + log).lower()
