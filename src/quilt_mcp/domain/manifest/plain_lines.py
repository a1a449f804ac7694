"""Plain lines: many entries at once, from lines that are spelled as quilt3 spells them.

In such a line, free of escapes, the text between two quotes is the value. One regular expression cuts a whole block of lines,
several times faster than decoding each. The proof that a block is plain must never be wrong; a block it fails on is no
more than odd, and is left to the codec, line by line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Final

import orjson

from quilt_mcp.domain.manifest.codec import MAX_DEPTH, dump_line, dump_sorted, is_deep

_ENTRY: Final = (
    rb'^\{"logical_key": "(%b+)", "physical_keys": \["%b+"\], "size": (0|[1-9][0-9]{0,17}), '
    rb'"hash": \{"type": "%b", "value": "%b"\}, "meta": (?:\{\}|(\{.*\}))\}\n'
)


def _entries(one: bytes, value: bytes) -> re.Pattern[bytes]:
    return re.compile(_ENTRY % (one, one, value % one, value % one), re.MULTILINE)


_ANY: Final = rb'[^"]'
_SAFE: Final = rb'[^"\\\x00-\x1f]'
_QUICK: Final = _entries(_ANY, rb"(%b*)")
"""Twice as fast as ``_EXACT``, and the same where a block holds neither a backslash nor a control character."""
_EXACT: Final = _entries(_SAFE, rb"(%b*)")
_QUICK_SIZES: Final = _entries(_ANY, rb"%b*")
"""As these, without the hashes."""
_EXACT_SIZES: Final = _entries(_SAFE, rb"%b*")
_PROVEN: Final = re.compile(
    rb'\n\{"logical_key": "([^"]++)", "physical_keys": \["[^"]++"\], "size": ([0-9]++), "hash"'
)
_ODD_BYTES: Final = bytes(range(32)) + b"\\"
_RISKY_NUMBER: Final = re.compile(rb"[0-9](?:[eE]|\.000|[0-9.]{15})")
"""Numbers that orjson and ``json`` might read or spell differently: exponents, those that Python writes with one,
integers beyond 64 bits, floats of many digits. A false alarm (in a string, say) only costs time."""


@dataclass(frozen=True, slots=True)
class PlainLines:
    """The entries of a block of lines, as columns of the text between the quotes; of an empty meta object as b''."""

    keys: tuple[bytes, ...]
    sizes: tuple[bytes, ...]
    hash_types: tuple[bytes, ...]
    hash_values: tuple[bytes, ...]
    metas: tuple[bytes, ...]
    is_ascii: bool

    def top_hash_text(self) -> bytes:
        """What these entries add to the top hash: sorted keys, no spaces, only ASCII."""
        metas = {meta: _canonical_meta(meta) for meta in {*self.metas}}
        types, values, keys = self.hash_types, self.hash_values, self.keys
        if not self.is_ascii:
            types, values, keys = (tuple(map(_ascii, column)) for column in (types, values, keys))
        rows = zip(types, values, keys, map(metas.__getitem__, self.metas), self.sizes, strict=True)
        part = b'{"hash":{"type":"%b","value":"%b"},"logical_key":"%b","meta":%b,"size":%b}'
        return b"".join(map(part.__mod__, rows))

    def misspelled_metas(self) -> set[bytes]:
        """The metadata that ``json`` spells in another way. quilt3 would write all lines that have none of it as they are."""
        return {meta for meta in {*self.metas} - {b""} if dump_line(json.loads(meta)).encode() != meta}


def plain_lines(block: bytes) -> PlainLines | None:
    """``block``: whole lines, each with its line feed. None when one of them is not an entry in quilt3's own spelling, or is
    one that the codec would refuse; but whether the logical keys are harmless is not looked into."""
    columns = _columns(block, _QUICK, _EXACT)
    if columns is None:
        return None
    return PlainLines(*columns, is_ascii=block.isascii() and b"\x7f" not in block)


def plain_sizes(block: bytes) -> tuple[tuple[bytes, ...], tuple[bytes, ...]] | None:
    """As ``plain_lines``, logical keys and sizes alone: in three quarters of the time."""
    columns = _columns(block, _QUICK_SIZES, _EXACT_SIZES)
    return None if columns is None else (columns[0], columns[1])


def proven_sizes(block: bytes) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """As ``plain_sizes``, of lines that were found to be plain before: in less than half of the time."""
    keys, sizes = zip(*_PROVEN.findall(b"\n" + block), strict=True)
    return keys, sizes


def _columns(
    block: bytes, quick: re.Pattern[bytes], exact: re.Pattern[bytes]
) -> list[tuple[bytes, ...]] | None:
    rows = quick.findall(block)
    # Each match begins a line and ends one. So equal counts say that each line is a match and no match is more than a line; here,
    # also that line feeds are all there is of control characters and backslashes.
    if not rows or len(block) - len(block.translate(None, _ODD_BYTES)) != len(rows):
        rows = exact.findall(block)
        if not rows or len(rows) != block.count(b"\n"):
            return None
    columns = list(zip(*rows, strict=True))
    return columns if _is_utf8(block) and _are_plain_metas({*columns[-1]} - {b""}) else None


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _are_plain_metas(metas: set[bytes]) -> bool:
    """Whether each is one JSON object to orjson, to ``json`` and to our bounds."""
    if any(len(meta) > 2 * MAX_DEPTH and is_deep(b"{%b}" % meta) for meta in metas):
        return False
    try:
        for meta in metas:
            orjson.loads(meta)
    except orjson.JSONDecodeError:
        return False
    return True


def _canonical_meta(meta: bytes) -> bytes:
    """A plain meta object as the top hash has it. orjson writes it where it is known to write what ``json`` does."""
    if not meta:
        return b"{}"
    is_simple = meta.isascii() and b"\\u" not in meta and b"\x7f" not in meta
    if is_simple and not _RISKY_NUMBER.search(meta):
        return orjson.dumps(orjson.loads(meta), option=orjson.OPT_SORT_KEYS)
    return dump_sorted(json.loads(meta)).encode()


def _ascii(text: bytes) -> bytes:
    return encode_basestring_ascii(text.decode())[1:-1].encode()
