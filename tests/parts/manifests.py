"""Manifests made of bytes for a test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from quilt_mcp.domain.entry import Record
from quilt_mcp.registry.manifests.lines import HeldLines
from quilt_mcp.registry.manifests.look import OtherOrder, look
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.manifests.sorted_copy import sorted_copy

TOP_HASH = "a" * 64


def true_hash(body: bytes) -> str:
    """The top hash of a manifest's bytes by quilt3's rule, spelled with nothing but ``json``."""
    header, *records = map(json.loads, body.splitlines())
    header.pop("top_hash", None)
    entries = [record for record in records if record.get("physical_keys")]
    entries.sort(key=lambda entry: entry["logical_key"].split("/"))
    covered = ("hash", "logical_key", "meta", "size")
    parts = [
        header,
        *(
            {name: entry[name] or {} if name == "meta" else entry[name] for name in covered}
            for entry in entries
        ),
    ]
    text = "".join(json.dumps(part, sort_keys=True, separators=(",", ":")) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


class ChoppedLines(HeldLines):
    """Lines that come in blocks of a few bytes, so that a small manifest has many."""

    def __init__(self, body: bytes, size: int) -> None:
        super().__init__(body)
        self._block = size

    def blocks(self, start: int, end: int, size: int = 0) -> Iterator[bytes]:
        return super().blocks(start, end, self._block)


def opened(
    body: bytes, *, block: int = 1 << 20, top_hash: str = TOP_HASH, with_hash: bool = False
) -> Manifest:
    """As the cache opens one; ``with_hash``: a small one. Raises CorruptManifest."""
    lines = ChoppedLines(body, block)
    try:
        return Manifest(top_hash, lines, look(lines, with_hash=with_hash))
    except OtherOrder:
        lines = ChoppedLines(b"".join(sorted_copy(lines)), block)
        return Manifest(top_hash, lines, look(lines, with_hash=with_hash))


def records(manifest: Manifest) -> list[Record]:
    return [*manifest.directory_metas(), *manifest.entries()]
