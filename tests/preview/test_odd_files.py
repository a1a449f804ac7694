"""Real files that came with Python and its packages, cut and damaged too: each is answered for, or refused with a fault."""

from __future__ import annotations

import bz2
import gzip
import json
import random
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from held import Held, rows_asked

from quilt_mcp.preview.decode.process import answer_to

ENDINGS = {
    "csv": ("*.csv", "*.tsv", "*.tab", "*.csv.gz"),
    "image": ("*.png", "*.jpg", "*.jpeg", "*.gif", "*.tif", "*.tiff", "*.webp", "*.bmp", "*.ppm", "*.pgm"),
    "array": ("*.npy", "*.npz", "*.h5"),
    "archive": ("*.gz", "*.zip", "*.whl", "*.bz2"),
    "json": ("*.jsonl", "*.ndjson", "*.ipynb", "*.json"),
    "text": ("*.txt", "*.rst", "*.svg", "*.xml", "*.pem", "*.dat", "*.h"),
}
MOST = 25
SMALL = 3 << 20


def real_files(kind: str) -> list[Path]:
    """Files of many sizes, the same each time on one machine."""
    roots = {sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")}
    found: list[Path] = []
    for root in sorted(roots):
        for pattern in ENDINGS[kind]:
            found += (
                one
                for one in sorted(Path(root).rglob(pattern))
                if one.is_file() and one.stat().st_size < SMALL
            )
    random.Random(1).shuffle(found)
    return found[:MOST]


def questions(name: str) -> Iterator[dict[str, Any]]:
    yield {"question": "inside", "first": 3}
    yield {"question": "text", "offset": 0, "length": 500}
    yield {"question": "find", "find": "/a.c/", "offset": 0, "limit": 3, "room": 2_000}
    yield {"question": "rows", **rows_asked(stop=3, room=2_000)}
    yield {"question": "picture", "most": 100_000, "side": 200}
    yield {"question": "notebook", "offset": 0, "length": 500}


KINDS = {
    "csv": ("csv", "tsv", "vcf", "gff"),
    "image": ("image",),
    "array": ("npy", "zip", "hdf5"),
    "archive": ("zip", "bam", "csv", "fastq"),
    "json": ("jsonl", "notebook", "csv"),
    "text": ("csv", "tsv", "bed", "sam", "fasta", "pdf", "arrow"),
}


@pytest.mark.nightly
@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ENDINGS)
def test_real_files_are_answered_for_whole_and_cut_and_damaged(kind: str) -> None:
    files = real_files(kind)
    chance = random.Random(2)
    answered = 0
    for path in files:
        whole = path.read_bytes()
        forms = [whole, whole[: len(whole) * 2 // 3]]
        if len(whole) > 200:
            at = chance.randrange(100, len(whole) - 50)
            forms.append(whole[:at] + chance.randbytes(50) + whole[at + 50 :])
        for content in forms:
            held = Held(path.name, content)
            for question in questions(path.name):
                for one in KINDS[kind] if question["question"] in ("inside", "rows") else KINDS[kind][:1]:
                    found = answer_to(held.file(), {"kind": one, **question})
                    assert found.keys() in ({"answer"}, {"fault"}), path
                    answered += "answer" in found
    assert len(files) >= 3, "what a Python brings differs; the made forms below are thirty on any machine"
    assert answered > len(files)


def parquet(tmp_path: Path) -> bytes:
    import duckdb

    file = tmp_path / "made.parquet"
    duckdb.execute(f"COPY (SELECT i, 'text ' || i AS t FROM range(2000) r(i)) TO '{file}' (FORMAT parquet)")
    return file.read_bytes()


def picture(tmp_path: Path) -> bytes:
    from PIL import Image

    file = tmp_path / "made.tiff"
    Image.effect_noise((60, 40), 50).convert("I;16").save(file)
    return file.read_bytes()


NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "metadata": {},
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "text"]},
            {"cell_type": "code", "source": "1/0", "outputs": [{"output_type": "error", "ename": "E"}]},
        ],
    }
).encode()
VCF = (
    b"##fileformat=VCFv4.2\n##INFO=<ID=DP,Number=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    + b"1\t100\trs1\tA\tC\t9\tPASS\tDP=3\n" * 30
)
BAM = gzip.compress(b"BAM\1" + (20).to_bytes(4, "little") + b"@HD\tVN:1.6\n@SQ\tSN:1" + bytes(200))
MADE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    "csv": ("made.csv", lambda _: b"a,b\n" + b"1,x\n" * 60),
    "jsonl": ("made.jsonl", lambda _: b'{"a": 1, "b": [1, 2]}\n' * 60),
    "notebook": ("made.ipynb", lambda _: NOTEBOOK),
    "vcf": ("made.vcf", lambda _: VCF),
    "bam": ("made.bam", lambda _: BAM),
    "parquet": ("made.parquet", parquet),
    "image": ("made.tiff", picture),
}


def odd_forms(whole: bytes) -> Iterator[bytes]:
    """Ragged, empty, of another encoding or ending, cut and spoilt: what people upload."""
    yield from (b"", b"\n", b"\0", b" " * 300, b"\xff\xfe", b"\xef\xbb\xbf" + whole)
    yield from (whole[: len(whole) * part // 8] for part in range(1, 8))
    yield from (
        whole[1:],
        whole[len(whole) // 2 :],
        whole + whole,
        whole + b"\0" * 999,
        bytes(reversed(whole)),
    )
    yield from (whole.replace(b"\n", b"\r\n"), whole.replace(b",", b";"), whole.replace(b"1", b"\xe9"))
    yield from (whole.replace(b"\n", b",extra,more\n", 7), whole.replace(b"a", b"\xf0\x9f\x8c\xb1"))
    yield from (gzip.compress(whole), gzip.compress(whole)[:-9], bz2.compress(whole))
    yield from (whole.decode("latin-1").encode("utf-16"), b'"' + whole, whole.replace(b"{", b"[" * 400))
    chance = random.Random(3)
    for _ in range(4):
        spoilt = bytearray(whole)
        for _ in range(9):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        yield bytes(spoilt)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", MADE)
def test_made_odd_files_are_answered_for_by_each_reader(kind: str, tmp_path: Path) -> None:
    name, make = MADE[kind]
    whole = make(tmp_path)
    forms = list(odd_forms(whole))
    assert len(forms) >= 20
    for content in (whole, *forms):
        held = Held(name, content)
        for question in questions(name):
            found = answer_to(held.file(), {"kind": kind, **question})
            assert found.keys() in ({"answer"}, {"fault"}), (question, content[:80])
    assert answer_to(Held(name, whole).file(), {"kind": kind, "question": "inside", "first": 3}).keys() == {
        "answer"
    }
