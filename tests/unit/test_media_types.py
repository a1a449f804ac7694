"""Media types are those of the field, on every machine."""

from __future__ import annotations

import pytest

from quilt_mcp.domain.media_types import UNKNOWN, media_type
from quilt_mcp.preview.kinds import TABLES, kind_of


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("calls.vcf", "text/x-vcf"),
        ("calls.vcf.gz", "application/gzip"),
        ("data/READS.BAM", "application/x-bam"),
        ("cells.h5ad", "application/x-hdf5"),
        ("a.b/notes", UNKNOWN),
        ("README", UNKNOWN),
        (".hidden", UNKNOWN),
        ("t.csv", "text/csv"),
        ("t.json", "application/json"),
        ("t.odd", UNKNOWN),
    ],
)
def test_the_ending_tells_the_type(name: str, wanted: str) -> None:
    assert media_type(name) == wanted


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t.csv", "csv"),
        ("T.CSV.GZ", "csv"),
        ("t.vcf.bgz", "vcf"),
        ("t.fq.zst", "fastq"),
        ("t.gz", None),
        ("csv", None),
        ("", None),
    ],
)
def test_a_compressed_file_is_of_the_kind_of_what_it_holds(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind
    assert kind is None or (kind in TABLES) == (kind != "fastq")
