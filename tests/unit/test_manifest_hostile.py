"""Manifests made to break a reader. The codec says what is corrupt; a look through many lines never says otherwise (C22)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.manifests import opened, records
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import decode_header, decode_record
from quilt_mcp.domain.names import walk_key
from quilt_mcp.errors import CorruptManifest

HEADER = b'{"version": "v0"}\n'


def line(
    key: str = '"f.txt"',
    physical_keys: str = '["s3://b/f"]',
    size: str = "6",
    hash_fields: str = '{"type": "SHA256", "value": "ab"}',
    meta: str = "{}",
) -> bytes:
    text = f'{{"logical_key": {key}, "physical_keys": {physical_keys}, "size": {size}, "hash": {hash_fields}, "meta": {meta}}}\n'
    return text.encode()


GOOD = [line('"a/1"'), line('"b"', meta='{"user_meta": {"x": 1}}'), line('"z"')]
BAD_LINES = {
    "an empty key": line('""'),
    "a key that is a dot": line('"."'),
    "a key of two dots": line('".."'),
    "a key that climbs": line('"c/../../etc/passwd"'),
    "a key with a dot in it": line('"c/./d"'),
    "a key that ends in two dots": line('"c/.."'),
    "an absolute key": line('"/etc/passwd"'),
    "an empty component": line('"c//d"'),
    "a file that ends in a slash": line('"c/"'),
    "a NUL in the key": line('"c\\u0000d"'),
    "a raw NUL in the key": line('"c\0d"'),
    "a raw control character": line('"c\x01d"'),
    "a lone surrogate in the key": line('"c\\ud800"'),
    "a lone surrogate in the physical key": line(physical_keys='["s3://b/\\udfff"]'),
    "a key that is a number": line("5"),
    "a key that is null": line("null"),
    "no key": b'{"physical_keys": ["s3://b/f"], "size": 6, "hash": {"type": "SHA256", "value": "ab"}, "meta": {}}\n',
    "a negative size": line(size="-1"),
    "a size that is a string": line(size='"6"'),
    "a size with a fraction": line(size="6.5"),
    "a size of null": line(size="null"),
    "a size that is true": line(size="true"),
    "a size beyond 64 bits": line(size="9223372036854775808"),
    "an infinite size": line(size="1e400"),
    "sizes beyond 63 bits together": line('"x/1"', size="9223372036854775807"),
    "a size with a leading zero": line(size="06"),
    "a size with a plus": line(size="+6"),
    "a physical key that is a number": line(physical_keys="[5]"),
    "a physical key that is null": line(physical_keys="[null]"),
    "physical keys that are a string": line(physical_keys='"s3://b/f"'),
    "a file without physical key": line(physical_keys="[]"),
    "a hash of null": line(hash_fields="null"),
    "a hash value that is a number": line(hash_fields='{"type": "SHA256", "value": 12}'),
    "a hash without type": line(hash_fields='{"value": "ab"}'),
    "a hash with more": line(hash_fields='{"type": "SHA256", "value": "ab", "more": 1}'),
    "meta that is a list": line(meta="[1]"),
    "meta that is a string": line(meta='"x"'),
    "meta that goes on": line(meta='{"a": 1}, "x"'),
    "meta with a trailing comma": line(meta='{"a": 1,}'),
    "meta with a trailing comma in a list": line(meta='{"a": [1, ]}'),
    "meta with nan in small letters": line(meta='{"a": nan}'),
    "meta with inf": line(meta='{"a": inf}'),
    "meta with a comment": line(meta='{"a": 1 /* x */}'),
    "meta with a single quoted string": line(meta="{'a': 1}"),
    "meta with a number of four thousand digits": line(meta='{"a": ' + "9" * 5000 + "}"),
    "meta nested two hundred deep": line(meta='{"a": ' + "[" * 220 + "]" * 220 + "}"),
    "meta nested without end": line(meta='{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "an unclosed meta": line(meta='{"a": {'),
    "no meta": b'{"logical_key": "c", "physical_keys": ["x"], "size": 6, "hash": {"type": "SHA256", "value": "ab"}}\n',
    "a list": b"[]\n",
    "a number": b"5\n",
    "a string": b'"x"\n',
    "null": b"null\n",
    "an empty line": b"\n",
    "a blank line": b"  \n",
    "not JSON": b"hello\n",
    "two records on one line": line('"c"')[:-1] + line('"d"'),
    "two records with a space between": line('"c"')[:-1] + b" " + line('"d"'),
    "a record over two lines": line('"c"').replace(b', "size"', b',\n"size"'),
    "invalid UTF-8": line('"c\xff"').replace("ÿ".encode(), b"\xff"),
    "a surrogate written as UTF-8": line('"cX"').replace(b"X", b"\xed\xa0\x80"),
    "a byte order mark": b"\xef\xbb\xbf" + line('"c"'),
    "a field named nearly right": line('"c"').replace(b"logical_key", b"logicalXkey"),
    "half a record": line('"c"')[:40] + b"\n",
    "the same key again": line('"b"'),
    "a file where a folder is": line('"a"'),
    "a folder where a file is": line('"b/c"'),
    "metadata of a folder that is a file": b'{"logical_key": "b/", "meta": {"x": 1}}\n',
    "metadata of a folder below a file": b'{"logical_key": "b/c/", "meta": {"x": 1}}\n',
    "metadata of a folder that climbs": b'{"logical_key": "../", "meta": {"x": 1}}\n',
}
ODD_BUT_GOOD = {
    "a carriage return at the end": line('"c"')[:-1] + b"\r\n",
    "spaces around": b"  " + line('"c"')[:-1] + b"  \n",
    "the same field twice, the last counts": line('"c"').replace(b'"size": 6', b'"size": 7, "size": 6'),
    "a key twice, the last counts": line('"c"').replace(
        b'{"logical_key"', b'{"logical_key": "..", "logical_key"'
    ),
    "the same field after meta": line('"c"').replace(b'"meta": {}', b'"meta": {}, "size": 9'),
    "meta twice": line('"c"', meta='{"a": 1}, "meta": {"b": 2}'),
    "fields in another order": b'{"meta": {}, "hash": {"value": "ab", "type": "X"}, "size": 6, '
    b'"physical_keys": ["x"], "logical_key": "c"}\n',
    "a field of its own": line('"c"').replace(b'"size"', b'"extra": "y", "size"'),
    "a key that looks like structure": line('"c, physical_keys: [ , size: 6"'),
    "a key with escaped quotes": line('"c\\", \\"physical_keys\\": [\\"x"'),
    "a record inside the metadata": line('"c"', meta='{"a": ' + line('"../x"').decode().strip() + "}"),
    "escapes in every field": line(
        '"c\\u002fd"', '["s3:\\/\\/b"]', hash_fields='{"type": "\\u0041", "value": "\\n"}'
    ),
    "meta with NaN as Python writes it": line('"c"', meta='{"a": "NaN"}'),
    "meta with huge integers": line(
        '"c"', meta='{"a": 123456789012345678901234567890, "b": -0, "c": 1e-07, "d": 1E5}'
    ),
    "meta with a key twice": line('"c"', meta='{"a": 1, "a": 2}'),
    "meta with words of numbers in its strings": line(
        '"c"', meta='{"a": ",]", "b": "Infinity", "c": "nan, inf"}'
    ),
    "meta of null": line('"c"', meta="null"),
    "meta nested as deep as is allowed": line('"c"', meta='{"a": ' + "[" * 190 + "]" * 190 + "}"),
    "a long flat meta": line('"c"', meta='{"a": [' + "[1], " * 5000 + "2]}"),
    "hidden files": line('"c/.hidden/..d/e.."'),
    "a size of zero": line('"c"', size="0"),
    "a size as a float": line('"c"', size="6.0"),
    "a size near the limit": line('"c"', size="9223372036854775000"),
    "two physical keys": line('"c"', '["s3://b/1", "s3://b/2"]'),
    "an empty physical key": line('"c"', '[""]'),
    "a NUL in the physical key": line('"c"', '["s3://b/\\u0000x"]'),
    "folder metadata that is no object": b'{"logical_key": "d/", "meta": [1]}\n',
    "folder metadata twice, the last counts": b'{"logical_key": "d/", "meta": {"x": 1}}\n' * 2
    + b'{"logical_key": "d/", "meta": {"x": 2}}\n',
    "folder metadata with null physical keys": b'{"logical_key": "d/", "physical_keys": null, "meta": {}}\n',
    "unicode": line('"c/é文\U0001f600"', '["s3://b/é"]', meta='{"é": "文"}'),
    "DEL": line('"c\x7f"', meta='{"a": "\x7f\\u007f"}'),
    "a long line": line('"c"', meta='{"a": "' + "x" * 900_000 + '"}'),
    "a line longer than quilt3 writes": line('"c"', meta='{"a": "' + "x" * 3_000_000 + '"}'),
}


def verdict(body: bytes, block: int = 1 << 20) -> str:
    """The answers, or the word for corrupt."""
    try:
        manifest = opened(body, block=block)
        return repr((manifest.header, manifest.totals, records(manifest)))
    except CorruptManifest:
        return "corrupt"


def decoded(body: bytes) -> str:
    """What the codec makes of each line by itself, which is what a look through many at once must never differ from."""
    header, *lines = body.split(b"\n")
    try:
        if lines and not lines[-1]:
            lines.pop()
        found = [decode_record(line, number) for number, line in enumerate(lines, 2)]
        entries = sorted((r for r in found if isinstance(r, Entry)), key=lambda e: walk_key(e.logical_key))
        metas = {r.logical_key: r for r in found if not isinstance(r, Entry)}
        ordered = [metas[key] for key in sorted(metas, key=lambda key: walk_key(key[:-1]))]
        keys = [entry.logical_key for entry in entries]
        folders = {key[:at] for key in (*keys, *metas) for at, char in enumerate(key) if char == "/"}
        if len({*keys}) < len(keys) or folders & {*keys}:
            return "corrupt"
        totals = Totals(len(entries), sum(entry.size or 0 for entry in entries))
        return repr((decode_header(header), totals, [*ordered, *entries]))
    except CorruptManifest:
        return "corrupt"


@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize("where", [0, 1, 3])
@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=list(BAD_LINES))
def test_a_bad_line_makes_the_manifest_corrupt(bad: bytes, where: int, block: int) -> None:
    lines = [*GOOD]
    lines.insert(where, bad)
    assert verdict(HEADER + b"".join(lines), block) == "corrupt"


@pytest.mark.sampled(38)
@pytest.mark.parametrize("block", [1, 1 << 20])
@pytest.mark.parametrize("where", [0, 1, 3])
@pytest.mark.parametrize("odd", ODD_BUT_GOOD.values(), ids=list(ODD_BUT_GOOD))
def test_an_odd_line_is_read_as_the_codec_reads_it(odd: bytes, where: int, block: int) -> None:
    lines = [*GOOD]
    lines.insert(where, odd)
    body = HEADER + b"".join(lines)
    assert verdict(body, block) == decoded(body) != "corrupt"


@pytest.mark.parametrize(
    "body",
    [b"", b"\n", b"x", b"[]\n", b'{"version": "v0"', b"\xff\n", HEADER[:-1] + b" " + HEADER, b"\0" * 10],
    ids=repr,
)
def test_a_bad_header_makes_the_manifest_corrupt(body: bytes) -> None:
    assert verdict(body) == "corrupt"


@pytest.mark.parametrize("cut", range(1, len(GOOD[1]), 7))
def test_a_truncated_manifest_is_never_read_as_a_shorter_one(cut: int) -> None:
    body = HEADER + GOOD[0] + GOOD[1][:-cut]
    assert verdict(body) == ("corrupt" if cut > 1 else verdict(HEADER + GOOD[0] + GOOD[1]))


@pytest.mark.parametrize("bad", ["a key that climbs", "a list", "meta with a trailing comma"])
def test_the_error_names_the_line(bad: str) -> None:
    body = HEADER + GOOD[0] + BAD_LINES[bad] + GOOD[1]
    with pytest.raises(CorruptManifest) as caught:
        opened(body)
    assert caught.value.details["line"] == 3


@given(st.integers(0, len(GOOD) - 1), st.data())
def test_a_manifest_with_bytes_changed_at_random_is_read_as_the_codec_reads_it(
    which: int, data: st.DataObject
) -> None:
    lines = [*GOOD]
    original = bytearray(lines[which])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(original) - 1))
        piece = data.draw(
            st.sampled_from(
                [b"", b"\\", b'"', b"{", b"}", b",", b" ", b"0", b"N", b"/", b"..", b"\xff", b"\n", b'": "']
            )
        )
        original[at : at + data.draw(st.integers(0, 2))] = piece
    lines[which] = bytes(original)
    body = HEADER + b"".join(lines)
    assert verdict(body) == decoded(body)
