"""Kinds of files that can be looked into, by their names. What the bytes say otherwise, the readers find out."""

from __future__ import annotations

from typing import Final

COMPRESSED: Final = (".gz", ".bgz", ".bz2", ".zst", ".zstd")
_KINDS: Final = {
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet", ".pq"),
    "vcf": (".vcf",),
    "gff": (".gff", ".gff3", ".gtf"),
    "bed": (".bed",),
    "sam": (".sam",),
    "fastq": (".fastq", ".fq"),
    "fasta": (".fasta", ".fa", ".fna", ".faa"),
    "notebook": (".ipynb",),
    "image": (".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".jp2", ".pgm", ".ppm"),
    "hdf5": (".h5", ".hdf5", ".h5ad", ".hdf", ".loom", ".nwb"),
    "bam": (".bam",),
    "zip": (".zip", ".xlsx", ".xlsm", ".docx", ".pptx", ".npz"),
    "pdf": (".pdf",),
    "arrow": (".arrow", ".feather"),
    "npy": (".npy",),
}
_BY_ENDING: Final = {ending: kind for kind, endings in _KINDS.items() for ending in endings}
TABLES: Final = frozenset(("csv", "tsv", "jsonl", "parquet", "vcf", "gff", "bed", "sam"))


def kind_of(name: str) -> str | None:
    """None: nothing is known of its inside. A compressed file is of the kind of what it holds."""
    bare = name.lower()
    for ending in COMPRESSED:
        bare = bare.removesuffix(ending)
    return _BY_ENDING.get(bare[bare.rfind(".") :] if "." in bare else "")
