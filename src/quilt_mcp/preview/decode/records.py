"""What the beginning of a text format of the field tells: VCF, GFF, SAM, FASTA and FASTQ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.text import Text

_MOST_NAMED = 100
_BEGINNING = 1 << 20
_FIRST_RECORDS = 1_000
_CONTIG = re.compile(r"##contig=<(?:.*,)?ID=([^,>]+)(?:.*?,length=(\d+))?")


def vcf(file: File) -> dict[str, Any]:
    """Samples and contigs from the header, whose length is not known before it is read."""
    contigs: dict[str, int | None] = {}
    version, samples, total = None, list[str](), 0
    for line in Text(file).stream:
        if line.startswith("##fileformat="):
            version = line.strip().partition("=")[2][:40]
        elif (found := _CONTIG.match(line)) is not None:
            total += 1
            if len(contigs) < _MOST_NAMED:
                contigs[found[1][:100]] = int(found[2]) if found[2] else None
        elif line.startswith("#CHROM"):
            samples = line.rstrip("\r\n").split("\t")[9:]
            break
        elif not line.startswith("#"):
            break
    return {
        "version": version,
        "samples_total": len(samples),
        "samples": samples[:_MOST_NAMED],
        "contigs_total": total,
        "contigs": contigs,
    }


def fastq(file: File) -> dict[str, Any]:
    """Lengths of the reads at the beginning. Raises Fault for what is no FASTQ, with the line."""
    lengths: list[int] = []
    text = Text(file, _BEGINNING)
    names: list[str] = []
    for number, record in _fours(text):
        name, letters, plus, quality = record
        if not name.startswith("@") or not plus.startswith("+") or len(letters) != len(quality):
            raise Fault("undecodable", f"Line {number} begins no record of FASTQ.")
        lengths.append(len(letters))
        names.append(name[1:200])
        if len(lengths) == _FIRST_RECORDS:
            break
    if not lengths:
        raise Fault("undecodable", "It has no record of FASTQ.")
    return {
        "first_reads": len(lengths),
        "shortest": min(lengths),
        "longest": max(lengths),
        "first_name": names[0],
    }


def _fours(text: Text) -> Iterator[tuple[int, list[str]]]:
    """Whole records and the number of their first line."""
    record: list[str] = []
    number = 0
    for number, line in enumerate(text.stream, 1):
        record.append(line.rstrip("\r\n"))
        if len(record) == 4:
            yield number - 3, record
            record = []
    if any(record) and not text.plain.is_cut:
        raise Fault("undecodable", f"Line {number} ends within a record of FASTQ.")


def fasta(file: File) -> dict[str, Any]:
    """Names and lengths of the sequences at the beginning."""
    text = Text(file, _BEGINNING)
    lengths: dict[str, int] = {}
    name = ""
    for number, line in enumerate(text.stream, 1):
        if line.startswith(">"):
            if len(lengths) == _MOST_NAMED:
                break
            name = line[1:].strip()[:200] or f"line {number}"
            lengths[name] = 0
        elif line.strip():
            if not name:
                raise Fault("undecodable", f"Line {number} begins no sequence of FASTA.")
            lengths[name] += len(line.strip())
    if not lengths:
        raise Fault("undecodable", "It has no sequence of FASTA.")
    if text.plain.is_cut:
        lengths.pop(name)  # half of it may be missing
    return {"first_sequences": lengths}


RECORDS = {"vcf": vcf, "fastq": fastq, "fasta": fasta}
