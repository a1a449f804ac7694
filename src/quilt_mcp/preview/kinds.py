"""Kinds of files that can be looked into, by their names. What the bytes say otherwise, the readers find out."""

from __future__ import annotations

from typing import Final

COMPRESSED: Final = (".gz", ".bgz", ".bz2", ".zst", ".zstd")
_ENDINGS: Final = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".vcf": "vcf",
    ".gff": "gff",
    ".gff3": "gff",
    ".gtf": "gff",
    ".bed": "bed",
    ".sam": "sam",
    ".ipynb": "notebook",
}
TABLES: Final = frozenset(("csv", "tsv", "jsonl", "parquet", "vcf", "gff", "bed", "sam"))


def kind_of(name: str) -> str | None:
    """None: nothing is known of its inside. A compressed file is of the kind of what it holds."""
    bare = name.lower()
    for ending in COMPRESSED:
        bare = bare.removesuffix(ending)
    return _ENDINGS.get(bare[bare.rfind(".") :] if "." in bare else "")
