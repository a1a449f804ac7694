"""A small S3 server of listings that are as S3's protocol allows, or as it does not: what moto never answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit
from xml.sax.saxutils import escape

Query = dict[str, str]


@dataclass(frozen=True)
class Page:
    """One answer. ``token`` None: the last. ``''``: truncated, and without one."""

    keys: Sequence[str] = ()
    folders: Sequence[str] = ()
    token: str | None = None

    def xml(self) -> bytes:
        contents = "".join(
            f"<Contents><Key>{quote(key, safe='/')}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{0 if key.endswith('/') else 1}</Size></Contents>"
            for key in self.keys
        )
        folders = "".join(
            f"<CommonPrefixes><Prefix>{quote(folder, safe='/')}</Prefix></CommonPrefixes>"
            for folder in self.folders
        )
        token = f"<NextContinuationToken>{escape(self.token)}</NextContinuationToken>" if self.token else ""
        return (
            "<ListBucketResult><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(self.token is not None).lower()}</IsTruncated>{token}{contents}{folders}"
            "</ListBucketResult>"
        ).encode()


@dataclass
class OddS3:
    """``answer`` makes the answer to each listing: a page, or bytes to send as they come."""

    answer: Callable[[Query], Page | Iterator[bytes]] = lambda query: Page()
    url: str = ""
    queries: list[Query] = field(default_factory=list[Query])
    headers: dict[str, str] = field(default_factory=dict[str, str])


@contextmanager
def odd_s3() -> Iterator[OddS3]:
    odd = OddS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path.count("/") > 1 and not parts.path.endswith("/"):  # an object
                return self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            if "versions" in query:
                return self._send(403, b"<Error><Code>AccessDenied</Code></Error>")
            odd.queries.append(query)
            answer = odd.answer(query)
            if isinstance(answer, Page):
                return self._send(200, answer.xml())
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                for piece in answer:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                pass

        def do_HEAD(self) -> None:
            self._send(404, b"")

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    odd.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield odd
    finally:
        server.shutdown()
        server.server_close()


def paged(keys: Sequence[str], *, size: int = 1, empty_every: int = 0) -> Callable[[Query], Page]:
    """Lists ``keys`` as S3 does, ``size`` at a time, and an empty page that goes on before each ``empty_every``-th."""

    def answer(query: Query) -> Page:
        token = query.get("continuation-token")
        after, _, asked = (token or f"{query.get('start-after', '')}|0").rpartition("|")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        if empty_every and int(asked) % empty_every == 0 and not asked.endswith("5"):
            return Page(token=f"{after}|{int(asked) + 1}")
        shown: list[str] = []
        for key in sorted(keys):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            name = key if end < 0 else key[: end + 1]
            is_past = name > after if end < 0 else key > after and name != after.removesuffix("\U0010ffff")
            if key.startswith(prefix) and is_past and name not in shown:
                shown.append(name)
        page, more = shown[:size], len(shown) > size
        folders = [name for name in page if delimiter and name.endswith("/") and name != prefix]
        last = page[-1] if page else after
        token = f"{last}\U0010ffff|{int(asked) + 1}" if last in folders else f"{last}|{int(asked) + 1}"
        return Page([name for name in page if name not in folders], folders, token if more else None)

    return answer


def drip(piece: bytes, *, times: int, pause: float = 0.0) -> Iterator[bytes]:
    for _ in range(times):
        yield piece
        time.sleep(pause)
