"""Intake: what a catalog takes in of a revision: its head, its README, and the lines of its entries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from anyio.from_thread import check_cancelled

from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.manifest.codec import decode_entry
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.search.head import Head

_NAMED: Final = ("README.md", "README.rst", "README.txt", "README", "readme.md", "Readme.md")
_TWICE: Final = re.compile(rb'"user_meta"[^\n]*"user_meta"')
"""A key that stands twice: of two, readers of JSON take the one or the other. The codec's is the one that the hash is of."""


def head_of(
    number: int, name: str, manifest: Manifest, modified: datetime, readme: str, columns: tuple[str, ...]
) -> Head:
    header, totals = manifest.header, manifest.totals
    workflow = header.workflow
    workflow_id: Any = workflow.get("id") if isinstance(workflow, Mapping) else None
    return Head(
        number,
        name,
        manifest.top_hash,
        modified,
        header.message,
        header.user_meta,
        workflow_id if isinstance(workflow_id, str) else None,
        totals.entries,
        totals.bytes,
        readme,
        columns,
    )


def readme_of(manifest: Manifest) -> Entry | None:
    """The first of the usual names that there is at the root."""
    return next((found for name in _NAMED if (found := manifest.entry(name)) is not None), None)


def lines_of(manifest: Manifest) -> Iterator[bytes]:
    """The lines of its entries, spelled as JSON that any reader takes. In a thread."""
    index = manifest.index
    if index.is_plain:
        for block in manifest.lines.blocks(index.entries, index.size):
            check_cancelled()
            yield b"".join(map(_decoded, block.splitlines())) if _TWICE.search(block) else block
        return
    lines: list[bytes] = []
    for entry in manifest.entries():
        lines.append(_line(entry))
        if len(lines) == 1_000:
            check_cancelled()
            yield b"".join(lines)
            lines.clear()
    yield b"".join(lines)


def _decoded(line: bytes) -> bytes:
    return _line(decode_entry(line))


def _line(entry: Entry) -> bytes:
    record = {
        "logical_key": entry.logical_key,
        "physical_keys": [entry.physical_key],
        "size": entry.size,
        "hash": None if entry.hash is None else {"type": entry.hash.type, "value": entry.hash.value},
        "meta": dict(entry.meta),
    }
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
