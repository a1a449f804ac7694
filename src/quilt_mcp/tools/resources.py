"""Resources: what a client may attach by address instead of calling a tool.

    quilt://status  quilt://buckets  quilt://results  quilt://search-syntax
    ui://quilt/view                           what shows a person what tools found (MCP Apps)
    quilt://{registry}/{+package}/{+path}     a file of a package

``registry`` is ``default``, the name of an S3 bucket, or a registry URL percent-encoded as one segment. ``package`` is
``ns/name``, ``ns/name@hash`` or ``ns/name:tag``; its own '/' may stand as it is or as %2F.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from quilt_mcp.domain.address import PackageUri, parse_package, parse_registry
from quilt_mcp.domain.listing import Content
from quilt_mcp.domain.printable import address as printable_address
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import InvalidUri, NotFound, TooLarge
from quilt_mcp.tools import TOOLS, status
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import DATA, clean, json_text
from quilt_mcp.tools.vocabulary import VIEW

SCHEME = "quilt://"
TEMPLATE = "quilt://{registry}/{+package}/{+path}"
DEFAULT = "default"
MOST_COMPLETIONS = 100


@dataclass(frozen=True, slots=True)
class Listed:
    uri: str
    name: str
    title: str
    description: str
    media_type: str = "application/json"
    ui: Mapping[str, Any] | None = None
    """What a host of MCP Apps is told of a view."""


_VIEW = Listed(
    VIEW,
    "view",
    "View",
    "Packages, files, histories and comparisons for a person, in clients that show MCP Apps.",
    "text/html;profile=mcp-app",
    # Everything is inline, so no domain is asked for; what is selected can be copied.
    {"permissions": {"clipboardWrite": {}}, "prefersBorder": True},
)
STATIC: tuple[Listed, ...] = (
    Listed(
        "quilt://status", "status", "Status", "Who I am, which backend serves me and why, and what it can do."
    ),
    Listed("quilt://buckets", "buckets", "Registries", "Registries and buckets in reach."),
    Listed(
        "quilt://results", "results", "Results", "JSON schemas of all results, which the listing leaves out."
    ),
    Listed(
        "quilt://search-syntax",
        "search_syntax",
        "Search syntax",
        "How a query of search is written: words, patterns, fields, ranges, and what each means.",
        "text/markdown",
    ),
    _VIEW,
)
FILES = Listed(
    TEMPLATE,
    "package_file",
    "File of a package",
    "registry: default, a bucket or a percent-encoded registry URL. package: ns/name, ns/name@hash or ns/name:tag.",
)


@dataclass(frozen=True, slots=True)
class Body:
    """What reading a resource gives. ``pinned``: the address names a hash, so these bytes never change. ``is_common``: they are
    the same for everybody. ``ui``: as in ``Listed``."""

    media_type: str
    text: str | None = None
    data: bytes | None = None
    pinned: bool = False
    is_common: bool = False
    ui: Mapping[str, Any] | None = None


def without_backend(uri: str) -> Body | None:
    """What is read without asking whose credentials there are: the view is there to tell what is wrong with them."""
    if uri != VIEW:
        return None
    from quilt_mcp.view.page import page

    return Body(_VIEW.media_type, text=page(), is_common=True, ui=_VIEW.ui)


async def read(call: Call, uri: str) -> Body:
    """Raises InvalidUri, NotFound, TooLarge (a resource has no parts: object_read does) and what the backend raises."""
    if uri == STATIC[0].uri:
        return Body("application/json", text=json_text(clean((await status.status(call)).data)))
    if uri == STATIC[1].uri:
        return Body("application/json", text=json_text(clean((await status.registry_list(call)).data)))
    if uri == STATIC[2].uri:
        return Body("application/json", text=json_text({one.name: one.output_schema() for one in TOOLS}))
    if uri == STATIC[3].uri:
        from quilt_mcp.tools.syntax import syntax_page

        return Body(STATIC[3].media_type, text=syntax_page())
    address = parse(uri, call.ops.default_registry)
    room = call.settings.response_bytes()
    content = await call.ops.read(address, offset=0, length=room)
    pinned = address.top_hash is not None
    body = _as_text(content, pinned)
    size = len(json_text(body.text)) if body.text is not None else content.size * 4 // 3
    if content.size > room or size > room:
        raise TooLarge(
            f"The file has {content.size} bytes, more than one answer may carry.",
            next_step=f"Read it in parts: object_read with the uri {content.uri}.",
            details={"size": content.size, "uri": content.uri},
        )
    return body


def _as_text(content: Content, pinned: bool) -> Body:
    if b"\0" not in content.data:
        try:
            text = f"Content of {content.uri} ({DATA}):\n{printable(content.data.decode())}"
            return Body(_text_type(content.media_type), text=text, pinned=pinned)
        except UnicodeDecodeError:
            pass
    return Body(content.media_type, data=content.data, pinned=pinned)


def _text_type(media_type: str) -> str:
    return "text/plain" if media_type == "application/octet-stream" else media_type


def parse(uri: str, default_registry: str) -> PackageUri:
    """The file that a resource address names. Raises InvalidUri, InvalidName."""
    rest = uri[len(SCHEME) :] if uri[: len(SCHEME)].lower() == SCHEME else ""
    registry, _, below = rest.partition("/")
    address = (
        parse_package(unquote(below), registry_of(unquote(registry), default_registry)) if below else None
    )
    if address is None or address.path is None:
        raise InvalidUri(
            f"{uri[:200]!r} is no resource of this server.",
            next_step=f"Fill in {TEMPLATE}, as quilt://default/ns/name/README.md.",
        )
    return address


def registry_of(segment: str, default_registry: str) -> str:
    if segment == DEFAULT:
        return default_registry
    return parse_registry(segment if "://" in segment or segment.startswith("/") else f"s3://{segment}")


async def complete(call: Call, variable: str, typed: str, known: Mapping[str, str]) -> tuple[list[str], bool]:
    """Values of a variable of the template that start with what was typed, and whether there are more.

    ``known`` holds the variables filled in before. A package or registry that does not exist has no completions.
    """
    try:
        match variable:
            case "registry":
                return await _registries(call, typed)
            case "package":
                registry = registry_of(unquote(known.get("registry") or DEFAULT), call.ops.default_registry)
                return await complete_package(call, registry, typed)
            case "path":
                return await _paths(call, typed, known)
            case _:
                return [], False
    except (NotFound, InvalidUri):
        return [], False


async def _registries(call: Call, typed: str) -> tuple[list[str], bool]:
    page = await call.ops.list_buckets(limit=MOST_COMPLETIONS)
    names = [DEFAULT]
    for one in page.items:
        names.append(
            one.url.removeprefix("s3://") if one.url.startswith("s3://") else quote(one.url, safe="")
        )
    return _starting(names, typed), page.next_cursor is not None


async def complete_package(call: Call, registry: str, typed: str) -> tuple[list[str], bool]:
    """Package names; after '@', the top hashes of that package's revisions."""
    name, at, short = typed.partition("@")
    if at:
        log = await call.ops.log(parse_package(name, registry), limit=MOST_COMPLETIONS)
        hashes = [f"{name}@{one.top_hash}" for one in log.items if one.top_hash.startswith(short)]
        return hashes[:MOST_COMPLETIONS], log.next_cursor is not None
    page = await call.ops.list_packages(registry, prefix=typed, limit=MOST_COMPLETIONS)
    return _starting((one.name for one in page.items), typed), page.next_cursor is not None


async def _paths(call: Call, typed: str, known: Mapping[str, str]) -> tuple[list[str], bool]:
    if not known.get("package"):
        return [], False
    registry = registry_of(unquote(known.get("registry") or DEFAULT), call.ops.default_registry)
    package = parse_package(unquote(known["package"]), registry)
    typed = unquote(typed) if printable_address(unquote(typed)) == typed else typed
    folder = typed[: typed.rfind("/") + 1]
    found: list[str] = []
    cursor: str | None = None
    for _ in range(10):
        browsed = await call.ops.browse(replace(package, path=folder or None), limit=1000, cursor=cursor)
        found += [printable_address(one.path) for one in browsed.page.items if one.path.startswith(typed)]
        cursor = browsed.page.next_cursor
        if cursor is None or len(found) >= MOST_COMPLETIONS:
            break
    return found[:MOST_COMPLETIONS], cursor is not None or len(found) > MOST_COMPLETIONS


def _starting(names: Iterable[str], typed: str) -> list[str]:
    return [one for one in names if one.startswith(typed)][:MOST_COMPLETIONS]
