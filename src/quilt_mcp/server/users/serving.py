"""HTTP for many users of one Quilt stack: what a server of them is made of."""

from __future__ import annotations

import gc
import json
import logging
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Final, get_args
from urllib.parse import urlsplit

import anyio

from quilt_mcp.auth.bearer import GivenToken, SignIn
from quilt_mcp.auth.stack_http import check_url
from quilt_mcp.backends.common import Common
from quilt_mcp.catalog.site import Site
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.config import LOOPBACK, Settings
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import InvalidArgument, Misconfigured, StorageUnavailable
from quilt_mcp.option import OPTIONS, Option
from quilt_mcp.server.http.edge import Announce, Served, serve
from quilt_mcp.server.http.guard import PATH, asker_of
from quilt_mcp.server.http.pages import METADATA, VIEW, Pages, front_page, metadata_page, view_page
from quilt_mcp.server.surface import build
from quilt_mcp.server.users.door import UsersDoor
from quilt_mcp.server.users.fair_use import FairUse
from quilt_mcp.server.users.issuer import READ, WRITE, Algorithm, Issuer
from quilt_mcp.server.users.known_users import KnownUsers
from quilt_mcp.server.watching.audit import STANDARD_ERROR, Audit, audit_to
from quilt_mcp.server.watching.meters import Meters, export
from quilt_mcp.session import Session
from quilt_mcp.storage.workers import in_thread

TIDY_SECONDS: Final = 30.0
_DESCRIPTORS: Final = 65_536
THREADS: Final = 200
"""That calls may wait in, of all users together."""
_FIX: Final = "For yourself alone, add --single-user."
_OWN: Final = ("jwt_token", "api_key", "api_key_file", "anonymous", "roots", "http_token")
"""Settings that are one person's."""
logger = logging.getLogger("quilt_mcp")


async def serve_many(settings: Settings, announce: Announce, *, stopping: anyio.Event) -> None:
    """Serves users of the stack of QUILT_CATALOG_URL, each by the bearer of each request, until ``stopping`` is set."""
    check_many(settings)
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    site = Site(settings.catalog_url)
    session = Session(settings, common=Common(site))
    known = KnownUsers(partial(_who, site), session.forget, settings.most_users)
    issuer = _issuer(settings)
    metadata = f"{_origin(_endpoint(settings))}{METADATA}{PATH}" if issuer else None
    door = UsersDoor(
        known,
        FairUse(settings.user_rate, settings.user_calls),
        issuer,
        host=site.host,
        metadata_url=metadata,
        allows_writes=settings.allow_write,
    )
    export(settings.metrics)
    meters = Meters(lambda: len(known), lambda: len(session.pool))
    audit = audit_to(settings.audit or STANDARD_ERROR, meters)
    served = Served(
        build(session, asker_of, audit),
        door,
        partial(_pages, settings, site, issuer),
        public_url=_endpoint(settings) if settings.public_url else None,
        patience=settings.drain_seconds,
        upkeep=partial(_upkeep, session, audit),
        audit=audit,
    )
    await _look(site)
    _settle()
    try:
        await serve(settings, served, announce, stopping)
    finally:
        await session.close()


def check_many(settings: Settings) -> None:
    """Raises Misconfigured, InvalidArgument for what a server of many users cannot be started with, before anything listens."""
    if settings.catalog_url is None:
        raise Misconfigured(
            "A server of many users asks a Quilt stack who each of them is, and no stack is named.",
            next_step=f"Name it: --catalog https://your-catalog (QUILT_CATALOG_URL). {_FIX}",
        )
    check_url(settings.catalog_url, "QUILT_CATALOG_URL")
    named = [_typed(one) for one in OPTIONS if one.name in _OWN and getattr(settings, one.name)]
    if named:
        raise Misconfigured(
            f"A server of many users has nobody's own settings, and {', '.join(named)} is set.",
            next_step=f"Leave it out: each request brings its user's token. {_FIX}",
            details={"settings": named},
        )
    if settings.backend not in (None, "platform"):
        raise Misconfigured(
            f"Many users are served by their Quilt stack, not by the {settings.backend} backend.",
            next_step=f"Leave out --backend (QUILT_BACKEND). {_FIX}",
        )
    if settings.default_registry is not None and not settings.default_registry.startswith("s3://"):
        raise Misconfigured(
            "A server of many users has no folders, and the default registry is one.",
            next_step="Set QUILT_DEFAULT_REGISTRY to s3://bucket, or leave it out for each user's first bucket.",
        )
    if settings.public_url is not None:
        path = urlsplit(check_url(settings.public_url, "QUILT_MCP_PUBLIC_URL")).path
        if path not in ("", PATH):
            raise InvalidArgument(
                f"QUILT_MCP_PUBLIC_URL has the path {path[:100]!r}, and clients look for this server's metadata beside its host.",
                next_step=f"Give the server a host name of its own: https://host, or https://host{PATH}.",
            )
    elif settings.host not in LOOPBACK and not settings.allowed_hosts:
        raise Misconfigured(
            f"The server is to listen on {settings.host}, and does not know by which name clients will ask for it.",
            next_step="Set --public-url (QUILT_MCP_PUBLIC_URL) to the https:// address that clients are given.",
        )
    _issuer(settings)


