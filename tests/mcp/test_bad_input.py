"""Bad input, by a real client: each is refused with a code, with what is wrong and with what to do next."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from serving import Connect, Place, failure, result

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(place: Place) -> Path:
    made = place.here / "bad"
    made.mkdir(exist_ok=True)
    (made / "growth.csv").write_text("plant,height_mm\nP1,3\n")
    (made / "hits.txt").write_text("hit\n" * 10_000)
    (made / "broken.parquet").write_bytes(b"no table")
    (made / "broken.png").write_bytes(b"no picture")
    head = b"IHDR" + struct.pack(">IIBBBBB", 1 << 16, 1 << 15, 8, 2, 0, 0, 0)
    chunks = [head, b"IDAT" + zlib.compress(bytes(100)), b"IEND"]
    (made / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in chunks
        )
    )
    return made


BAD: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a pattern that is none": ("package_browse", {"match": "./"}, "invalid_argument", "no pattern"),
    "an expression that is none": ("growth.csv", {"find": "/(/"}, "invalid_argument", "missing"),
    "an expression that none can bound": ("growth.csv", {"find": "/(a{900}){900}/"}, "invalid_argument", ""),
    "a where that is more than comparisons": (
        "growth.csv",
        {"where": "height_mm > (select 1)", "mode": "rows"},
        "invalid_where",
        "character 13",
    ),
    "a column that is not there": (
        "growth.csv",
        {"columns": ["height"], "mode": "rows"},
        "column_not_found",
        "height_mm",
    ),
    "a table that is none": ("broken.parquet", {"mode": "rows"}, "undecodable", ""),
    "a picture that is none": ("broken.png", {"mode": "auto"}, "undecodable", ""),
    "a picture of 2^31 pixels": ("huge.png", {"mode": "auto"}, "too_costly", "65536"),
    "an order that is unknown": ("package_browse", {"sort": "color"}, "invalid_argument", "-size"),
    "one path that is file and folder": (
        "package_create",
        {
            "package": "bad/both",
            "files": [{"path": "a", "text": "1"}, {"path": "a/b", "text": "2"}],
        },
        "duplicate_key",
        "'a'",
    ),
    "two paths": (
        "package_browse",
        {"package": "demo/flowers/docs", "path": "other"},
        "invalid_argument",
        "docs",
    ),
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("what", BAD)
async def test_bad_input_is_told_with_a_code_and_a_next_step(
    what: str, connect: Connect, folder: Path
) -> None:
    tool, arguments, code, said = BAD[what]
    if "." in tool:
        tool, arguments = "object_read", {"uri": (folder / tool).as_uri(), **arguments}
    if tool == "package_browse":
        arguments = {"package": "demo/flowers", **arguments}
    async with connect("--allow-write") as client:
        error = await failure(client, tool, **arguments)
    assert error["code"] == code, error
    assert said in error["message"] + error["next_step"], error
    assert error["next_step"]


@pytest.mark.sampled(1)
async def test_ten_thousand_hits_are_counted_and_come_in_parts(connect: Connect, folder: Path) -> None:
    async with connect() as client:
        uri = (folder / "hits.txt").as_uri()
        first = await result(client, "object_read", uri=uri, find="hit")
        assert any("of 10000 lines" in one for one in first["warnings"])
