"""The answers of object_read that show a file's bytes as they are: as text or as base64, within a budget."""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from quilt_mcp.domain.listing import Content
from quilt_mcp.tools.results import inside
from quilt_mcp.tools.results.envelope import DATA, Answer, Block, clean
from quilt_mcp.tools.results.shapes import hash_json, present, time_text

SMALL_METADATA = 2_000
METADATA_LEFT_OUT = "metadata_left_out: it is large; mode info reads it."


@dataclass(frozen=True, slots=True)
class Decoded:
    skipped: int
    text: str
    used: int


def decode(content: Content) -> Decoded | None:
    """The UTF-8 text of a range that may begin or end inside a character; None when it is not UTF-8."""
    data = content.data
    skipped = len(codecs.BOM_UTF8) if content.offset == 0 and data.startswith(codecs.BOM_UTF8) else 0
    if content.offset:
        while skipped < min(3, len(data)) and data[skipped] & 0xC0 == 0x80:
            skipped += 1
    at_end = content.offset + len(data) >= content.size
    try:
        text, used = codecs.utf_8_decode(data[skipped:], "strict", at_end)
    except UnicodeDecodeError:
        return None
    return Decoded(skipped, text, used)


def as_text(content: Content, room: int) -> Answer:
    decoded = decode(content)
    warnings: list[str] = list(content.warnings)
    if decoded is None:
        text = content.data.decode("utf-8", "replace")
        warnings.append("not_utf8: bytes that are not UTF-8 are shown as the replacement character.")
        decoded = Decoded(0, text, len(content.data))
        measure: Callable[[str], int] = lambda kept: round(len(kept) / max(len(text), 1) * len(content.data))  # noqa: E731
    else:
        measure = lambda kept: len(kept.encode())  # noqa: E731
    text = inside.within(decoded.text, room)
    used = decoded.used if len(text) == len(decoded.text) else measure(text)
    start = content.offset + decoded.skipped
    shown = f"Content of {content.uri} ({DATA}):\n{text}"
    return _part(
        content,
        "text",
        start,
        used,
        text=text,
        warnings=tuple(warnings),
        block=Block("text", shown, "text/plain"),
    )


def as_base64(content: Content, room: int) -> Answer:
    """base64 takes 4/3 of a byte for each."""
    most = max(room * 3 // 4, 3)
    data = content.data[: most - most % 3]
    return _part(
        content,
        "bytes",
        content.offset,
        len(data),
        base64=base64.b64encode(data).decode(),
        warnings=content.warnings,
    )


def _part(
    content: Content,
    mode: str,
    start: int,
    used: int,
    *,
    warnings: tuple[str, ...],
    text: str | None = None,
    base64: str | None = None,
    block: Block | None = None,
) -> Answer:
    end = start + used
    left = content.size - end
    if left > 0:
        warnings = (
            *warnings,
            f"cut: bytes {start} to {end} of {content.size} are shown; go on with offset={end}.",
        )
    answer = described_by(content)
    data = {
        **answer.data,
        **present(
            mode=mode,
            note=DATA,
            offset=start,
            length=used,
            next_offset=end if left > 0 else None,
            text=text,
            base64=base64,
        ),
    }
    return replace(
        answer,
        data=data,
        warnings=(*warnings, *answer.warnings),
        blocks=() if block is None else (block,),
        text_field=None if block is None else "text",
    )


def described_by(content: Content) -> Answer:
    metadata = content.metadata
    warnings: tuple[str, ...] = ()
    if metadata is not None and _metadata_size(content) > SMALL_METADATA:
        metadata = None
        warnings = (METADATA_LEFT_OUT,)
    return Answer(
        present(
            mode="info",
            type=content.media_type,
            size=content.size,
            hash=hash_json(content.hash),
            modified=time_text(content.modified),
            metadata=metadata,
            verified=None if content.hash is None else content.verified,
        ),
        uri=content.uri,
        warnings=warnings,
    )


def overhead(content: Content) -> int:
    """Bytes of the answer beside its content, generously: the facts twice, the URI once more, the cut's warning."""
    return (
        2 * len(json.dumps(json.dumps(clean(described_by(content).structured()))))
        + 2 * len(content.uri)
        + 800
    )


def _metadata_size(content: Content) -> int:
    if content.metadata is None:
        return 0
    return len(json.dumps(clean(content.metadata)))
