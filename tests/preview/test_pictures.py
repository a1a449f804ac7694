"""Pictures: scaled to their budget, microscopy included, and bounded before anything is decoded (case X3)."""

from __future__ import annotations

import base64
import io
import random
import struct
import zlib
from typing import Any

import pytest
from held import Held
from PIL import Image

MOST, SIDE = 750_000, 1_568


def picture(held: Held, most: int = MOST) -> tuple[dict[str, Any], Image.Image]:
    found = held.ask("picture", most=most, side=SIDE)
    content = base64.b64decode(found["image"])
    assert len(content) <= most
    return found, Image.open(io.BytesIO(content))


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    into = io.BytesIO()
    image.save(into, kind, **options)
    return into.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    size = width * height * len(mode)
    return Image.frombytes(mode, (width, height), random.Random(1).randbytes(size))


def png(width: int, height: int, color: int, lines: bytes, depth: int = 8) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_small_picture_is_shown_as_it_is(kind: str) -> None:
    content = written(noise(40, 30), kind)
    found, _ = picture(Held(f"p.{kind}", content))
    assert (base64.b64decode(found["image"]), found["media_type"]) == (content, f"image/{kind.lower()}")
    assert (found["facts"]["width"], found["facts"]["height"], found["notes"]) == (40, 30, [])


@pytest.mark.sampled(1)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_a_large_picture_is_scaled_into_the_budget_and_said_so(mode: str) -> None:
    image = noise(2_000, 1_500).convert("L" if mode == "I;16" else mode)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image
    found, shown = picture(Held("p.tiff", written(image, "TIFF")))
    assert max(shown.size) <= SIDE
    assert any(one.startswith("scaled: ") for one in found["notes"])


def test_16_bits_are_stretched_by_their_own_range_and_pages_are_counted() -> None:
    pages = [
        Image.frombytes("I;16", (64, 2), struct.pack("<128H", *range(900 + page, 1028 + page)))
        for page in range(5)
    ]
    content = written(pages[0], "TIFF", save_all=True, append_images=pages[1:], description="channel 1")
    found, shown = picture(Held("stack.tif", content))
    assert (found["facts"]["pages"], found["facts"]["description"]) == (5, "channel 1")
    assert shown.getextrema() == (0, 255)
    assert [one.partition(":")[0] for one in found["notes"]] == ["stretched", "pages"]
    assert Held("stack.tif", content).inside()["pages"] == 5


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_of_every_usual_compression_is_shown(compression: str | None) -> None:
    content = written(noise(300, 200), "TIFF", compression=compression)
    assert picture(Held("p.tif", content))[1].size == (300, 200)


def test_values_without_a_range_and_floats_are_shown() -> None:
    flat = written(Image.frombytes("I;16", (4, 4), b"\5\0" * 16), "TIFF")
    assert picture(Held("p.tif", flat))[1].getextrema() == (0, 0)
    floats = written(Image.frombytes("F", (2, 2), struct.pack("<4f", -1.5, 0, 1, 3.5)), "TIFF")
    assert picture(Held("p.tif", floats))[1].getextrema() == (0, 255)
    endless = written(Image.frombytes("F", (2, 2), struct.pack("<4f", float("inf"), 0, 1, 3.5)), "TIFF")
    assert Held("p.tif", endless).fault("picture", most=MOST, side=SIDE)[0] == "undecodable"


def test_a_16_bit_png_is_shown_in_8() -> None:
    lines = b"".join(b"\0" + struct.pack(">8H", *range(row * 8, row * 8 + 8)) for row in range(8))
    found, _ = picture(Held("p.png", png(8, 8, 0, lines, 16)), most=100_000)
    assert found["facts"]["pixels"] == "I;16"


def test_only_the_first_page_of_a_large_stack_is_read() -> None:
    pages = [noise(500, 500, "L") for _ in range(30)]
    held = Held("stack.tif", written(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    found, _ = picture(held)
    assert found["facts"]["pages"] == 30
    assert held.bytes_read < len(held.content)


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 30_000_000), (30_000_000, 1), (2**31 - 1, 1), (1, 2**31 - 1), (2**16, 2**15), (20_000, 20_000)],
)
def test_dimensions_are_bounded_before_anything_is_decoded_case_X3(width: int, height: int) -> None:
    held = Held("p.png", png(width, height, 0, bytes(6_000_000)))
    kind, message = held.fault("picture", most=MOST, side=SIDE)
    assert kind in ("too_costly", "undecodable"), message


def test_dear_filters_and_narrow_pictures_are_decoded_all_the_same_case_X3() -> None:
    paeth = png(2_000, 2_000, 6, (b"\4" + bytes(range(250)) * 32) * 2_000)
    assert max(picture(Held("p.png", paeth), most=50_000)[1].size) <= SIDE
    narrow = png(1, 900_000, 0, b"\0\x80" * 900_000)
    assert picture(Held("p.png", narrow))[1].size == (1, SIDE)


def odd() -> dict[str, bytes]:
    whole = written(noise(200, 200), "PNG")
    tiff = written(noise(200, 200), "TIFF")
    loop = bytearray(tiff)
    loop[4:8] = struct.pack("<I", 4)
    return {
        "empty": b"",
        "text": b"I am no picture",
        "signature": b"\x89PNG\r\n\x1a\n",
        "cut": whole[:500],
        "head only": whole[:33],
        "zeros": bytes(5_000),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        "gif head": b"GIF89a",
        "jpeg head": b"\xff\xd8\xff\xe0\0\x10JFIF",
        "tiff head": b"II*\0\x08\0\0\0",
        "tiff loop": bytes(loop),
        "tiff cut": tiff[: len(tiff) // 2],
        "webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        "bmp": b"BM" + bytes(60),
        "no size": png(0, 0, 0, b""),
        "damaged": whole[:100] + b"\xff" * 3_000 + whole[3_100:],
        "wrong depth": png(8, 8, 0, bytes(80), 7),
        "html": b"<html>not found</html>",
        "gzip": zlib.compress(whole),
    }


@pytest.mark.parametrize("name", sorted(odd()))
def test_a_picture_that_is_none_is_said_to_be_none(name: str) -> None:
    kind, message = Held("p.png", odd()[name]).fault("picture", most=MOST, side=SIDE)
    assert kind in ("undecodable", "too_costly"), message


def test_a_chain_of_pages_that_turns_back_ends() -> None:
    whole = bytearray(written(noise(10, 10), "TIFF"))
    at = struct.unpack("<I", whole[4:8])[0]
    count = struct.unpack("<H", whole[at : at + 2])[0]
    whole[at + 2 + 12 * count : at + 6 + 12 * count] = struct.pack("<I", at)
    assert picture(Held("p.tif", bytes(whole)))[0]["facts"]["pages"] == 1


def test_who_draws_gets_pixels_on_white() -> None:
    clear = written(Image.new("RGBA", (3, 2), (255, 0, 0, 0)), "PNG")
    found = Held("p.png", clear).ask("pixels", width=100, height=100)
    assert (found["width"], found["height"]) == (3, 2)
    assert base64.b64decode(found["rgb"]) == b"\xff" * 18
    wide = Held("p.png", written(noise(900, 10), "PNG")).ask("pixels", width=90, height=400)
    assert (wide["width"], wide["height"]) == (90, 1)
