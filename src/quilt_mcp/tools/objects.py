"""Objects: object_list, object_link, object_put and object_restore. Reading one is in ``reading``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from quilt_mcp.domain.address import PackageUri, browse_call
from quilt_mcp.domain.listing import MOST_DAYS, STANDARD, TIERS, FolderLinks
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

_LENGTH: Final = "Content-Length"
"""A header that every client sends of itself."""
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
    download: bool = False,
    upload: bool = False,
    size: int | None = None,
    expires_in: int = 3600,
    limit: int = 100,
    cursor: str | None = None,
) -> Answer:
    if upload or size is not None:
        if not upload or uri is None or size is None or any((package, path, registry)):
            raise InvalidArgument(
                "An upload takes upload=true, the object's address as uri, and the size of the file in bytes.",
                next_step="Call object_link with uri='s3://bucket/key', upload=true and size=BYTES; the object is then a source "
                "of package_create or package_patch.",
            )
        return await _upload(call, uri, size, expires_in)
    target = await object_target(call, uri, package=package, path=path, registry=registry)
    if isinstance(target, PackageUri):
        found = await call.ops.links(
            target, download=download, expires_in=expires_in, limit=limit, cursor=cursor
        )
    else:
        found = await call.ops.link(target, download=download, expires_in=expires_in)
    if isinstance(found, FolderLinks):
        return _folder(found)
    data = present(url=found.url, kind=found.kind, expires=time_text(found.expires))
    return Answer(data, uri=found.uri, warnings=found.warnings)


async def _upload(call: Call, uri: str, size: int, expires_in: int) -> Answer:
    made = await call.ops.upload_link(await new_object_address(call, uri), size=size, expires_in=expires_in)
    headers = " ".join(f"-H '{name}: {value}'" for name, value in made.headers.items() if name != _LENGTH)
    then = (
        f"Send the file: curl -f -T FILE {headers} 'URL' (412: an object is there by now: yours, if it was sent before; else "
        f"choose another key. 403: this user may not write there, the file has other than {made.size} bytes, a header is "
        f"missing, or the link has ended). Then call package_create or package_patch with {made.uri} as a source; object_read "
        "of it with mode=info and hash=true tells the SHA-256 to compare."
    )
    data = {
        "url": made.url,
        "kind": "upload",
        "expires": time_text(made.expires),
        "method": "PUT",
        "headers": dict(made.headers),
        "next_step": then,
    }
    return Answer(data, uri=made.uri, warnings=made.warnings)


def _folder(found: FolderLinks) -> Answer:
    links = [one.link for one in found.page.items if one.link is not None]
    ends = [one.expires for one in links if one.expires]
    rows = [
        present(
            path=one.path,
            size=one.size,
            url=one.link and one.link.url,
            storage_class=one.storage_class,
        )
        for one in found.page.items
    ]
    return Answer(
        present(
            kind=links[0].kind if links else None, expires=time_text(min(ends, default=None)), links=rows
        ),
        uri=found.uri,
        records=("links",),
        next_cursor=found.page.next_cursor,
        total=found.page.total,
        warnings=found.page.warnings,
    )


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
    description="A link that a person can open; of a folder in a package one for each file.",
    arguments={
        **OBJECT,
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "maximum": 604800,
            "default": 3600,
            "description": "Seconds it stays valid, where links expire",
        },
        "download": {
            "type": "boolean",
            "default": False,
            "description": "Of the bytes, not the catalog's page",
        },
        "upload": {
            "type": "boolean",
            "default": False,
            "description": "Instead, to send a file of size bytes to a new s3:// uri, then a source of package_create",
        },
        "size": {"type": "integer", "description": "Of the upload, in bytes"},
        "limit": limit(),
        "cursor": CURSOR,
    },
    required=(),
    data=fields(
        url=TEXT,
        kind={"enum": ["file", "presigned", "catalog", "upload"]},
        expires=TEXT,
        method=TEXT,
        headers={"type": "object"},
        next_step=TEXT,
        links=listed(fields(path=TEXT, size=NUMBER, url=TEXT, storage_class=TEXT)),
    ),
    run=object_link,
    for_writing=("upload", "size"),
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
