"""What the header of a binary format tells, without a library of it: HDF5, BAM, XLSX and other ZIP files, PDF, Arrow, NumPy."""

from __future__ import annotations

import ast
import io
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from quilt_mcp.preview.decode.file import Fault, File, Seekable
from quilt_mcp.preview.decode.unpack import Plain

_MOST_NAMED = 100
_MOST_PART = 4 << 20
"""Bytes of one part of a ZIP file that are unpacked."""
_MOST_DIRECTORY = 32 << 20
_MOST_REFERENCES = 1_000_000
_HDF5 = b"\x89HDF\r\n\x1a\n"


def hdf5(file: File) -> dict[str, Any]:
    """The superblock, which may stand behind a block of the user's."""
    at = 0
    while at < min(file.size, 1 << 20):
        block = file.read(at, 64)
        if block.startswith(_HDF5):
            version = block[8]
            facts: dict[str, Any] = {"format": "HDF5", "superblock": version}
            if version <= 1:
                base = 24 if version == 0 else 28
                facts["end_of_file"] = int.from_bytes(block[base + 16 : base + 24], "little")
            elif version <= 3:
                facts["end_of_file"] = int.from_bytes(block[28:36], "little")
            if facts.get("end_of_file", 0) > file.size:
                facts["cut_short"] = True
            return facts
        at = max(512, at * 2)
    raise Fault("undecodable", "It has no signature of HDF5.")


def bam(file: File) -> dict[str, Any]:
    """The references, and the programs and samples of the text."""
    plain = io.BufferedReader(Plain(file), 1 << 16)
    if plain.read(4) != b"BAM\1":
        raise Fault("undecodable", "It does not begin as a BAM file.")
    length = _count(plain, 64 << 20)
    text = plain.read(length).rstrip(b"\0").decode("utf-8", "replace")
    references: dict[str, int] = {}
    total = _count(plain, _MOST_REFERENCES)
    for _ in range(min(total, _MOST_NAMED)):
        name = plain.read(_count(plain, 1 << 16)).rstrip(b"\0").decode("utf-8", "replace")
        references[name] = _count(plain, 1 << 31)
    return {"format": "BAM", "references_total": total, "references": references, **_sam_header(text)}


def _count(plain: Any, most: int) -> int:
    found = plain.read(4)
    if len(found) < 4:
        raise Fault("undecodable", "Its header is cut short.")
    number = int.from_bytes(found, "little")
    if number > most:
        raise Fault("undecodable", "Its header names a length that cannot be.")
    return number


def _sam_header(text: str) -> dict[str, Any]:
    samples: dict[str, None] = {}
    programs: dict[str, None] = {}
    sorted_by = None
    for line in text.splitlines()[:100_000]:
        parts = dict(one.split(":", 1) for one in line.split("\t")[1:] if ":" in one)
        if line.startswith("@RG") and "SM" in parts:
            samples[parts["SM"]] = None
        if line.startswith("@PG"):
            programs[parts.get("PN", parts.get("ID", ""))] = None
        if line.startswith("@HD"):
            sorted_by = parts.get("SO")
    return {"samples": list(samples)[:_MOST_NAMED], "programs": list(programs)[:20], "sorted_by": sorted_by}


def zip_file(file: File) -> dict[str, Any]:
    """What is in it, by name and size; of a workbook the names of its sheets. Nothing else is unpacked."""
    with _zip(file) as archive:
        entries = archive.infolist()
        names = {one.filename for one in entries}
        if "xl/workbook.xml" in names:
            return {"format": "XLSX", "sheets": _sheets(archive)}
        if "word/document.xml" in names or "ppt/presentation.xml" in names:
            return {"format": "DOCX" if "word/document.xml" in names else "PPTX", "parts": len(entries)}
        files = {one.filename[:300]: one.file_size for one in entries[:_MOST_NAMED]}
        total = sum(one.file_size for one in entries)
        return {"format": "ZIP", "files_total": len(entries), "bytes_unpacked": total, "files": files}


def _zip(file: File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(Seekable(file, _MOST_DIRECTORY))  # pyright: ignore[reportArgumentType]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
        raise Fault("undecodable", f"It is no ZIP file, or is cut short: {error}.") from None


def _sheets(archive: zipfile.ZipFile) -> list[str]:
    try:
        with archive.open("xl/workbook.xml") as part:
            written = part.read(_MOST_PART + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise Fault("undecodable", f"Its list of sheets is damaged: {error}.") from None
    if len(written) > _MOST_PART or b"<!DOCTYPE" in written or b"<!ENTITY" in written:
        raise Fault("undecodable", "Its list of sheets is none that a workbook has.")
    try:
        root = ElementTree.fromstring(written)  # noqa: S314 - no entities, bounded, in the child
    except ElementTree.ParseError as error:
        raise Fault("undecodable", f"Its list of sheets is no XML: {error}.") from None
    return [one.get("name", "") for one in root.iter() if one.tag.endswith("}sheet")][:_MOST_NAMED]


def pdf(file: File) -> dict[str, Any]:
    """The version, and the pages where the page tree or the linearization says them in plain; compressed ones say nothing."""
    head = file.head()[:1024]
    found = re.search(rb"%PDF-(\d\.\d)", head)
    if found is None:
        raise Fault("undecodable", "It does not begin as a PDF file.")
    facts: dict[str, Any] = {"format": "PDF", "version": found[1].decode()}
    tail = file.read(max(0, file.size - (64 << 10)), 64 << 10)
    counts = [
        int(one) for one in re.findall(rb"/Type\s*/Pages\b[^>]{0,400}?/Count\s+(\d{1,7})", file.head() + tail)
    ]
    counts += [
        int(one) for one in re.findall(rb"/Count\s+(\d{1,7})[^>]{0,400}?/Type\s*/Pages\b", file.head() + tail)
    ]
    linear = re.search(rb"/Linearized[^>]{0,200}?/N\s+(\d{1,7})", head)
    if linear is not None:
        counts = [int(linear[1])]
    if counts:
        facts["pages"] = max(counts)
    facts["encrypted"] = True if b"/Encrypt" in tail else None
    facts["cut_short"] = None if b"%%EOF" in tail[-2048:] else True
    return facts


def arrow(file: File) -> dict[str, Any]:
    """Feather 2 is Arrow's file; its tables are not read here."""
    head = file.head()
    if head.startswith(b"ARROW1"):
        whole = file.size > 12 and file.read(file.size - 6, 6) == b"ARROW1"
        return {"format": "Arrow IPC (Feather 2)", "cut_short": None if whole else True}
    if head.startswith(b"FEA1"):
        return {"format": "Feather 1"}
    raise Fault("undecodable", "It does not begin as an Arrow file.")


def npy(file: File) -> dict[str, Any]:
    """Shape and type of a NumPy array."""
    head = file.head()
    if not head.startswith(b"\x93NUMPY") or len(head) < 12:
        raise Fault("undecodable", "It does not begin as a NumPy file.")
    start = 10 if head[6] == 1 else 12
    length = int.from_bytes(head[8:start], "little")
    try:
        found: Any = ast.literal_eval(head[start : start + min(length, 10_000)].decode("latin-1").strip())
        return {"format": "NumPy", "shape": list(found["shape"])[:32], "dtype": str(found["descr"])[:200]}
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        raise Fault("undecodable", "Its header is none that NumPy writes.") from None


HEADERS: dict[str, Callable[[File], dict[str, Any]]] = {
    "hdf5": hdf5,
    "bam": bam,
    "zip": zip_file,
    "pdf": pdf,
    "arrow": arrow,
    "npy": npy,
}
