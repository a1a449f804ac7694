"""``quilt-mcp demo``: the whole job works, on the same samples every time."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import anyio
import duckdb
import pytest
from shell import Shell

from quilt_mcp.cli.picture import picture
from quilt_mcp.demo.samples import measure, write_samples

STEPS = (
    "status",
    "packages_list",
    "package_create",
    "package_browse",
    "object_read",
    "package_patch",
    "package_log",
)


def test_the_demo_does_the_whole_job_and_leaves_nothing(shell: Shell, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    result = shell.run("demo", TMPDIR=str(temporary))
    assert result.returncode == 0, result.stderr
    for tool in (*STEPS, "package_diff", "package_verify"):
        assert f"-> {tool} " in result.stdout
    assert "ok: true" in result.stdout
    assert "Did you mean demo/seedlings?" in result.stdout
    assert list(temporary.iterdir()) == []
    assert list(shell.home.iterdir()) == []


def test_the_demo_ends_with_a_snippet_that_serves_what_it_kept(shell: Shell) -> None:
    result = shell.run("demo", "--keep", "kept")
    start = result.stdout.index('{\n  "mcpServers"')
    snippet, _ = json.JSONDecoder().raw_decode(result.stdout[start:])
    server = snippet["mcpServers"]["quilt"]
    assert Path(server["command"]).is_file()
    listing = shell.call("packages_list", {}, *server["args"])
    assert [package["name"] for package in listing["data"]["packages"]] == ["demo/seedlings"]


def test_a_folder_that_holds_something_is_left_alone(shell: Shell) -> None:
    (shell.here / "mine").write_text("mine")
    result = shell.run("demo", "--keep", str(shell.here))
    assert result.returncode == 6
    assert "already_exists" in result.stderr
    assert [path.name for path in shell.here.iterdir()] == ["mine"]


def test_the_samples_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert [path.name for path in write_samples(one)] == [path.name for path in write_samples(two)]
    for path in one.rglob("*.*"):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes(), path.name


def test_the_samples_are_what_their_names_say(tmp_path: Path) -> None:
    write_samples(tmp_path)
    rows = len(measure())
    for name in ("growth.csv", "growth.parquet"):
        found = duckdb.sql(f"select count(*), count(distinct plant) from '{tmp_path / name}'").fetchall()
        assert found == [(rows, 24)]
    assert json.loads((tmp_path / "analysis.ipynb").read_text())["nbformat"] == 4
    json.loads((tmp_path / "conditions.json").read_text())
    assert anyio.run(picture, (tmp_path / "figures" / "growth.png").read_bytes(), 40) is not None


@pytest.mark.parametrize("kind", range(5))
def test_a_picture_is_drawn_whatever_filter_its_lines_use(kind: int) -> None:
    """The filters are applied here from the PNG specification's definitions."""
    import random
    import struct

    width, height, step = 7, 6, 3
    chance = random.Random(kind)
    rows = [bytes(chance.randrange(256) for _ in range(width * step)) for _ in range(height)]
    lines = b""
    for number, row in enumerate(rows):
        above = rows[number - 1] if number else bytes(len(row))
        lines += bytes([kind])
        for at, value in enumerate(row):
            left = row[at - step] if at >= step else 0
            corner = above[at - step] if at >= step else 0
            paeth = left
            if kind == 4:
                pa, pb, pc = abs(above[at] - corner), abs(left - corner), abs(left + above[at] - 2 * corner)
                paeth = left if pa <= pb and pa <= pc else above[at] if pb <= pc else corner
            guess = (0, left, above[at], (left + above[at]) // 2, paeth)[kind]
            lines += bytes([(value - guess) & 0xFF])

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    drawn = anyio.run(picture, content, width)
    assert drawn is not None
    styles = [str(span.style) for span in drawn.spans]
    for column in range(width):
        upper = ",".join(str(part) for part in rows[0][column * step : column * step + step])
        assert styles[column].startswith(f"rgb({upper}) on ")


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0\0\0\1IHDR\0"]
)
def test_what_cannot_be_drawn_is_not(content: bytes) -> None:
    assert anyio.run(picture, content, 40) is None
