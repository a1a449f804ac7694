"""An authorization server on loopback that issues tokens for a server of many users: keys, metadata, a code for whoever asks."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa


class Authority:
    """``key``, by its id, signs; ``bearer`` makes the claims that a stack would know a user by."""

    def __init__(self, algorithm: str = "RS256") -> None:
        self.algorithm = algorithm
        self.keys: dict[str, Any] = {}
        self.url = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.user = "ada"
        self.issue: Any = None
        self.add_key("one")

    def add_key(self, name: str) -> None:
        self.keys[name] = (
            rsa.generate_private_key(65537, 2048)
            if self.algorithm == "RS256"
            else ec.generate_private_key(ec.SECP256R1())
        )

    def jwks(self) -> dict[str, Any]:
        shape: Any = jwt.algorithms.RSAAlgorithm if self.algorithm == "RS256" else jwt.algorithms.ECAlgorithm
        return {
            "keys": [
                shape.to_jwk(key.public_key(), as_dict=True)
                | {"kid": name, "use": "sig", "alg": self.algorithm}
                for name, key in self.keys.items()
            ]
        }

    def token(self, audience: str, *, key: str = "one", header: Any = None, **claims: Any) -> str:
        told = {
            "iss": self.url,
            "aud": audience,
            "exp": time.time() + 600,
            "nbf": time.time() - 1,
            "sub": self.user,
            "scope": "quilt:read quilt:write",
            "jti": secrets.token_hex(4),
        } | claims
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(
            told, self.keys[key], algorithm=self.algorithm, headers={"kid": key, **(header or {})}
        )


@contextmanager
def authority(algorithm: str = "RS256") -> Iterator[Authority]:
    made = Authority(algorithm)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            parts = urlsplit(self.path)
            if parts.path == "/jwks":
                return self.tell(made.jwks())
            if parts.path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
                return self.tell(
                    {
                        "issuer": made.url,
                        "authorization_endpoint": f"{made.url}/authorize",
                        "token_endpoint": f"{made.url}/token",
                        "registration_endpoint": f"{made.url}/register",
                        "jwks_uri": f"{made.url}/jwks",
                        "response_types_supported": ["code"],
                        "grant_types_supported": ["authorization_code"],
                        "code_challenge_methods_supported": ["S256"],
                        "token_endpoint_auth_methods_supported": ["none"],
                        "scopes_supported": ["quilt:read", "quilt:write"],
                    }
                )
            if parts.path == "/authorize":
                asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
                code = secrets.token_hex(8)
                made.codes[code] = asked
                back = urlencode({"code": code, "state": asked.get("state", ""), "iss": made.url})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()
                return None
            return self.tell({"error": "not_found"}, 404)

        def do_POST(self) -> None:
            made.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/register":
                return self.tell(json.loads(body) | {"client_id": secrets.token_hex(4)}, 201)
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            asked = made.codes.pop(form.get("code", ""), None)
            proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
            if asked is None or asked["code_challenge"] != proof.decode().rstrip("="):
                return self.tell({"error": "invalid_grant"}, 400)
            scope = asked.get("scope", "quilt:read")
            token = made.issue(asked["resource"], scope)
            return self.tell(
                {"access_token": token, "token_type": "Bearer", "expires_in": 600, "scope": scope}
            )

        def tell(self, value: Any, status: int = 200) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    made.issue = lambda resource, scope: made.token(resource, scope=scope)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
