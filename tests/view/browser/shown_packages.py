"""Makes a registry with the real quilt3: ``python shown_packages.py FOLDER``, in FOLDER/registry, of files in FOLDER/here.

    lab/cells     three revisions of what a laboratory keeps: a README, tables, pictures, a notebook, texts, a catalog's layout
    lab/shapes    what is hard to show: no rows, ragged rows, a picture that is none, one of 50 megapixels, a file that vanished
    lab/names     names and texts from right to left, with combining marks, emoji, spaces and none of ASCII's letters
    lab/hostile   what would run, or lie, if it were taken for more than text (``hostile.py``)

A process of its own, as quilt3 fixes its folders when it is imported.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

README = """\
# Cells under a lens

Counts of **living** and *dead* cells of three lines, one row a well, seen each hour. See [the method](docs/method.md) and
<https://example.org/plates>. A line with `code`, ~~a wrong one~~, and an image: ![the plate](images/photo.png)

## What is here

| file | rows | what |
|:-----|-----:|:----:|
| `data/cells.csv` | 1,500 | counts |
| `data/cells.parquet` | 1,500 | the same, typed |

1. Read the table.
2. Look at the plate:
   - wells in the first row are controls
   - the last column is *empty*
     - on purpose

- [x] measured
- [ ] published

> Numbers of one plate, not of the world.
> > Ask before you average.

```python
import quilt3

cells = quilt3.Package.browse("lab/cells")["data/cells.csv"]()
print(cells.groupby("line").alive.mean())
```

---

