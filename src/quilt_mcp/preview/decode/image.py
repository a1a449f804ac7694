"""A picture's first page, scaled to what an answer carries; of microscopy too, whose 16 bits are scaled to 8 by their own range.

Its dimensions are looked at before anything is decoded.
"""

from __future__ import annotations

import base64
import io
import math
import struct
from typing import Any

from quilt_mcp.preview.decode.file import Fault, File, Seekable

MOST_PIXELS = 150_000_000
MOST_SIDE = 1 << 20
_MOST_AT_ONCE = 192 << 20
"""Compressed bytes that are decoded at once."""
_MOST_PAGES = 200
"""Pages that are counted, each a reading of its own."""
_SHOWN_AS_THEY_ARE = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_SHOWN_SIDE = 4_096
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "ICO", "TGA")
"""Those that Pillow decodes by itself: of others it starts programs."""
_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


def picture(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    """An image of at most ``most`` bytes and ``side`` pixels a side. Small ones are left as they are in the file."""
    most, side = int(ask["most"]), int(ask["side"])
    image = _opened(file)
    facts = _facts(file, image)
    kept = _SHOWN_AS_THEY_ARE.get(image.format)
    if kept is not None and file.size <= most and max(image.size) <= _SHOWN_SIDE:
        _decoded(image)  # to know that it is whole
        whole = file.read(0, file.size)
        return {"image": base64.b64encode(whole).decode(), "media_type": kept, "facts": facts, "notes": []}
    small, said = _small(image, side)
    body, media_type = _encoded(small, most)
    notes = [said] if said else []
    if small.size != (facts["width"], facts["height"]):
        notes.append(
            f"scaled: shown at {small.size[0]} x {small.size[1]} of {facts['width']} x {facts['height']} pixels."
        )
    if facts.get("pages", 1) != 1:
        notes.append(f"pages: the first of {facts['pages']} is shown.")
    return {
        "image": base64.b64encode(body).decode(),
        "media_type": media_type,
        "facts": facts,
        "notes": notes,
    }


def pixels(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    """``width`` times ``height`` pixels at most, as RGB on white: for who draws."""
    small, _ = _small(_opened(file), max(int(ask["width"]), int(ask["height"])))
    small.thumbnail((int(ask["width"]), int(ask["height"])))
    return {
        "width": small.width,
        "height": small.height,
        "rgb": base64.b64encode(_on_white(small).tobytes()).decode(),
    }


def describe(file: File) -> dict[str, Any]:
    return _facts(file, _opened(file))


def _opened(file: File) -> Any:
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # bounded here
    try:
        stream: Any = Seekable(file, _MOST_AT_ONCE)
        image = Image.open(stream, formats=_FORMATS)
    except UnidentifiedImageError:
        raise Fault(
            "undecodable", "It is no picture of a kind that can be read, whatever its name says."
        ) from None
    except Exception as error:  # noqa: BLE001 - plugins raise what they like
        raise _damaged(error) from None
    width, height = image.size
    if not 0 < width * height <= MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise Fault(
            "too_costly",
            f"A picture of {width} x {height} pixels is not decoded; the most are {MOST_PIXELS:,}.",
        )
    return image


def _decoded(image: Any) -> None:
    try:
        image.load()
    except Exception as error:  # noqa: BLE001
        raise _damaged(error) from None


def _damaged(error: Exception) -> Exception:
    if isinstance(error, Fault | MemoryError):
        return error
    return Fault("undecodable", f"The picture is damaged, or of a form that is not read: {str(error)[:200]}.")


def _small(image: Any, side: int) -> tuple[Any, str]:
    """The picture with no side longer than ``side``, in 8 bits, and what was done to its values."""
    image.draft("RGB" if image.mode != "L" else "L", (side, side))  # JPEG decodes at a smaller size by itself
    _decoded(image)
    said = ""
    if image.mode in _GREY:
        image, said = _in_8_bits(image)
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert(
            "RGBA" if "transparency" in image.info or image.mode in ("PA", "La", "RGBa") else "RGB"
        )
    image.thumbnail((side, side))
    return image, said


def _in_8_bits(image: Any) -> tuple[Any, str]:
    """Greys of more bits, stretched from their least value to their greatest."""
    if image.mode != "F":
        image = image.convert("I")
    least, most = image.getextrema()
    if not (math.isfinite(least) and math.isfinite(most)):
        raise Fault("undecodable", "Its values are no finite numbers.")
    scale = 255 / (most - least) if most > least else 0

    def stretch(value: Any) -> Any:
        return value * scale - least * scale

    stretched = image.point(stretch)
    return stretched.convert(
        "L"
    ), f"stretched: values from {least:g} to {most:g} are shown as black to white."


def _encoded(image: Any, most: int) -> tuple[bytes, str]:
    """PNG, or JPEG where that is too large, ever smaller until it fits."""
    while True:
        for kind, options in (("PNG", {"optimize": False}), ("JPEG", {"quality": 85})):
            written = io.BytesIO()
            (_on_white(image) if kind == "JPEG" else image).save(written, kind, **options)
            if written.tell() <= most:
                return written.getvalue(), f"image/{kind.lower()}"
        if max(image.size) < 16:
            raise Fault("too_costly", "It does not fit into an answer at any size.")
        image = image.resize((max(1, image.width * 2 // 3), max(1, image.height * 2 // 3)))


def _on_white(image: Any) -> Any:
    from PIL import Image

    if image.mode in ("RGBA", "LA"):
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        return ground.convert("RGB")
    return image.convert("RGB")


def _facts(file: File, image: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "format": str(image.format),
        "width": image.width,
        "height": image.height,
        "pixels": image.mode,
    }
    if image.format == "TIFF":
        pages, is_more = _pages(file)
        facts["pages"] = f"more than {pages}" if is_more else pages
        description = str(image.tag_v2.get(270) or "")
        if description:
            facts["description"] = description[:500]
    return facts


def _pages(file: File) -> tuple[int, bool]:
    """How many pages a TIFF's chain of directories has, and whether there are more than are counted."""
    stream = Seekable(file, _MOST_AT_ONCE)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = struct.unpack(order + "H", head[2:4])[0] == 43
    count_form, entry, link = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    at = struct.unpack(order + link, head[8:16] if is_big else head[4:8])[0]
    seen: set[int] = set()
    while at and at not in seen and at < file.size and len(seen) < _MOST_PAGES:
        seen.add(at)
        stream.seek(at)
        counted = stream.read(struct.calcsize(order + count_form))
        if len(counted) < struct.calcsize(order + count_form):
            break
        stream.seek(at + len(counted) + struct.unpack(order + count_form, counted)[0] * entry)
        linked = stream.read(struct.calcsize(order + link))
        at = struct.unpack(order + link, linked)[0] if len(linked) == struct.calcsize(order + link) else 0
    return len(seen), bool(at) and at not in seen and at < file.size
