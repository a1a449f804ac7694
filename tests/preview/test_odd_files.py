"""Real files that came with Python and its packages, cut and damaged too: each is answered for, or refused with a fault."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator
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
    assert len(files) >= (20 if kind in ("image", "text", "json", "archive") else 3), files
    assert answered > len(files)