Hard  \nbreak, escaped \\*stars\\*, an entity &copy; and a very long word:
Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft
"""

SUMMARY: list[Any] = [
    {"path": "images/photo.png", "title": "The plate", "description": "As the camera saw it", "expand": True},
    [
        {"path": "data/cells.csv", "title": "Counts", "width": "60%"},
        {"path": "docs/method.md", "description": "How it was *measured*"},
    ],
    ["notebooks/mean.ipynb", {"path": "data/nothing-there.csv", "title": "Not in the package"}],
]

METHOD = "# Method\n\nCells are counted by eye.\n"

SCRIPT = '''\
"""Means of a plate."""
import csv
from pathlib import Path

THRESHOLD = 0.75  # below that a well is thrown away


def mean(path: Path, column: str = "alive") -> float:
    with path.open(newline="") as file:
        values = [float(row[column]) for row in csv.DictReader(file) if row[column] != ""]
    return sum(values) / len(values) if values else float("nan")


if __name__ == "__main__":
    print(f"{mean(Path('cells.csv')):.3f}")
'''

NOTEBOOK: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"language_info": {"name": "python"}},
    "cells": [
        {
            "cell_type": "markdown",
            "id": "a",
            "metadata": {},
            "source": ["# Means\n", "\n", "Of *one* plate."],
        },
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {},
            "execution_count": 1,
            "source": "cells.groupby('line').alive.mean()",
            "outputs": [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "metadata": {},
                    "data": {"text/plain": "line\nHeLa    412.0\nJurkat  388.5\nName: alive, dtype: float64"},
                },
                {"output_type": "stream", "name": "stderr", "text": ["a warning of \x1b[33mcolour\x1b[0m\n"]},
                {
                    "output_type": "error",
                    "ename": "ValueError",
                    "evalue": "no plate",
                    "traceback": ["\x1b[31mValueError\x1b[0m: no plate"],
                },
            ],
        },
    ],
}

CONFIG = {
    "plate": {"rows": 8, "columns": 12, "barcode": "00012345678901234567890"},
    "lines": [{"name": "HeLa", "wells": [1, 2, 3]}, {"name": "Jurkat", "wells": []}],
    "published": None,
    "dead": False,
    "big": 12345678901234567890,
    "ratio": 1e-7,
}

LINES = ("HeLa", "Jurkat", "CHO, wild")


def rows(count: int, seed: int = 7) -> list[list[Any]]:
    chosen = random.Random(seed)
    return [
        [
            f"w{number:05}",
            LINES[number % 3],
            number % 24,
            chosen.randint(0, 800),
            "" if number % 37 == 0 else round(chosen.gauss(0.8, 0.05), 4),
            f"2026-03-{1 + number % 28:02}T{number % 24:02}:00:00",
            "true" if chosen.random() < 0.9 else "false",
        ]
        for number in range(count)
    ]


def csv_text(table: list[list[Any]], separator: str = ",") -> str:
    def said(cell: Any) -> str:
        text = str(cell)
        return f'"{text}"' if separator in text else text

    head = ["well", "line", "hour", "alive", "viability", "seen at", "kept"]
    return "".join(separator.join(map(said, row)) + "\n" for row in [head, *table])


def picture(width: int, height: int, shift: int = 0) -> Any:
    from PIL import Image

    small = Image.new("RGB", (60, 40))
    for x in range(60):
        for y in range(40):
            far = math.hypot((x - 30 - shift) / 30, (y - 20) / 20)
            small.putpixel((x, y), (int(255 * min(1, far)), 90 + 2 * y, 255 - 4 * x))
    return small.resize((width, height))


def plate(path: Path, width: int = 1200, height: int = 800) -> None:
    """16 bits of a microscope, of which the camera used twelve."""
    from PIL import Image

    grey = Image.new("I;16", (60, 40))
    for x in range(60):
        for y in range(40):
            grey.putpixel((x, y), int(4000 * math.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 90)) + 100)
    grey.resize((width, height), resample=Image.Resampling.NEAREST).save(path)


def write_cells(folder: Path) -> None:
    import duckdb

    for name in ("data", "docs", "images", "notebooks", "scripts/old", "raw/2026/03"):
        (folder / name).mkdir(parents=True)
    (folder / "README.md").write_text(README)
    (folder / "quilt_summarize.json").write_text(json.dumps(SUMMARY))
    (folder / "data/cells.csv").write_text(csv_text(rows(1500)))
    (folder / "data/cells.tsv").write_text(csv_text(rows(20), "\t"))
    (folder / "data/log.jsonl").write_text(
        "".join(json.dumps({"t": n, "kind": "scan", "ok": n % 5 > 0}) + "\n" for n in range(40))
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select *, [hour, alive] as pair, {{'line': line, 'kept': kept}} as both, hour::decimal(10, 2) as exact"
            f" from read_csv('{folder}/data/cells.csv')) to '{folder}/data/cells.parquet' (format parquet)"
        )
    (folder / "docs/method.md").write_text(METHOD)
    (folder / "docs/page.html").write_text("<!doctype html><title>A page</title><h1>Made by hand</h1>\n")
    (folder / "docs/paper.pdf").write_bytes(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n")
    picture(900, 600).save(folder / "images/photo.png")
    picture(900, 600).save(folder / "images/photo.jpg")
    plate(folder / "images/plate.tif")
    (folder / "images/logo.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="4" fill="teal"/></svg>\n'
    )
    (folder / "notebooks/mean.ipynb").write_text(json.dumps(NOTEBOOK))
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    (folder / "scripts/means.py").write_text(SCRIPT)
    (folder / "scripts/old/means.R").write_text("mean <- function(x) sum(x) / length(x)\n")
    (folder / "raw/2026/03/plate.bin").write_bytes(bytes(range(256)) * 400)
    (folder / "raw/2026/03/notes.txt.gz").write_bytes(gzip.compress(b"squeezed notes\n" * 50))
    (folder / "empty.txt").write_bytes(b"")


def change_cells(folder: Path) -> None:
    table = rows(1500)
    table[3][3] = 999
    table[4][1] = "Vero"
    table[10][4] = float(table[10][4]) + 1e-9
    del table[20]
    table.append(["w99999", "HeLa", 1, 5, 0.5, "2026-03-30T00:00:00", "true"])
    (folder / "data/cells.csv").write_text(csv_text(table))
    picture(900, 600, shift=8).save(folder / "images/photo.png")
    (folder / "docs/method.md").write_text(METHOD + "\nAnd then again.\n")
    (folder / "scripts/old/means.R").unlink()
    (folder / "data/new.csv").write_text("a,b\n1,2\n")
    shutil.move(folder / "config.json", folder / "docs/config.json")


def build_cells(source: Path, build: Callable[..., None]) -> None:
    import quilt3

    write_cells(source / "cells-1")
    first = quilt3.Package().set_dir("/", str(source / "cells-1"))
    first.set_meta(
        {
            "species": "human",
            "plate": {"rows": 8, "columns": 12},
            "tags": ["growth", "plate-7"],
            "checked": False,
        }
    )
    first["data"].set_meta({"unit": "cells per well"})
    first["data/cells.csv"].set_meta({"instrument": "lens-2", "exposure": 0.25})
    build(first, "lab/cells", "Counts of the first day")
    shutil.copytree(source / "cells-1", source / "cells-2")
    change_cells(source / "cells-2")
    second = quilt3.Package().set_dir("/", str(source / "cells-2"))
    second.set_meta(
        {"species": "human", "plate": {"rows": 8, "columns": 12}, "tags": ["growth"], "checked": True}
    )
    second["data"].set_meta({"unit": "cells per well"})
    second["data/cells.csv"].set_meta({"instrument": "lens-3", "exposure": 0.25})
    build(
        second,
        "lab/cells",
        "Two wells counted again, one thrown away; " + "a message that goes on and on " * 8,
    )
    (source / "last.txt").write_text("last\n")
    second.set("last.txt", str(source / "last.txt"))
    build(second, "lab/cells", "One more file")


def build_shapes(source: Path, build: Callable[..., None]) -> None:
    import quilt3
    from PIL import Image

    folder = source / "shapes"
    folder.mkdir()
    (folder / "head-only.csv").write_text("a,b,c\n")
    (folder / "blanks.csv").write_text("a,c\n1,3\n4,\n6,8\n")
    (folder / "ragged.csv").write_text("a,b,c\n1,2,3\n4,5\n6,7,8,9\n")
    (folder / "wide.csv").write_text(
        ",".join(f"column {n}" for n in range(300)) + "\n" + ",".join(map(str, range(300))) + "\n"
    )
    (folder / "long-cell.csv").write_text("id,text\n1," + "long " * 4000 + "\n")
    (folder / "not-a-picture.png").write_bytes(b"\x89PNG\r\n\x1a\nand then nothing")
    (folder / "not-json.json").write_text('{"half": ')
    (folder / "not-a-notebook.ipynb").write_text("{}")
    (folder / "not-a-table.parquet").write_bytes(b"PAR1" + b"\0" * 100)
    (folder / "deep.json").write_text("[" * 60 + "]" * 60)
    (folder / "long.txt").write_text("".join(f"line {number}\n" for number in range(60_000)))
    (folder / "one-line.txt").write_text("x" * 300_000)
    (folder / "latin.txt").write_bytes("caf\xe9 au lait\n".encode("latin-1"))
    Image.new("L", (8000, 6250), 130).save(folder / "fifty-megapixels.jpg", quality=30)
    (folder / "gone.txt").write_text("here for a moment\n")
    package = quilt3.Package().set_dir("/", str(folder))
    build(package, "lab/shapes", "")
    (folder / "gone.txt").unlink()


HEBREW = """\
# \u05ea\u05d0\u05d9\u05dd \u05ea\u05d7\u05ea \u05e2\u05d3\u05e9\u05d4

