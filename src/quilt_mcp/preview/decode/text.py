"""Text of a file: plain, whatever it was compressed with and encoded in; a part of it, and the lines where something is found."""

from __future__ import annotations

import codecs
import importlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.unpack import Plain

_SAMPLE = 64 << 10
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LONGEST_SHOWN = 400
"""Characters of a line in which something is found."""


def encoding(head: bytes) -> str | None:
    """The encoding of text that begins so; None: it is no text.

    Latin-1 is a guess, made where nothing stands that Latin-1 has no sign for. UTF-16 without a mark is known by the zeros of its
    ASCII letters. A character that the end of ``head`` cuts is no fault.
    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    if b"\0" in head:
        for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            if len(head) > 3 and zeros.count(0) > 0.9 * len(zeros) and head.count(0) < 0.55 * len(head):
                return name
        return None
    try:
        codecs.utf_8_decode(head, "strict", False)
    except UnicodeDecodeError:
        return None if _NOT_LATIN.search(head) else "latin-1"
    return "utf-8"


_NOT_LATIN = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


class Text:
    """The text of a file as a stream of characters. Raises Fault (not_text) for what is none; a few zeros (1 %) may stand in it
    where it ``has_zeros``, as they do in tables of instruments."""

    def __init__(self, file: File, most: int | None = None, *, has_zeros: bool = False) -> None:
        self.plain = Plain(file, most)
        buffered = io.BufferedReader(self.plain, _SAMPLE)
        head = buffered.peek(_SAMPLE)[:_SAMPLE]
        if has_zeros and 100 * head.count(0) <= len(head) + 100:
            head = head.replace(b"\0", b" ")
        found = encoding(head)
        if found is None:
            raise Fault("not_text", "It is not text in UTF-8, UTF-16 or Latin-1.")
        self.encoding = found or "utf-8"
        self.stream = io.TextIOWrapper(buffered, encoding=self.encoding, errors="replace", newline="")

    def notes(self) -> list[str]:
        """What a reader is told of how the text was made."""
        said: list[str] = []
        if self.plain.compression is not None:
            said.append(
                f"unpacked: this is the text inside the {self.plain.compression} file; offsets count its bytes."
            )
        if self.encoding == "latin-1":
            said.append("decoded: it is not UTF-8 and was read as Latin-1, which is a guess.")
        elif self.encoding not in ("utf-8", "utf-8-sig"):
            said.append(
                f"decoded: from {self.encoding[:6].upper()}; offsets count the bytes of the same text in UTF-8."
            )
        return said + self.plain.notes


def part(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    """``length`` bytes of the text in UTF-8, from ``offset`` on, beginning and ending between characters."""
    offset, length = int(ask["offset"]), int(ask["length"])
    found = Text(file, 2 * (offset + length) + _SAMPLE)  # a letter has two bytes in UTF-16, and one in UTF-8
    pieces = iter(lambda: found.stream.read(1 << 16), "")
    return {**part_of(pieces, offset, length), "notes": found.notes()}


def part_of(pieces: Iterable[str], offset: int, length: int) -> dict[str, Any]:
    end = offset + length
    kept = bytearray()
    at = 0
    for piece in pieces:
        encoded = piece.encode("utf-8", "replace")
        if at + len(encoded) > offset:
            kept += encoded[max(0, offset - at) : end - at]
        at += len(encoded)
        if at > end:
            break
    if at < offset:
        raise Fault("past_end", f"The text has {at} bytes.", size=at)
    start = next((number for number, byte in enumerate(kept[:4]) if byte & 0xC0 != 0x80), 0)
    text, used = codecs.utf_8_decode(bytes(kept[start:]), "strict", False)
    shown_to = offset + start + used
    return {"text": text, "offset": offset + start, "next_offset": shown_to if shown_to < at else None}


def find(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    """The lines in which a text or a regular expression (``/.../``, RE2's) is found, from ``offset`` on, ``limit`` of them; how
    many there are in all; and the first line, which names the columns where there are any."""
    is_in = _matcher(str(ask["find"]))
    offset, limit = int(ask["offset"]), int(ask["limit"])
    room = int(ask["room"])
    found = Text(file, has_zeros=True)
    matches: list[dict[str, Any]] = []
    header, total, next_offset = "", 0, None
    for number, at, line in _lines(found.stream):
        if number == 1:
            header = line
        place = is_in(line)
        if place is None:
            continue
        total += 1
        if at < offset or next_offset is not None:
            continue
        shown = _around(line, place)
        if len(matches) == limit or len(shown.encode()) + 60 > room:
            next_offset = at
            continue
        room -= len(shown.encode()) + 60
        matches.append({"line": number, "offset": at, "text": shown})
    return {
        "matches": matches,
        "total": total,
        "header": header[:_LONGEST_SHOWN],
        "next_offset": next_offset,
        "notes": found.notes(),
    }


def _lines(stream: io.TextIOWrapper) -> Iterator[tuple[int, int, str]]:
    """Number (from 1), offset in bytes of UTF-8, and the line without its end."""
    at = 0
    for number, line in enumerate(stream, 1):
        yield number, at, line.rstrip("\r\n")
        at += len(line) if line.isascii() else len(line.encode())


def _matcher(pattern: str) -> Callable[[str], tuple[int, int] | None]:
    if len(pattern) > 2 and pattern[0] == "/" and pattern.rstrip("i").endswith("/"):
        re2: Any = importlib.import_module("re2")
        options = re2.Options()
        options.log_errors, options.max_mem = False, 8 << 20
        options.case_sensitive = not pattern.endswith("i")
        try:
            compiled = re2.compile(pattern[1 : pattern.rindex("/")], options)
        except re2.error as error:
            raise Fault("bad_pattern", f"The regular expression cannot be used: {_said(error)}.") from None

        def search(line: str) -> tuple[int, int] | None:
            found = compiled.search(line)
            return None if found is None else found.span()

        return search

    def look(line: str) -> tuple[int, int] | None:
        at = line.find(pattern)
        return None if at < 0 else (at, at + len(pattern))

    return look


def _said(error: Any) -> str:
    first = error.args[0] if error.args else error
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _around(line: str, place: tuple[int, int]) -> str:
    """The line, or of a long one what stands around the place."""
    if len(line) <= _LONGEST_SHOWN:
        return line
    start = max(0, min(place[0] - _LONGEST_SHOWN // 4, len(line) - _LONGEST_SHOWN))
    end = start + _LONGEST_SHOWN
    return f"{'[...]' if start else ''}{line[start:end]}{'[...]' if end < len(line) else ''}"
