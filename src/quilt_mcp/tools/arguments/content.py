"""Content that a call names or brings along: sources, and files given inline as text or base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from quilt_mcp.domain.plan import UNSET, InlineFile, Source
from quilt_mcp.errors import InvalidArgument, TooLarge
from quilt_mcp.tools.arguments.addresses import source_origin
from quilt_mcp.tools.arguments.schema import either
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.vocabulary import Schema

MAX_INLINE = 16 << 20
"""What a client can sensibly send in one JSON message; more comes from files."""

Items = Sequence[Mapping[str, Any]]

_PATTERNS: Schema = {"type": "array", "items": {"type": "string"}}
SOURCES: Schema = {
    "type": "array",
    "description": 'Where files come from, as {"from": "results/", "to": "data/"}',
    "items": {
        "type": "object",
        "properties": {
            "from": {
                "type": "string",
                "description": "File, folder, glob, s3:// object or prefix/, quilt+ URI",
            },
            "to": {
                "type": "string",
                "description": "Path of the one file, or a folder",
            },
            "include": {**_PATTERNS, "description": "Globs of paths below from; *.csv, build/: at any depth"},
            "exclude": {**_PATTERNS, "description": "Not these"},
            "metadata": {"type": "object", "description": "Metadata of each file"},
        },
        "required": ["from"],
    },
}
FILES: Schema = {
    "type": "array",
    "description": 'Files given here, as {"path": "README.md", "text": "# Data"}',
    "items": {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Path in the package"},
            "text": {"type": "string", "description": "Content; or base64"},
            "base64": {"type": "string", "description": "Content of a binary file"},
            "metadata": {"type": "object", "description": "Metadata of the file"},
        },
        "required": ["path"],
    },
}


def bare(schema: Schema, description: str) -> Schema:
    """A list as another tool describes it, where the descriptions of its items need not be told again."""
    item: Mapping[str, Any] = schema["items"]
    plain = {
        name: {key: part[key] for key in ("type", "items") if key in part}
        for name, part in item["properties"].items()
    }
    return {**schema, "description": description, "items": {**item, "properties": plain}}


async def sources_of(call: Call, items: Items) -> tuple[Source, ...]:
    """Raises as ``source_origin``."""
    return tuple(
        [
            Source(
                await source_origin(call, one["from"]),
                one.get("to", ""),
                one.get("metadata", UNSET),
                tuple(one.get("include", ())),
                tuple(one.get("exclude", ())),
            )
            for one in items
        ]
    )


def files_of(items: Items) -> tuple[InlineFile, ...]:
    """Raises InvalidArgument and TooLarge, as ``inline_bytes`` does, naming the file."""
    return tuple(
        InlineFile(
            one["path"],
            inline_bytes(f"files[{number}] {one['path'][:100]!r}", one),
            one.get("metadata", UNSET),
        )
        for number, one in enumerate(items)
    )


def inline_bytes(what: str, given: Mapping[str, Any]) -> bytes:
    """The bytes of exactly one of ``text`` (UTF-8) and ``base64``. Raises InvalidArgument, TooLarge."""
    kind = either("text", "base64", given=given)
    content: str = given[kind]
    if len(content) > MAX_INLINE * 4 // 3 + 4:
        raise TooLarge(
            f"{what}: the {kind} has {len(content)} characters.",
            next_step="Write it to a file, or send it by object_link with upload=true, and name that as a source; inline "
            f"content holds at most {MAX_INLINE} bytes.",
        )
    try:
        return content.encode() if kind == "text" else base64.b64decode(content, validate=True)
    except UnicodeEncodeError:
        raise InvalidArgument(
            f"{what}: the text holds a lone surrogate, which UTF-8 cannot write.",
            next_step="Send it as base64.",
        ) from None
    except (binascii.Error, ValueError):
        raise InvalidArgument(
            f"{what}: the base64 cannot be decoded.",
            next_step="Send standard base64 with padding and no line breaks, or send text.",
        ) from None