\u05e1\u05e4\u05d9\u05e8\u05d4 \u05e9\u05dc \u05ea\u05d0\u05d9\u05dd (cells).
"""
NAMES = {
    "\u05de\u05d3\u05d9\u05d3\u05d5\u05ea/\u05d3\u05d5\u05d7 2026.txt": "\u05e9\u05dc\u05d5\u05dd (hello) 12\n",
    "\u0628\u064a\u0627\u0646\u0627\u062a.csv": "\u0627\u0633\u0645,\u0642\u064a\u0645\u0629\n\u062e\u0644\u064a\u0629,12\n",
    "\u65e5\u672c\u8a9e/\u7d30\u80de.txt": "\u7d30\u80de\n",
    "nai\u0308ve e\u0301te\u0301.txt": "combining\n",
    "\U0001f9ec dna \U0001f469\u200d\U0001f52c.txt": "emoji\n",
    " leading and trailing .txt": "spaces\n",
    "per%20cent & plus+ #hash?query=1.txt": "odd\n",
    "README.md": HEBREW,
}


def build_names(source: Path, build: Callable[..., None]) -> None:
    import quilt3

    package = quilt3.Package()
    for number, (key, text) in enumerate(NAMES.items()):
        path = source / f"name-{number}{Path(key).suffix}"
        path.write_text(text)
        package.set(key, str(path))
    package.set_meta({"\u05e9\u05dd": "\u05ea\u05d0\u05d9\u05dd", "mixed": "abc \u05d0\u05d1\u05d2 123"})
    build(package, "lab/names", "\u05e8\u05d0\u05e9\u05d5\u05df")


def make(folder: Path) -> dict[str, list[str]]:
    """Answers the top hashes of each package, oldest first."""
    import quilt3.packages
    from hostile import build_hostile

    # quilt3 names a revision by the second it was built in: two of one second are one.
    hours = itertools.count(1_772_352_000, 3600)
    quilt3.packages.time.time = lambda: next(hours)
    source, registry = folder / "here" / "source", folder / "registry"
    source.mkdir(parents=True)
    registry.mkdir()
    hashes: dict[str, list[str]] = {}

    def build(package: Any, name: str, message: str) -> None:
        top_hash = package.build(name, registry=registry.as_uri(), message=message or None)
        hashes.setdefault(name, []).append(top_hash)

    for step in (build_cells, build_shapes, build_names, build_hostile):
        step(source, build)
    return hashes


if __name__ == "__main__":
    print(json.dumps(make(Path(sys.argv[1]))))
