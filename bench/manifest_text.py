"""Manifests as text, from a fixed seed: no package is built, so that a million entries cost seconds.

Entries look like a real dataset's: two levels of folders, versioned S3 keys, chunked hashes, metadata on every tenth.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

from quilt_mcp.domain.manifest.codec import decode_header
from quilt_mcp.domain.manifest.top_hash import TopHash

PACKAGE = "bench/measurements"
NOW = 1_700_000_000


def lines(entries: int, *, changed_every: int = 0, seed: int = 1) -> Iterator[str]:
    """``changed_every``: every so many entries has another hash and size than it would have."""
    random_bits = random.Random(seed)
    yield '{"version": "v0", "user_meta": {"campaign": "bench"}, "message": "made by a benchmark"}\n'
    for number in range(entries):
        key = f"run-{number // 1000:05}/sample_{number % 1000:04}_measurement.parquet"
        digest = random_bits.getrandbits(256)
        size = random_bits.randrange(10_000_000)
        score = random_bits.random()
        version = random_bits.getrandbits(128)
        if changed_every and number % changed_every == 0:
            digest, size = digest ^ 1, size + 1
        value = base64.b64encode(digest.to_bytes(32, "big")).decode()
        meta = (
            f'{{"user_meta": {{"run": {number}, "score": {round(score, 4)}, "label": "batch-{number % 17}"}}}}'
            if number % 10 == 0
            else "{}"
        )
        yield (
            f'{{"logical_key": "{key}", "physical_keys": ["s3://bucket-of-some-name/data/{key}?versionId={version:032x}"], '
            f'"size": {size}, "hash": {{"type": "sha2-256-chunked", "value": "{value}"}}, "meta": {meta}}}\n'
        )


def write_revision(registry: Path, entries: int, *, changed_every: int = 0) -> str:
    """Writes a revision with its pointers and answers its top hash."""
    manifests = registry / ".quilt" / "packages"
    pointers = registry / ".quilt" / "named_packages" / PACKAGE
    manifests.mkdir(parents=True, exist_ok=True)
    pointers.mkdir(parents=True, exist_ok=True)
    written = manifests / "new"
    with written.open("w", encoding="utf-8") as file:
        file.writelines(lines(entries, changed_every=changed_every))
    with written.open("rb") as file:
        whole = TopHash(decode_header(file.readline()))
        while block := file.read(1 << 20):
            whole.add_lines(block + file.readline())
    top_hash = whole.hexdigest()
    written.rename(manifests / top_hash)
    for name in (str(NOW + len(list(pointers.iterdir()))), "latest"):
        (pointers / name).write_text(top_hash)
    return top_hash
