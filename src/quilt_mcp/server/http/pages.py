"""Pages: what the HTTP server answers to whoever asks: whether it lives, what it is, who issues tokens for it, the view."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

METADATA: Final = "/.well-known/oauth-protected-resource"
VIEW: Final = "/view"
_HTML: Final = b"text/html; charset=utf-8"
_TEXT: Final = b"text/plain; charset=utf-8"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """An ASGI application that answers GET and HEAD with the same each time."""

    media_type: bytes
    body: bytes
    status: int = 200
    policy: str = _POLICY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = [
            (b"content-type", self.media_type),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", self.policy.encode()),
            *_SAFE,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": own})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


@dataclass(slots=True)
class Pages:
    """``is_ready`` turns False when the server is told to stop. ``metadata``: of this server as a protected resource, by path."""

    front: Page | None = None
    view: Page | None = None
    metadata: dict[str, Page] = field(default_factory=dict[str, Page])
    has_health: bool = True
    is_ready: Callable[[], bool] = lambda: True

    def health(self, scope: Scope) -> ASGIApp | None:
        """Asked for under any host name: whoever looks after the server knows its address alone."""
        if not self.has_health or scope["method"] not in ("GET", "HEAD"):
            return None
        if scope["path"] == "/healthz":
            return Page(_TEXT, b"alive\n")
        if scope["path"] == "/readyz":
            return Page(_TEXT, b"ready\n") if self.is_ready() else Page(_TEXT, b"stopping\n", 503)
        return None

    def at(self, path: str) -> Page | None:
        return {"/": self.front, VIEW: self.view}.get(path)


def front_page(url: str, snippets: dict[str, str], about: str) -> Page:
    """What this is and how to connect: ``snippets`` by the client's name."""
    parts = "".join(
        f"<h2>{html.escape(name)}</h2><pre>{html.escape(text)}</pre>" for name, text in snippets.items()
    )
    style = (
        "body{font:16px/1.5 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem}"
        "pre{background:#f2f2f2;padding:1rem;overflow:auto}"
    )
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>quilt-mcp</title><style>{style}</style>'
        f"<h1>quilt-mcp</h1><p>{html.escape(about)}</p><p>MCP endpoint: <code>{html.escape(url)}</code></p>{parts}</html>"
    )
    return Page(_HTML, text.encode())


def view_page() -> Page:
    """The view, which asks for what it shows at ``/mcp`` as any client does: there is no data in it."""
    from quilt_mcp.view.page import page, policy

    return Page(_HTML, page().encode(), policy=policy())


def metadata_page(found: dict[str, Any]) -> Page:
    """What a client has to know before it has a token."""
    return Page(b"application/json", json.dumps(found).encode())
