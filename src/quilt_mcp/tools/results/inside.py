"""The answers of object_read about what is inside a file: rows, lines in which something is found, text, pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from quilt_mcp.domain.listing import Content
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import HashMismatch, NotATable, TooCostly, Undecodable
from quilt_mcp.preview import looks
from quilt_mcp.preview.source import Source
from quilt_mcp.tools.results.envelope import DATA, Answer, Block
from quilt_mcp.tools.results.shapes import present

CHUNK = 12 << 10
"""Bytes of content that are shown where no length is asked for."""
PICTURE = 750_000
"""Bytes of a picture: about 1 MB of base64, which is a budget of its own."""
SIDE = 1_568
"""Pixels of a side beyond which a model sees no more."""
MATCHES = 100

Read = Callable[[int, int], Awaitable[Content]]


def source_of(described: Answer, name: str, read: Read) -> Source:
    """The file that was described. Its bytes must all be of one version: a change in between raises HashMismatch."""
    size: int = described.data["size"]
    seen: list[Any] = []

    async def fetch(offset: int, length: int) -> bytes:
        content = await read(offset, length)
        seen.append(content.modified)
        if content.size != size or content.modified != seen[0] or len(content.data) != length:
            raise HashMismatch(
                f"{described.uri} was changed while it was read.",
                next_step="Make the same call again, when nobody writes to it.",
            )
        return content.data

    return Source(name, size, fetch)


async def about(described: Answer, source: Source) -> Answer:
    """What is inside goes with the description; what cannot be looked into is told of in a warning, as the rest is known."""
    try:
        found = await looks.inside(source)
    except (NotATable, Undecodable, TooCostly) as error:
        said = f"{error.code}: {error.message}"
        return replace(described, warnings=(*described.warnings, said))
    if found is None:
        return described
    data = {**described.data, "inside": found.facts, "note": DATA}
    return replace(described, data=data, warnings=(*described.warnings, *found.notes))


async def rows(
    described: Answer,
    source: Source,
    room: int,
    columns: Sequence[str] | None,
    span: str | None,
    where: str | None,
) -> Answer:
    found = await looks.rows(source, columns, span, where, room)
    warnings = [*found.notes]
    if found.next is not None:
        warnings.append(f"more: go on with rows={found.next}:{found.next + max(len(found.rows), 1)}.")
    if found.faults:
        warnings.append("faults: some lines are not as the others; see faults.")
    data = present(
        mode="rows",
        type=described.data.get("type"),
        size=source.size,
        verified=described.data.get("verified"),
        note=DATA,
        columns=found.columns,
        rows=found.rows,
        total=found.total,
        next_row=found.next,
        faults=found.faults or None,
    )
    return Answer(data, uri=described.uri, warnings=tuple(warnings))


async def find(described: Answer, source: Source, room: int, pattern: str, offset: int) -> Answer:
    found = await looks.find(source, pattern, offset, MATCHES, room)
    warnings = [*found.notes]
    if found.next_offset is not None:
        warnings.append(
            f"more: {len(found.lines)} of {found.total} lines are shown; go on with offset={found.next_offset}."
        )
    data = present(
        mode="find",
        type=described.data.get("type"),
        size=source.size,
        verified=described.data.get("verified"),
        note=DATA,
        header=found.header or None,
        matches=found.lines,
        total=found.total,
        next_offset=found.next_offset,
    )
    return Answer(data, uri=described.uri, warnings=tuple(warnings))


async def text(described: Answer, source: Source, room: int, offset: int, length: int) -> Answer:
    found = await looks.text(source, offset, length)
    shown, end = within(found.text, room), found.next_offset
    if len(shown) < len(found.text):
        end = found.offset + len(shown.encode())
    warnings = [*found.notes]
    if end is not None:
        warnings.append(f"cut: bytes {found.offset} to {end} of the text are shown; go on with offset={end}.")
    data = {
        **described.data,
        **present(
            mode="text",
            note=DATA,
            offset=found.offset,
            length=len(shown.encode()),
            next_offset=end,
            text=shown,
        ),
    }
    block = Block("text", f"Content of {described.uri} ({DATA}):\n{shown}", "text/plain")
    return replace(
        described,
        data=data,
        warnings=(*described.warnings, *warnings),
        blocks=(block,),
        text_field="text",
    )


async def picture(described: Answer, source: Source) -> Answer:
    found = await looks.picture(source, PICTURE, SIDE)
    block = Block("image", base64.b64encode(found.image).decode(), found.media_type)
    return replace(
        described,
        data={**described.data, "mode": "image", **found.facts},
        warnings=(*described.warnings, *found.notes),
        blocks=(block,),
    )


def within(text: str, room: int) -> str:
    """The longest prefix, about, that fits ``room`` bytes of JSON."""

    def cost(part: str) -> int:
        return len(json.dumps(printable(part), ensure_ascii=False).encode())

    while text and (needed := cost(text)) > room:
        text = text[: max(0, min(len(text) - 1, len(text) * room // needed))]
    return text