def _typed(option: Option) -> str:
    """As whoever set it knows it."""
    return " or ".join(one for one in (option.flag, option.variable) if one)


def _issuer(settings: Settings) -> Issuer | None:
    """Raises Misconfigured, InvalidArgument."""
    given = (settings.issuer, settings.issuer_keys, settings.audience)
    if not any(given) and settings.issuer_algorithm == "RS256":
        return None
    if settings.issuer is None or settings.issuer_keys is None or settings.public_url is None:
        raise Misconfigured(
            "An issuer of tokens takes its name, its keys and the address of this server.",
            next_step="Set QUILT_MCP_ISSUER, QUILT_MCP_ISSUER_KEYS and QUILT_MCP_PUBLIC_URL, or nothing of an issuer.",
        )
    algorithm = next((one for one in get_args(Algorithm) if one == settings.issuer_algorithm), None)
    if algorithm is None:
        raise InvalidArgument(
            f"QUILT_MCP_ISSUER_ALGORITHM is {settings.issuer_algorithm!r}.",
            next_step=f"Use one of {', '.join(get_args(Algorithm))}.",
        )
    audience = settings.audience or _endpoint(settings)
    return Issuer(settings.issuer, settings.issuer_keys, audience, algorithm)


def _who(site: Site, token: str) -> SignedIn:
    stack = Stack(GivenToken(token, SignIn("the token of this request", None)), site)
    try:
        return stack.signed_in()
    finally:
        stack.http.close()


def _endpoint(settings: Settings) -> str:
    if settings.public_url is None:
        return f"http://{settings.host}:{settings.port}{PATH}"
    return f"{settings.public_url.rstrip('/').removesuffix(PATH)}{PATH}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _pages(settings: Settings, site: Site, issuer: Issuer | None, where: str) -> Pages:
    """``where`` it listens."""
    url = _endpoint(settings) if settings.public_url else where
    key = "qk_..."
    as_json = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {key}"}}
    snippets = {
        "Claude Code": f'claude mcp add --transport http quilt {url} --header "Authorization: Bearer {key}"',
        "Cursor and others (mcp.json)": json.dumps({"mcpServers": {"quilt": as_json}}, indent=2),
        "VS Code (.vscode/mcp.json)": json.dumps({"servers": {"quilt": as_json}}, indent=2),
    }
    about = (
        f"Quilt data packages of the stack at {site.host}, for AI agents. Each request carries its user's own API key "
        f"(made in the catalog, {site.catalog_url}) or session token, and sees what that user may see"
        f"{' and changes what that user may change' if settings.allow_write else '; nothing is changed'}. "
        "A first thing to ask an agent: which Quilt packages are there about ..., and what is in the newest?"
    )
    if settings.view:
        about += f" To see packages in a browser, with the same token: {_origin(url)}{VIEW}"
    pages = Pages(front_page(url, snippets, about), view_page() if settings.view else None)
    if issuer is None:
        return pages
    told = metadata_page(
        {
            "resource": url,
            "authorization_servers": [issuer.name],
            "scopes_supported": [READ, *([WRITE] if settings.allow_write else [])],
            "bearer_methods_supported": ["header"],
            "resource_name": "Quilt",
        }
    )
    pages.metadata = {METADATA: told, f"{METADATA}{PATH}": told}
    return pages


async def _look(site: Site) -> None:
    """At the catalog, so that a wrong one is told at the start and not to each user. One that is out of reach may come back.

    Raises Misconfigured for what is no stack's catalog."""
    try:
        await in_thread(site.config)
    except StorageUnavailable as error:
        logger.warning("the stack does not answer yet: %s %s", error.message, error.next_step)


def _settle() -> None:
    """Imports now what the first user would wait for, keeps the collector from going through all of it again and again, and takes
    the descriptors that the system grants: users have connections of their own."""
    for module in ("boto3", "obstore.store", "quilt_mcp.backends.stack", "quilt_mcp.backends.through.ops"):
        import_module(module)
    gc.collect()
    gc.freeze()
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), most))


async def _upkeep(session: Session, audit: Audit) -> None:
    while True:
        await anyio.sleep(TIDY_SECONDS)
        session.pool.tidy()
        audit.tidy()
