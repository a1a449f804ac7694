"""The transcript of a draft: its manifest as quilt3 would write it, byte for byte, and its top hash, in one pass.

Lines of the parent go through as bytes where they are spelled as quilt3 spells them, and the others are written anew. Physical
keys stay as they are: quilt3 would escape anew those that another program escaped in another way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO

from quilt_mcp.domain.entry import Entry, Header
from quilt_mcp.domain.manifest.codec import MAX_RECORD_BYTES, decode_entry, encode_header, encode_record
from quilt_mcp.domain.manifest.plain_lines import plain_lines
from quilt_mcp.domain.manifest.top_hash import TopHash
from quilt_mcp.registry.writing.drafts.draft import Draft


def write_manifest(out: IO[bytes], header: Header, draft: Draft, checkpoint: Callable[[], None]) -> str:
    """Answers the top hash. Blocks, in level memory; ``checkpoint`` is called every hundred kilobytes and may raise.
    Raises InvalidMetadata for a record that no manifest can hold, OSError."""
    top_hash = TopHash(header)
    out.write(encode_header(header))
    for directory in draft.directories():
        out.write(encode_record(directory))
    for piece in draft.pieces():
        if isinstance(piece, Entry):
            checkpoint()
            _write_entry(out, top_hash, piece)
        elif draft.parent is not None:
            for block in draft.parent.lines.blocks(*piece):
                checkpoint()
                _write_lines(out, top_hash, block)
    return top_hash.hexdigest()


def find_top_hash(header: Header, draft: Draft, checkpoint: Callable[[], None]) -> str:
    """The top hash alone, as ``write_manifest`` answers it."""
    with open(os.devnull, "wb") as nowhere:
        return write_manifest(nowhere, header, draft, checkpoint)


def _write_entry(out: IO[bytes], top_hash: TopHash, entry: Entry) -> None:
    top_hash.add(entry)
    out.write(encode_record(entry))


def _write_lines(out: IO[bytes], top_hash: TopHash, block: bytes) -> None:
    plain = plain_lines(block) if len(block) <= MAX_RECORD_BYTES else None
    if plain is None:
        for line in block.split(b"\n")[:-1]:
            _write_entry(out, top_hash, decode_entry(line))
        return
    top_hash.add_plain(plain)
    if misspelled := plain.misspelled_metas():
        for line, meta in zip(block.split(b"\n"), plain.metas, strict=False):
            out.write(encode_record(decode_entry(line)) if meta in misspelled else line + b"\n")
    else:
        out.write(block)
