"""Manifests made of bytes for a test."""

from __future__ import annotations

from collections.abc import Iterator

from quilt_mcp.domain.entry import Record
from quilt_mcp.registry.manifests.lines import HeldLines
from quilt_mcp.registry.manifests.look import OtherOrder, look
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.manifests.sorted_copy import sorted_copy

TOP_HASH = "a" * 64


class ChoppedLines(HeldLines):
    """Lines that come in blocks of a few bytes, so that a small manifest has many."""

    def __init__(self, body: bytes, size: int) -> None:
        super().__init__(body)
        self._block = size

    def blocks(self, start: int, end: int, size: int = 0) -> Iterator[bytes]:
        return super().blocks(start, end, self._block)


def opened(body: bytes, *, block: int = 1 << 20, top_hash: str = TOP_HASH) -> Manifest:
    """As the cache opens a small one. Raises CorruptManifest."""
    lines = ChoppedLines(body, block)
    try:
        return Manifest(top_hash, lines, look(lines))
    except OtherOrder:
        lines = ChoppedLines(b"".join(sorted_copy(lines)), block)
        return Manifest(top_hash, lines, look(lines))


def records(manifest: Manifest) -> list[Record]:
    return [*manifest.directory_metas(), *manifest.entries()]
