"""Text, whatever it was encoded in and compressed with; and the lines in which something is found. Case S7."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from held import Held

TEXT = "line 1 é\nline 2\nline 3 größe\n"


def zstd(plain: bytes) -> bytes:
    """By DuckDB, whose lines these become."""
    Path("plain").write_bytes(plain)
    with duckdb.connect() as engine:
        lines = (
            "read_csv('plain', columns = {'line': 'VARCHAR'}, header = false, delim = '\x1f', quote = '', escape = '', "
            "auto_detect = false)"
        )
        form = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIM '\x1f', COMPRESSION zstd"
        engine.execute(f"COPY (FROM {lines}) TO 'packed' ({form})")
    return Path("packed").read_bytes()


def part(held: Held, offset: int = 0, length: int = 10_000) -> dict[str, object]:
    return held.ask("text", offset=offset, length=length)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd])
def test_compressed_text_is_unpacked_and_said_so_case_S7(pack: Callable[[bytes], bytes]) -> None:
    found = part(Held("notes.txt.gz", pack(TEXT.encode())))
    assert (found["text"], found["next_offset"]) == (TEXT, None)
    assert [one.partition(":")[0] for one in found["notes"]] == ["unpacked"]


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [
        ("utf-8", []),
        ("utf-8-sig", []),
        ("utf-16", ["decoded"]),
        ("utf-16-le", ["decoded"]),
        ("utf-16-be", ["decoded"]),
        ("latin-1", ["decoded"]),
    ],
)
def test_other_encodings_are_decoded_and_said_so_case_S7(encoding: str, notes: list[str]) -> None:
    found = part(Held("notes.txt", TEXT.encode(encoding)))
    assert found["text"] == TEXT
    assert [one.partition(":")[0] for one in found["notes"]] == notes
    assert ("guess" in str(found["notes"])) == (encoding == "latin-1")


@pytest.mark.parametrize(
    "content",
    [
        b"\0\1\2\3",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"caf\xc3\x28 \x81",
        bytes(range(256)),
        gzip.compress(b"\0" * 99, mtime=0),
    ],
)
def test_what_is_no_text_is_not_taken_for_latin_1(content: bytes) -> None:
    assert Held("t", content).fault("text", offset=0, length=10)[0] == "not_text"


def test_parts_put_together_are_the_whole() -> None:
    plain = "".join(f"{one} é€😀\n" for one in range(30_000))
    held = Held("t.gz", gzip.compress(plain.encode()))
    text, offset = "", 0
    while offset is not None:
        found = part(held, offset, 99_991)
        text += found["text"]
        assert found["next_offset"] is None or found["next_offset"] > offset
        offset = found["next_offset"]
    assert text == plain
    assert held.fault("text", offset=10**7, length=5) == (
        "past_end",
        f"The text has {len(plain.encode())} bytes.",
    )


def test_members_padding_and_what_follows_are_what_gzip_makes_of_them() -> None:
    two = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    assert part(Held("t.gz", two))["text"] == "one\ntwo\n"
    assert part(Held("t.gz", two + bytes(1000)))["text"] == "one\ntwo\n"
    followed = part(Held("t.gz", two + b"trailing rubbish"))
    assert followed["text"] == "one\ntwo\n" and "trailing_bytes" in str(followed["notes"])
    assert part(Held("t.bz2", bz2.compress(b"one\n") + bz2.compress(b"two\n")))["text"] == "one\ntwo\n"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_compressed_file_that_is_cut_short_says_so(pack: Callable[[bytes], bytes]) -> None:
    packed = pack("".join(f"{one * 7919}\n" for one in range(50_000)).encode())
    found = part(Held("t", packed[: len(packed) // 2]), length=10**7)
    assert found["notes"][-1].startswith("cut_short: ")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd])
def test_a_compressed_file_that_is_damaged_is_said_to_be(pack: Callable[[bytes], bytes]) -> None:
    packed = bytearray(pack("".join(f"{one * 7919}\n" for one in range(50_000)).encode()))
    packed[len(packed) // 3 : len(packed) // 3 + 200] = bytes(200)
    assert Held("t", bytes(packed)).fault("text", offset=0, length=10**7)[0] in ("undecodable", "not_text")


def test_a_bomb_ends_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quilt_mcp.preview.decode.unpack.MOST_PLAIN", 8 << 20)
    held = Held("bomb.gz", gzip.compress(b"a" * (64 << 20)))
    assert held.fault("find", find="b", offset=0, limit=5, room=1_000)[0] == "too_costly"
    assert len(str(part(held, 0, 100)["text"])) == 100


def find(
    held: Held, pattern: str, offset: int = 0, limit: int = 100, room: int = 10_000
) -> dict[str, object]:
    return held.ask("find", find=pattern, offset=offset, limit=limit, room=room)


def test_lines_are_found_with_numbers_offsets_and_the_header() -> None:
    held = Held("t.csv", b"gene,value\r\nTP53,1\r\nbrca1,2\r\nTP63,3")
    found = find(held, "TP")
    assert found["matches"] == [
        {"line": 2, "offset": 12, "text": "TP53,1"},
        {"line": 4, "offset": 29, "text": "TP63,3"},
    ]
    assert (found["header"], found["total"], found["next_offset"]) == ("gene,value", 2, None)
    assert [one["line"] for one in find(held, "/^br.a\\d,/")["matches"]] == [3]
    assert [one["line"] for one in find(held, "/BRCA/i")["matches"]] == [3]
    assert find(held, "/BRCA/")["matches"] == []
    assert find(held, "nothing")["total"] == 0


def test_ten_thousand_hits_are_counted_and_paged() -> None:
    held = Held("t.log", b"".join(f"hit {one}\nmiss\n".encode() for one in range(10_000)))
    lines: list[int] = []
    offset = 0
    for _ in range(4):
        found = find(held, "hit", offset, 2_500, 10**6)
        assert found["total"] == 10_000
        lines += [one["line"] for one in found["matches"]]
        offset = found["next_offset"]
    assert offset is None
    assert lines == list(range(1, 20_001, 2))
    short = find(held, "hit", room=500)
    assert len(short["matches"]) < 10 and short["next_offset"] is not None


def test_a_long_line_is_shown_around_what_is_found() -> None:
    found = find(Held("t", b"a" * 5_000 + b"needle" + b"b" * 5_000), "needle")
    (one,) = found["matches"]
    assert "needle" in one["text"] and len(one["text"]) < 420


def test_a_pattern_that_cannot_be_used_is_refused() -> None:
    for pattern in ("/(a/", "/(?=x)/", "/\\1/", "/((((a{1000}){1000}){1000}){1000})/"):
        assert (
            Held("t", b"a\n").fault("find", find=pattern, offset=0, limit=5, room=99)[0] == "bad_pattern"
        ), pattern


def test_dear_patterns_take_linear_time() -> None:
    assert find(Held("t", b"a" * 50_000 + b"!"), "/^(a|aa)+$/")["total"] == 0


def test_nothing_is_looked_for_in_what_is_no_text() -> None:
    """Of a picture or a Parquet file it told letters that happen to stand there, and none of what is packed."""
    held = Held("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    assert held.fault("find", find="x", offset=0, limit=5, room=1_000)[0] == "not_text"
