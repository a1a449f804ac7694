"""Objects: object_list, object_link, object_put and object_restore. Reading one is in ``reading``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quilt_mcp.domain.address import PackageUri, browse_call
from quilt_mcp.domain.listing import MOST_DAYS, STANDARD, TIERS
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.arguments.addresses import new_object_address, object_target
from quilt_mcp.tools.arguments.content import inline_bytes
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import object_json, present, time_text
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import (
    CURSOR,
    DETAIL,
    NUMBER,
    REGISTRY,
    SWITCH,
    TEXT,
    Schema,
    fields,
    limit,
    listed,
)

OBJECT: Mapping[str, Schema] = {
    "uri": {
        "type": "string",
        "description": "Any address: ns/name@hash/path, quilt+, s3: or file: URI, local path",
    },
    "package": {"type": "string", "description": "Instead of uri, with path"},
    "path": {"type": "string", "description": "Path in the package"},
    "registry": REGISTRY,
}


async def object_list(
    call: Call,
    *,
    location: str,
    links: bool = False,
    detail: bool = False,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    folder = await object_target(call, location)
    if isinstance(folder, PackageUri):
        raise InvalidArgument(
            f"{location[:200]!r} is the address of a package, and object_list lists buckets and folders.",
            next_step=f"{browse_call(folder)}.",
        )
    page = await call.ops.list_objects(folder, links=links, limit=limit, cursor=cursor)
    ends = [one.link.expires for one in page.items if one.link and one.link.expires]
    return Answer(
        present(
            objects=[object_json(one, folder, detail=detail) for one in page.items],
            expires=time_text(min(ends, default=None)),
        ),
        uri=folder if folder.endswith("/") else f"{folder}/",
        records=("objects",),
        next_cursor=page.next_cursor,
        total=page.total,
        warnings=page.warnings,
    )


async def object_link(
    call: Call,
    *,
    uri: str | None = None,
    package: str | None = None,
    path: str | None = None,
    registry: str | None = None,
    expires_in: int = 3600,
) -> Answer:
    target = await object_target(call, uri, package=package, path=path, registry=registry)
    link = await call.ops.link(str(target), expires_in=expires_in)
    return Answer(present(url=link.url, kind=link.kind, expires=time_text(link.expires)), uri=link.uri)


async def object_put(
    call: Call,
    *,
    uri: str,
    text: str | None = None,
    base64: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> Answer:
    body = inline_bytes("object_put", {"text": text, "base64": base64})
    address = await new_object_address(call, uri)
    done = await call.ops.put_object(address, body, overwrite=overwrite, dry_run=dry_run)
    data: dict[str, Any] = {"size": done.size, "done": done.done, "replaced": done.replaced}
    return Answer(data, uri=done.uri)


async def object_restore(
    call: Call,
    *,
    uri: str,
    tier: str = STANDARD,
    days: int = 7,
    dry_run: bool = False,
) -> Answer:
    restores = call.ops.restores
    assert restores is not None, "the tool is called where there is this ability"
    target = await object_target(call, uri)
    found = await restores.restore(str(target), tier=tier, days=days, dry_run=dry_run)
    return Answer(
        present(
            done=found.done,
            state=found.state,
            storage_class=found.archive and found.archive.storage_class,
            until=time_text(found.until),
            takes=found.wait,
        ),
        uri=found.uri,
        warnings=found.warnings,
    )


OBJECT_LIST = ToolSpec(
    name="object_list",
    title="List objects",
    description="One level of a bucket or registry folder. For a package: package_browse.",
    arguments={
        "location": {"type": "string", "description": "s3://bucket/prefix/ or folder"},
        "links": {"type": "boolean", "default": False, "description": "Each with a link"},
        "detail": DETAIL,
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=("location",),
    data=fields(
        objects=listed(
            fields(
                path=TEXT,
                size=NUMBER,
                modified=TEXT,
                version=TEXT,
                link=TEXT,
                storage_class=TEXT,
                uri=TEXT,
            )
        ),
        expires=TEXT,
    ),
    run=object_list,
)
OBJECT_LINK = ToolSpec(
    name="object_link",
    title="Link to an object",
    description="A link that a person can open.",
    arguments={
        **OBJECT,
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "maximum": 604800,
            "default": 3600,
            "description": "Seconds it stays valid, where links expire",
        },
    },
    required=(),
    data=fields(url=TEXT, kind={"enum": ["file", "presigned", "catalog"]}, expires=TEXT),
    run=object_link,
)
OBJECT_PUT = ToolSpec(
    name="object_put",
    title="Write an object",
    description="Writes one object, outside any package. Give text or base64.",
    arguments={
        "uri": {"type": "string", "description": "s3://bucket/key or local path"},
        "text": {"type": "string", "description": "Its content as text"},
        "base64": {"type": "string", "description": "Its content as base64"},
        "overwrite": {"type": "boolean", "default": False, "description": "Replace what is there"},
        "dry_run": {
            "type": "boolean",
            "default": False,
            "description": "Only plan",
        },
    },
    required=("uri",),
    data=fields(size=NUMBER, done=SWITCH, replaced=SWITCH),
    run=object_put,
    writes=True,
    destructive=True,
)
OBJECT_RESTORE = ToolSpec(
    name="object_restore",
    title="Restore an archived object",
    description="Makes an archived (Glacier) object readable.",
    arguments={
        "uri": {"type": "string", "description": "Any address"},
        "tier": {
            "type": "string",
            "enum": [*TIERS],
            "default": STANDARD,
            "description": "How soon",
        },
        "days": {"type": "integer", "default": 7, "description": f"1 to {MOST_DAYS}"},
        "dry_run": {"type": "boolean", "default": False, "description": "Only plan"},
    },
    required=("uri",),
    data=fields(
        done=SWITCH,
        state={"enum": ["asked", "restoring", "restored", "archived", "plain"]},
        storage_class=TEXT,
        until=TEXT,
        takes=TEXT,
    ),
    run=object_restore,
    writes=True,
    needs=("restores",),
)
