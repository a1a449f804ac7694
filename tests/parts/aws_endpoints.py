"""What gives AWS credentials, on loopback: STS, SSO, an instance's metadata service and a container's.

botocore talks to them as it does to AWS: the addresses come from its own variables.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROLE = "arn:aws:iam::123456789012:role/reader"
START_URL = "https://lab.awsapps.example/start"


class AwsEndpoints:
    """``refuse`` maps what is asked (AssumeRole, GetRoleCredentials, metadata, container) to a status and an error code."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.refuse: dict[str, tuple[int, str]] = {}
        self.lasts = timedelta(hours=1)
        self.sso_token = "sso-token"
        self.number = 0
        self.lock = threading.Lock()
        endpoints = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                endpoints.serve(self)

            do_PUT = do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> AwsEndpoints:
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        parts = urlsplit(request.path)
        asked, status, content = self.answer(request, parts.path, body)
        with self.lock:
            self.requests[asked] += 1
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        if asked == "GetRoleCredentials" and status >= 400:
            request.send_header("x-amzn-errortype", self.refuse[asked][1])
        request.end_headers()
        request.wfile.write(content)

    def answer(self, request: BaseHTTPRequestHandler, path: str, body: str) -> tuple[str, int, bytes]:
        if path == "/federation/credentials":
            return self.sso(request)
        if path == "/container":
            return self.metadata("container", token_field="Token")
        if path == "/latest/api/token":
            return ("metadata token", *self.refused_or("metadata", b"imds-token"))
        if path == "/latest/meta-data/iam/security-credentials/":
            return ("metadata role", *self.refused_or("metadata", b"instance"))
        if path == "/latest/meta-data/iam/security-credentials/instance":
            return self.metadata("metadata", token_field="Token")
        return self.sts(parse_qs(body))

    def refused_or(self, asked: str, content: bytes) -> tuple[int, bytes]:
        if asked in self.refuse:
            return self.refuse[asked][0], b""
        return 200, content

    def metadata(self, asked: str, token_field: str) -> tuple[str, int, bytes]:
        keys = self.keys()
        content = json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": keys[0],
                "SecretAccessKey": keys[1],
                token_field: keys[2],
                "Expiration": self.expires(),
            }
        )
        return (asked, *self.refused_or(asked, content.encode()))

    def sso(self, request: BaseHTTPRequestHandler) -> tuple[str, int, bytes]:
        asked = "GetRoleCredentials"
        if asked in self.refuse:
            return asked, self.refuse[asked][0], b'{"message": "no"}'
        if request.headers.get("x-amz-sso_bearer_token") != self.sso_token:
            self.refuse[asked] = (401, "UnauthorizedException")
            return asked, 401, b'{"message": "Session token not found or invalid"}'
        keys = self.keys()
        ends = int((datetime.now(UTC) + self.lasts).timestamp() * 1000)
        names = ("accessKeyId", "secretAccessKey", "sessionToken")
        return (
            asked,
            200,
            json.dumps(
                {"roleCredentials": dict(zip(names, keys, strict=True)) | {"expiration": ends}}
            ).encode(),
        )

    def sts(self, form: dict[str, list[str]]) -> tuple[str, int, bytes]:
        asked = form.get("Action", ["?"])[0]
        if asked in self.refuse:
            status, code = self.refuse[asked]
            return (
                asked,
                status,
                (
                    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                    f"<Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
                ).encode(),
            )
        access, secret, token = self.keys()
        return (
            asked,
            200,
            (
                f'<{asked}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{asked}Result><Credentials>'
                f"<AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
                f"<SessionToken>{token}</SessionToken><Expiration>{self.expires()}</Expiration></Credentials>"
                f"<AssumedRoleUser><Arn>{ROLE}</Arn><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>"
                f"</{asked}Result></{asked}Response>"
            ).encode(),
        )

    def keys(self) -> tuple[str, str, str]:
        with self.lock:
            self.number += 1
            return f"ASIALOOPBACK{self.number:08d}", f"secret-{self.number}", f"session-{self.number}"

    def expires(self) -> str:
        return (datetime.now(UTC) + self.lasts).strftime("%Y-%m-%dT%H:%M:%SZ")

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ENDPOINT_URL_SSO": self.url,
            "AWS_ENDPOINT_URL_SSO_OIDC": self.url,
        }


def write_sso_token(cache: Path, token: str, expires: datetime, session: str | None = None) -> None:
    """As ``aws sso login`` does."""
    cache.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha1((session or START_URL).encode()).hexdigest()
    content = {
        "startUrl": START_URL,
        "region": "us-east-1",
        "accessToken": token,
        "expiresAt": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    (cache / f"{name}.json").write_text(json.dumps(content))
