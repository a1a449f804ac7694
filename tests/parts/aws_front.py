"""AWS S3 itself, as far as its clients can tell: an HTTPS proxy on loopback before a server of the tests.

Clients that are given the proxy (``HTTPS_PROXY``) and its authority (``AWS_CA_BUNDLE``) ask for ``s3.REGION.amazonaws.com`` and
get there. Each bucket has a region, and a request that comes to another one's host is sent away as AWS does: 301, with the
region in a header.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?P<region>[a-z]{2}-[a-z]+-[0-9]))?\.amazonaws\.com")
_HOP = {"connection", "transfer-encoding", "content-length", "host", "expect"}
DEFAULT_REGION = "us-east-1"


class AwsFront:
    """``regions`` of buckets; others are in us-east-1. ``folder`` gets the certificates, good for ``more`` regions, too."""

    def __init__(self, upstream: str, folder: Path, regions: Mapping[str, str], *more: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.regions = dict(regions)
        self.hosts: Counter[str] = Counter()
        """Names that were asked for."""
        self.sent_away: list[tuple[str, str]] = []
        """(bucket, region asked) of each request that came to the wrong region."""
        self.authority = folder / "authority.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_certificates(folder, {DEFAULT_REGION, *self.regions.values(), *more}))
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                front.hosts[self.path.partition(":")[0]] += 1
                self.send_response(200)
                self.end_headers()
                with suppress(OSError), context.wrap_socket(self.connection, server_side=True) as inside:
                    _Inside(front, inside, self.client_address, self.server)
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Handler, partial(_Inside, self))
        ]
        self.servers[1].socket = context.wrap_socket(self.servers[1].socket, server_side=True)
        ports = [server.server_address[1] for server in self.servers]
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.direct = f"https://127.0.0.1:{ports[1]}"
        """The server itself over TLS, without the proxy: one of somebody's own, of no region."""

    def __enter__(self) -> AwsFront:
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def environment(self) -> dict[str, str]:
        return {"HTTPS_PROXY": self.url, "AWS_CA_BUNDLE": str(self.authority)}


class _Inside(BaseHTTPRequestHandler):
    """The requests of one connection, TLS taken off."""

    protocol_version = "HTTP/1.1"

    def __init__(self, front: AwsFront, connection: ssl.SSLSocket, address: Any, server: Any) -> None:
        self.front = front
        super().__init__(connection, address, server)

    def answer(self) -> None:
        host = _HOST.fullmatch(self.headers["Host"].partition(":")[0])
        path = f"/{host['bucket']}{self.path}" if host and host["bucket"] else self.path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bucket = path.lstrip("/").partition("?")[0].partition("/")[0]
        region = self.front.regions.get(bucket, DEFAULT_REGION)
        asked = (host["region"] or DEFAULT_REGION) if host else region
        if bucket and asked != region:
            self.front.sent_away.append((bucket, asked))
            gone = b"<Error><Code>PermanentRedirect</Code><Message>Use another endpoint.</Message></Error>"
            self.reply(301, {"x-amz-bucket-region": region}, gone)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        upstream = http.client.HTTPConnection(self.front.upstream, timeout=30)
        try:
            upstream.request(self.command, path, body, headers)
            found = upstream.getresponse()
            kept = {name: value for name, value in found.getheaders() if name.lower() not in _HOP}
            length = found.getheader("Content-Length") if self.command == "HEAD" else None
            self.reply(found.status, {**kept, "x-amz-bucket-region": region}, found.read(), length)
        finally:
            upstream.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def reply(self, status: int, headers: Mapping[str, str], body: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _certificates(folder: Path, regions: set[str]) -> Path:
    """Writes the authority's certificate, and the server's beside its key (whose path is the answer). Those there stay."""
    both = folder / "server.pem"
    if both.exists():
        return both
    now = datetime.now(UTC)
    own_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])

    def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(own_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    own = certificate(own_name, own_key).add_extension(x509.BasicConstraints(True, None), critical=True)
    (folder / "authority.pem").write_bytes(
        own.sign(own_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    hosts = ["s3.amazonaws.com", *(f"s3.{region}.amazonaws.com" for region in sorted(regions))]
    names = x509.SubjectAlternativeName(
        [
            *(x509.DNSName(prefix + host) for host in hosts for prefix in ("", "*.")),
            x509.IPAddress(ip_address("127.0.0.1")),
        ]
    )
    server = certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "s3")]), server_key)
    signed = server.add_extension(names, critical=False).sign(own_key, hashes.SHA256())
    both.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return both
