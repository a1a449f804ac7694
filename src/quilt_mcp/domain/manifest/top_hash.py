"""The top hash: a revision's name, made of its header and entries.

It is the SHA-256 of *text*: each part as Python's own ``json`` spells it with sorted keys, no spaces and only ASCII (rule of
quilt3's ``Package.top_hash``). Physical keys and the metadata of directories are no part of it.
"""

from __future__ import annotations

import hashlib
import json
from json.encoder import encode_basestring_ascii

from quilt_mcp.domain.entry import Entry, Header
from quilt_mcp.domain.manifest.codec import decode_record, dump, size_and_hash
from quilt_mcp.domain.manifest.plain_lines import PlainLines, plain_lines

_dump_sorted = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class TopHash:
    """The top hash of a revision as its entries go by. The caller sees to it that they come in walk order, none twice."""

    __slots__ = ("_hash", "_pending")

    def __init__(self, header: Header) -> None:
        self._hash = hashlib.sha256(header_part(header))
        self._pending: list[str] = []

    def add(self, entry: Entry) -> None:
        """Raises InvalidMetadata."""
        self._pending.append(entry_part(entry))
        if len(self._pending) >= 256:
            self._flush()

    def add_plain(self, plain: PlainLines) -> None:
        self._flush()
        self._hash.update(plain.top_hash_text())

    def add_lines(self, block: bytes) -> None:
        """Entries as whole lines of a manifest. Raises CorruptManifest for one that is none."""
        plain = plain_lines(block)
        if plain is not None:
            self.add_plain(plain)
            return
        self._flush()
        for line in block.split(b"\n")[:-1]:
            record = decode_record(line, 0)
            if isinstance(record, Entry):
                self._hash.update(entry_part(record).encode())

    def hexdigest(self) -> str:
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update("".join(self._pending).encode())
        self._pending.clear()


def header_part(header: Header) -> bytes:
    """What the header adds to the top hash."""
    fields = {name: value for name, value in header.fields.items() if name != "top_hash"}
    return dump(_dump_sorted, fields, "the package metadata").encode()


def entry_part(entry: Entry) -> str:
    """What an entry adds to the top hash; ASCII."""
    size, entry_hash = size_and_hash(entry)
    meta = entry.meta
    return (
        f'{{"hash":{{"type":{encode_basestring_ascii(entry_hash.type)},'
        f'"value":{encode_basestring_ascii(entry_hash.value)}}},'
        f'"logical_key":{encode_basestring_ascii(entry.logical_key)},'
        f'"meta":{dump(_dump_sorted, meta, entry.logical_key) if meta else "{}"},"size":{size}}}'
    )
