"""The sample data of the demo: a made-up growth experiment, the same bytes every time, free of rights."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 20261122
LIGHTS = ("red", "blue", "white", "dark")
COLORS = {"red": (200, 60, 50), "blue": (50, 90, 200), "white": (150, 150, 150), "dark": (30, 30, 30)}
DAYS = 15
REPLICATES = 6

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Measurement:
    """``height`` in millimetres, ``day`` counted from sowing."""

    plant: str
    light: str
    day: int
    height: float


def measure(seed: int = SEED) -> list[Measurement]:
    """Six seedlings under each of four lights, measured for fifteen days: logistic growth with noise."""
    chance = random.Random(seed)  # noqa: S311 - sample data, not a secret
    ceiling = {"red": 92.0, "blue": 74.0, "white": 85.0, "dark": 48.0}
    rows: list[Measurement] = []
    for light in LIGHTS:
        for replicate in range(1, REPLICATES + 1):
            top = ceiling[light] * chance.uniform(0.9, 1.1)
            rate = chance.uniform(0.45, 0.6)
            for day in range(DAYS):
                height = top / (1 + math.exp(-rate * (day - 7))) + chance.gauss(0, 0.6)
                plant = f"{light[0].upper()}{replicate:02}"
                rows.append(Measurement(plant, light, day, round(max(height, 0.0), 2)))
    return rows


def write_samples(folder: Path) -> list[Path]:
    """Writes the six sample files below ``folder`` and answers their paths. Existing files are replaced."""
    rows = measure()
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    contents = {
        "README.md": _readme(rows).encode(),
        "growth.csv": _csv(rows).encode(),
        "conditions.json": (json.dumps(_conditions(), indent=2) + "\n").encode(),
        "analysis.ipynb": (json.dumps(_notebook(), indent=1) + "\n").encode(),
        "figures/growth.png": _chart(rows),
    }
    written: list[Path] = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        written.append(path)
    parquet = folder / "growth.parquet"
    _write_parquet(folder / "growth.csv", parquet)
    return [*written, parquet]


def calibrate(folder: Path) -> None:
    """Changes growth.csv as a later calibration of the ruler would: every height two per cent up."""
    rows = [Measurement(row.plant, row.light, row.day, round(row.height * 1.02, 2)) for row in measure()]
    (folder / "growth.csv").write_text(_csv(rows))


def _csv(rows: list[Measurement]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["plant", "light", "day", "height_mm"])
    writer.writerows([row.plant, row.light, row.day, row.height] for row in rows)
    return text.getvalue()


def _readme(rows: list[Measurement]) -> str:
    plants = len({row.plant for row in rows})
    return (
        "# Seedling growth under four lights\n\n"
        f"{plants} seedlings, {DAYS} days, {len(rows)} measurements. Made up for the demo with a fixed seed.\n\n"
        "- `growth.csv`, `growth.parquet`: plant, light, day, height in millimetres\n"
        "- `conditions.json`: what each light was\n"
        "- `figures/growth.png`: mean height by day\n"
        "- `analysis.ipynb`: how the figure was made\n"
    )


def _conditions() -> dict[str, Any]:
    return {
        "temperature_celsius": 22.5,
        "lights": {
            "red": {"peak_nm": 660, "hours": 16},
            "blue": {"peak_nm": 450, "hours": 16},
            "white": {"peak_nm": None, "hours": 16},
            "dark": {"peak_nm": None, "hours": 0},
        },
    }


def _notebook() -> dict[str, Any]:
    code = (
        "import duckdb\nduckdb.sql(\"select light, day, avg(height_mm) from 'growth.parquet' group by all\")"
    )
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# Mean height by day\n"]},
        {
            "cell_type": "code",
            "id": "means",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": code.splitlines(keepends=True),
        },
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _write_parquet(source: Path, target: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        table = connection.read_csv(str(source))
        table.write_parquet(str(target), overwrite=True)


def _chart(rows: list[Measurement], width: int = 360, height: int = 220) -> bytes:
    """Mean height by day, one line a light, as a PNG written by hand."""
    pixels = bytearray(b"\xff" * (width * height * 3))
    margin = 12

    def put(x: int, y: int, color: Rgb) -> None:
        at = (y * width + x) * 3
        pixels[at : at + 3] = bytes(color)

    for x in range(margin, width - margin):
        put(x, height - margin, (120, 120, 120))
    for y in range(margin, height - margin):
        put(margin, y, (120, 120, 120))

    tallest = max(row.height for row in rows)
    for light in LIGHTS:
        means = [
            sum(row.height for row in rows if row.light == light and row.day == day) / REPLICATES
            for day in range(DAYS)
        ]
        steps = width - 2 * margin - 1
        for step in range(steps):
            position = step * (DAYS - 1) / steps
            day = int(position)
            mean = means[day] + (means[min(day + 1, DAYS - 1)] - means[day]) * (position - day)
            y = height - margin - 1 - round(mean / tallest * (height - 2 * margin - 2))
            for thickness in range(2):
                put(margin + 1 + step, max(y - thickness, 0), COLORS[light])
    return png(bytes(pixels), width, height)


def png(rgb: bytes, width: int, height: int) -> bytes:
    """Encodes 8-bit RGB rows, top first, as a PNG."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    stride = width * 3
    lines = b"".join(b"\0" + rgb[row * stride : (row + 1) * stride] for row in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )
