"""What the header of a format tells, and what is said of a file that is not of its format."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import pytest
from held import Held

WORKBOOK = (
    '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheets>'
    '<sheet name="Plate 1" sheetId="1"/><sheet name="Größen" sheetId="2"/></sheets></workbook>'
)


def zipped(**files: str | bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return into.getvalue()


def test_a_workbook_names_its_sheets() -> None:
    content = zipped(**{"xl__workbook.xml": WORKBOOK, "xl__worksheets__sheet1.xml": "<x/>" * 50_000})
    assert Held("t.xlsx", content).inside()["sheets"] == ["Plate 1", "Größen"]


def test_a_zip_file_names_what_is_in_it_and_unpacks_nothing() -> None:
    held = Held("t.zip", zipped(a="x" * 50_000_000, b="y"))
    found = held.inside()
    assert (found["files_total"], found["files"], found["bytes_unpacked"]) == (
        2,
        {"a": 50_000_000, "b": 1},
        50_000_001,
    )
    assert Held("t.docx", zipped(**{"word__document.xml": "<x/>"})).inside()["format"] == "DOCX"


@pytest.mark.parametrize(
    "workbook",
    [b"<!DOCTYPE a [<!ENTITY b 'c'>]><workbook/>", b"<workbook", b" " * (5 << 20), b"\0"],
)
def test_a_workbook_that_is_none_is_not_read(workbook: bytes) -> None:
    assert (
        Held("t.xlsx", zipped(**{"xl__workbook.xml": workbook})).fault("inside", first=5)[0] == "undecodable"
    )


@pytest.mark.parametrize(("version", "end_at"), [(0, 40), (1, 44), (2, 28), (3, 28)])
@pytest.mark.parametrize("before", [0, 512, 2048])
def test_hdf5_is_known_by_its_superblock_wherever_it_begins(version: int, end_at: int, before: int) -> None:
    block = bytearray(b"\x89HDF\r\n\x1a\n" + bytes([version]) + bytes(200))
    block[end_at : end_at + 8] = struct.pack("<Q", 5_000)
    found = Held("cells.h5ad", bytes(before) + bytes(block) + bytes(5_000)).inside()
    assert (found["format"], found["superblock"], found["end_of_file"]) == ("HDF5", version, 5_000)
    assert Held("cells.h5ad", bytes(before) + bytes(block)).inside()["cut_short"] is True


def bam(text: bytes, references: list[tuple[bytes, int]]) -> bytes:
    body = b"BAM\1" + struct.pack("<I", len(text)) + text + struct.pack("<I", len(references))
    for name, length in references:
        body += struct.pack("<I", len(name) + 1) + name + b"\0" + struct.pack("<I", length)
    return gzip.compress(body[:20]) + gzip.compress(body[20:] + b"reads")


def test_bam_tells_its_references_and_samples() -> None:
    text = b"@HD\tVN:1.6\tSO:coordinate\n@RG\tID:a\tSM:S1\n@RG\tID:b\tSM:S2\n@PG\tID:x\tPN:bwa\n"
    found = Held("t.bam", bam(text, [(b"chr1", 1_000), (b"chr2", 500)])).inside()
    assert (found["references"], found["references_total"]) == ({"chr1": 1_000, "chr2": 500}, 2)
    assert (found["samples"], found["programs"], found["sorted_by"]) == (["S1", "S2"], ["bwa"], "coordinate")


def test_pdf_tells_version_and_pages_where_they_stand_in_plain() -> None:
    content = b"%PDF-1.7\n1 0 obj << /Type /Pages /Kids [] /Count 12 >> endobj\ntrailer << >>\n%%EOF\n"
    found = Held("t.pdf", content).inside()
    assert (found["version"], found["pages"], found.get("cut_short")) == ("1.7", 12, None)
    linear = Held("t.pdf", b"%PDF-1.4\n1 0 obj << /Linearized 1 /L 5 /N 33 >> endobj\n/Encrypt").inside()
    assert (linear["pages"], linear["encrypted"], linear["cut_short"]) == (33, True, True)


def test_arrow_and_numpy_are_known() -> None:
    assert Held("t.feather", b"ARROW1\0\0" + bytes(50) + b"ARROW1").inside()["format"].startswith("Arrow")
    assert Held("t.feather", b"ARROW1\0\0" + bytes(50)).inside()["cut_short"] is True
    assert Held("t.feather", b"FEA1" + bytes(9)).inside()["format"] == "Feather 1"
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\n"
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bytes(96)
    assert Held("t.npy", content).inside()["shape"] == [3, 4]


def test_fastq_tells_the_lengths_of_its_first_reads() -> None:
    content = b"".join(
        b"@r%d\n%s\n+\n%s\n" % (one, b"A" * (50 + one), b"F" * (50 + one)) for one in range(20)
    )
    found = Held("t.fastq.gz", gzip.compress(content)).inside()
    assert (found["first_reads"], found["shortest"], found["longest"], found["first_name"]) == (
        20,
        50,
        69,
        "r0",
    )
    kind, message = Held("t.fastq", content + b"oops\nA\n+\nF\n").fault("inside", first=5)
    assert (kind, message) == ("undecodable", "Line 81 begins no record of FASTQ.")
    assert "Line 82 ends" in Held("t.fastq", content + b"@x\nACGT\n").fault("inside", first=5)[1]


def test_fasta_tells_its_first_sequences() -> None:
    found = Held("t.fa", b">chr1 first\nACGT\nAC\n\n>chr2\nA\n").inside()
    assert found["first_sequences"] == {"chr1 first": 6, "chr2": 1}
    assert Held("t.fa", b"ACGT\n").fault("inside", first=5)[0] == "undecodable"
    large = b">one\n" + b"ACGT\n" * 300_000 + b">two\nA\n"
    assert Held("t.fa", large).inside()["first_sequences"] == {}


ODD = {
    "empty": b"",
    "one byte": b"\0",
    "text": b"hello\n" * 100,
    "zeros": bytes(100_000),
    "magic alone": b"\x89HDF\r\n\x1a\n",
    "bam alone": gzip.compress(b"BAM\1"),
    "bam long": gzip.compress(b"BAM\1\xff\xff\xff\xff"),
    "bam cut": bam(b"@HD\n", [(b"chr1", 5)])[:-30],
    "bam many": gzip.compress(b"BAM\1" + bytes(4) + b"\xff\xff\xff\x7f"),
    "gzip": gzip.compress(b"hello"),
    "zip head": b"PK\3\4" + bytes(30),
    "zip end": b"PK\5\6" + b"\xff" * 18,
    "zip cut": zipped(a="x" * 1000)[:-10],
    "pdf head": b"%PDF-",
    "npy head": b"\x93NUMPY\1\0\xff\xff",
    "npy wild": b"\x93NUMPY\1\0\x20\0" + b"__import__('os').system('x')".ljust(32),
    "npy deep": b"\x93NUMPY\2\0\0\0\0\0" + b"(" * 9_000,
    "arrow": b"ARROW",
    "html": b"<html><body>404</body></html>",
    "utf-16": "hello".encode("utf-16"),
}


@pytest.mark.sampled(151)
@pytest.mark.parametrize(
    "name", ["t.h5", "t.bam", "t.xlsx", "t.zip", "t.pdf", "t.arrow", "t.npy", "t.fastq", "t.fasta"]
)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_not_of_its_format_is_said_not_to_be(name: str, odd: str) -> None:
    held = Held(name, ODD[odd])
    if (name, odd) in {("t.h5", "magic alone"), ("t.npy", "empty")}:
        return
    assert held.fault("inside", first=5)[0] in ("undecodable", "not_text")
    assert held.bytes_read <= 1 << 20
