"""The top hash: a revision's name, made of its header and entries.

It is the SHA-256 of *text*: each part as Python's own ``json`` spells it with sorted keys, no spaces and only ASCII (rule of
quilt3's ``Package.top_hash``). Physical keys and the metadata of directories are no part of it.
"""

from __future__ import annotations

import hashlib
from json.encoder import encode_basestring_ascii

from quilt_mcp.domain.entry import Entry, Header
from quilt_mcp.domain.manifest.codec import PACKAGE_METADATA, decode_entry, dump, dump_sorted, size_and_hash
from quilt_mcp.domain.manifest.plain_lines import PlainLines, plain_lines


class TopHash:
    """The top hash of a revision as its entries go by. The caller sees to it that they come in walk order, none twice."""

    def __init__(self, header: Header) -> None:
        self._hash = hashlib.sha256(dump(dump_sorted, dict(header.fields), PACKAGE_METADATA).encode())

    def add(self, entry: Entry) -> None:
        """Raises InvalidMetadata."""
        self._hash.update(entry_part(entry).encode())

    def add_plain(self, plain: PlainLines) -> None:
        self._hash.update(plain.top_hash_text())

    def add_lines(self, block: bytes) -> None:
        """Entries as whole lines of a manifest. Raises CorruptManifest for one that is none."""
        plain = plain_lines(block)
        if plain is not None:
            self.add_plain(plain)
            return
        for line in block.split(b"\n")[:-1]:
            self.add(decode_entry(line))

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def entry_part(entry: Entry) -> str:
    """What an entry adds to the top hash; ASCII."""
    size, entry_hash = size_and_hash(entry)
    meta = entry.meta
    return (
        f'{{"hash":{{"type":{encode_basestring_ascii(entry_hash.type)},'
        f'"value":{encode_basestring_ascii(entry_hash.value)}}},'
        f'"logical_key":{encode_basestring_ascii(entry.logical_key)},'
        f'"meta":{dump(dump_sorted, meta, entry.logical_key) if meta else "{}"},"size":{size}}}'
    )
