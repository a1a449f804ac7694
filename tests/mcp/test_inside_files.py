"""object_read looks into files, by a real client: what each mode and argument answers, and what is refused. Cases S7, X3."""

from __future__ import annotations

import base64
import gzip
import io
import json
from pathlib import Path

import duckdb
import pytest
from PIL import Image
from serving import Connect, Place, failure, result

pytestmark = pytest.mark.anyio

CSV = "plant,day,height\n" + "".join(f"P{one % 7},{one},{one / 4}\n" for one in range(5_000))


@pytest.fixture(scope="module")
def folder(place: Place) -> Path:
    made = place.here / "insides"
    made.mkdir(exist_ok=True)
    (made / "growth.csv").write_text(CSV)
    (made / "growth.csv.gz").write_bytes(gzip.compress(CSV.encode(), mtime=0))
    (made / "latin.txt").write_bytes("Größe\n".encode("latin-1") * 3_000)
    (made / "wide.txt").write_bytes(("Größe\n" * 30).encode("utf-16"))
    (made / "marked.txt").write_bytes("Größe\n".encode("utf-8-sig"))
    (made / "packed").write_bytes(gzip.compress(b"one line\n" * 5_000, mtime=0))
    (made / "data.tar.gz").write_bytes(gzip.compress(bytes(5_000), mtime=0))
    (made / "broken.png").write_bytes(b"no picture")
    (made / "broken.parquet").write_bytes(b"no table")
    (made / "cells.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n\x02" + bytes(500))
    (made / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (made / "notes.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "# Hello"}]}))
    Image.effect_noise((3_000, 2_000), 90).save(made / "large.tiff")
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY (FROM read_csv('{made / 'growth.csv'}')) TO '{made / 'growth.parquet'}' (FORMAT parquet)"
        )
    return made


@pytest.mark.sampled(1)
async def test_info_tells_the_columns_of_a_table_and_rows_reads_it(connect: Connect, folder: Path) -> None:
    async with connect() as client:
        for name in ("growth.csv", "growth.csv.gz", "growth.parquet"):
            uri = (folder / name).as_uri()
            info = (await result(client, "object_read", uri=uri, mode="info"))["data"]
            assert list(info["inside"]["columns"]) == ["plant", "day", "height"], name
            assert (info["inside"]["rows"], info["inside"]["first"][1]) == (5_000, ["P1", 1, 0.25])
            rows = await result(
                client,
                "object_read",
                uri=uri,
                columns=["day"],
                where="plant = P3 and height > 1000",
                rows=":3",
            )
            assert rows["data"]["columns"] == ["day"]
            assert rows["data"]["rows"] == [[4_000 + one] for one in (7, 14, 21)]
            assert rows["data"]["next_row"] == 3 and any("rows=3:6" in one for one in rows["warnings"])
            counted = (await result(client, "object_read", uri=uri, where="plant = P3", rows="0:0"))["data"]
            assert (counted["total"], counted["rows"]) == (714, [])
            plain = (await result(client, "object_read", uri=uri, mode="rows"))["data"]
            assert len(plain["rows"]) == 100 and plain["next_row"] == 100


@pytest.mark.sampled(1)
async def test_columns_in_one_text_are_a_column_of_that_name_or_several(
    connect: Connect, folder: Path
) -> None:
    (folder / "commas.csv").write_text('"x,y",x,y,z\n1,2,3,4\n')
    async with connect() as client:
        for columns, expected in (
            ("x,y", [[1]]), (["x,y"], [[1]]), ("y, z", [[3, 4]]), ("z", [[4]]), ('["x,y", "z"]', [[1, 4]]),
        ):  # fmt: skip
            read = await result(
                client, "object_read", uri=(folder / "commas.csv").as_uri(), columns=columns, rows=""
            )
            assert read["data"]["rows"] == expected, columns
        none = await failure(client, "object_read", uri=(folder / "commas.csv").as_uri(), columns="y,w")
        assert (none["code"], "'w'" in none["message"]) == ("column_not_found", True)


@pytest.mark.sampled(1)
async def test_a_range_that_ends_before_it_begins_is_refused(connect: Connect, folder: Path) -> None:
    async with connect() as client:
        error = await failure(client, "object_read", uri=(folder / "growth.csv").as_uri(), rows="5:2")
        assert (error["code"], "2:5" in error["next_step"]) == ("invalid_argument", True)
        empty = await result(client, "object_read", uri=(folder / "growth.csv").as_uri(), rows="5:5")
        assert empty["data"]["rows"] == []


@pytest.mark.sampled(1)
async def test_a_file_of_a_package_is_looked_into_too(connect: Connect, place: Place) -> None:
    uri = place.uri("demo/flowers", "data/flowers.csv")
    async with connect() as client:
        info = (await result(client, "object_read", uri=uri, mode="info"))["data"]
        assert info["hash"] and info["inside"]["kind"] == "csv"
        rows = await result(client, "object_read", uri=uri, mode="rows")
        assert rows["uri"] == uri and rows["data"]["rows"]


@pytest.mark.sampled(1)
async def test_lines_are_found_with_the_header(connect: Connect, folder: Path) -> None:
    async with connect() as client:
        found = (
            await result(client, "object_read", uri=(folder / "growth.csv").as_uri(), find="/^P3,4\\d{3},/")
        )["data"]
        assert (found["header"], found["total"]) == ("plant,day,height", 143)
        more = await result(
            client,
            "object_read",
            uri=(folder / "growth.csv.gz").as_uri(),
            find="P3,4",
            offset=found["next_offset"],
        )
        assert more["data"]["matches"][0]["offset"] == found["next_offset"]


@pytest.mark.sampled(1)
async def test_text_is_unpacked_and_decoded_in_parts_of_12_kb_case_S7(connect: Connect, folder: Path) -> None:
    wanted = {
        "latin.txt": "Größe\n" * 3_000,
        "wide.txt": "Größe\n" * 30,
        "marked.txt": "Größe\n",
        "packed": "one line\n" * 5_000,
        "growth.csv.gz": CSV,
        "growth.csv": CSV,
    }
    async with connect() as client:
        for name, whole in wanted.items():
            text, offset = "", 0
            while offset is not None:
                part = await result(client, "object_read", uri=(folder / name).as_uri(), offset=offset)
                assert len(part["data"]["text"].encode()) <= 12 << 10
                text += part["data"]["text"]
                offset = part["data"].get("next_offset")
            assert text == whole, name
        said = (await result(client, "object_read", uri=(folder / "latin.txt").as_uri(), mode="text"))[
            "warnings"
        ]
        assert any("guess" in one for one in said)


@pytest.mark.sampled(1)
async def test_pictures_have_a_budget_of_their_own(connect: Connect, folder: Path) -> None:
    async with connect(QUILT_MCP_MAX_RESPONSE_TOKENS="2000") as client:
        answer = await client.call_tool("object_read", {"uri": (folder / "large.tiff").as_uri()})
    assert not answer.is_error
    assert answer.structured_content is None
    told = json.loads(answer.content[0].text)
    data = told["data"]
    assert (data["mode"], data["width"], data["height"], data["pages"]) == ("image", 3_000, 2_000, 1)
    shown = base64.b64decode(answer.content[1].data)
    assert 50_000 < len(shown) <= 750_000
    assert max(Image.open(io.BytesIO(shown)).size) <= 1_568
    assert any(one.startswith("scaled: ") for one in told["warnings"])


@pytest.mark.sampled(1)
async def test_notebooks_and_svg_are_text_and_binary_formats_are_described(
    connect: Connect, folder: Path
) -> None:
    async with connect() as client:
        notebook = (await result(client, "object_read", uri=(folder / "notes.ipynb").as_uri()))["data"]
        assert (notebook["mode"], notebook["text"]) == ("text", "# Hello\n")
        raw = (await result(client, "object_read", uri=(folder / "notes.ipynb").as_uri(), mode="text"))[
            "data"
        ]
        assert raw["text"].startswith('{"cells"')
        assert (await result(client, "object_read", uri=(folder / "drawing.svg").as_uri()))["data"][
            "mode"
        ] == "text"
        cells = await result(client, "object_read", uri=(folder / "cells.h5ad").as_uri())
        assert (cells["data"]["type"], cells["data"]["inside"]["superblock"]) == ("application/x-hdf5", 2)
        table = await result(client, "object_read", uri=(folder / "growth.parquet").as_uri())
        assert (table["data"]["mode"], table["data"]["inside"]["rows"]) == ("info", 5_000)
        archive = await result(client, "object_read", uri=(folder / "data.tar.gz").as_uri())
        assert archive["data"]["mode"] == "info" and archive["warnings"][0].startswith("binary: ")


@pytest.mark.sampled(1)
async def test_what_cannot_be_looked_into_is_described_with_a_warning(connect: Connect, folder: Path) -> None:
    async with connect() as client:
        broken = await result(client, "object_read", uri=(folder / "broken.parquet").as_uri(), mode="info")
        assert broken["data"]["size"] == 8 and "inside" not in broken["data"]
        assert broken["warnings"][0].startswith("undecodable: ")


REFUSED = {
    "a where that is none": ({"where": "day between 1 and 2"}, "invalid_where"),
    "a column that is none": ({"columns": ["hight"]}, "column_not_found"),
    "a value of another type": ({"where": "day = monday"}, "invalid_argument"),
    "a range that is none": ({"rows": "all"}, "invalid_argument"),
    "a pattern that is none": ({"find": "/(/"}, "invalid_argument"),
    "two things": ({"find": "x", "rows": ":5"}, "invalid_argument"),
    "rows as bytes": ({"mode": "bytes", "rows": ":5"}, "invalid_argument"),
}


@pytest.mark.sampled(1)
async def test_what_is_refused_says_what_to_do(connect: Connect, folder: Path) -> None:
    async with connect() as client:
        for name, (given, code) in REFUSED.items():
            error = await failure(client, "object_read", uri=(folder / "growth.csv").as_uri(), **given)
            assert (error["code"], bool(error["next_step"])) == (code, True), name
        for name, mode, code in (
            ("broken.png", "auto", "undecodable"),
            ("broken.parquet", "rows", "undecodable"),
            ("latin.txt", "rows", "not_a_table"),
        ):
            error = await failure(client, "object_read", uri=(folder / name).as_uri(), mode=mode)
            assert (error["code"], bool(error["next_step"])) == (code, True), name
        beyond = await failure(client, "object_read", uri=(folder / "packed").as_uri(), offset=10**6)
        assert (beyond["code"], "45000" in beyond["next_step"]) == ("invalid_argument", True)


@pytest.mark.sampled(1)
async def test_info_of_a_table_without_a_line_tells_what_is_known(connect: Connect, folder: Path) -> None:
    (folder / "empty.csv").write_text("")
    async with connect() as client:
        info = await result(client, "object_read", uri=(folder / "empty.csv").as_uri(), mode="info")
    assert info["data"]["size"] == 0 and info["warnings"][0].startswith("not_a_table: ")
