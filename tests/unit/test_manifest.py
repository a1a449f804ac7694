"""The manifest codec by itself: hostile input, bounds, streaming. Its bytes are compared with quilt3's in tests/interop."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.manifests import opened, true_hash
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header
from quilt_mcp.domain.manifest import codec as manifest
from quilt_mcp.domain.manifest.codec import decode_record, encode_exact, encode_header, encode_record
from quilt_mcp.domain.manifest.top_hash import TopHash, entry_part
from quilt_mcp.errors import CorruptManifest, InternalError, InvalidMetadata, QuiltError

_HEADER = b'{"version": "v0"}\n'


def line(**changes: object) -> bytes:
    fields = {
        "logical_key": "a",
        "physical_keys": ["s3://bucket/a"],
        "size": 6,
        "hash": {"type": "SHA256", "value": "00"},
        "meta": {},
        **changes,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def nested(depth: int) -> bytes:
    return line(meta={"x": 0}).replace(b"0}}", b"[" * depth + b"]" * depth + b"}}")


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (b"", "not JSON"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (line()[:-5], "not JSON"),
        (line() + b"x", "not JSON"),
        (b"\xff" + line(), "UTF-8"),
        (b"\xef\xbb\xbf" + line(), "not JSON"),
        (line().decode().encode("utf-16"), "UTF-8"),
        (nested(250), "nested more than"),
        (nested(100_000), "nested more than"),
        (line(meta={"x": 0}).replace(b"0}}", b"9" * 5000 + b"}}"), "not JSON"),
        (line(logical_key=...), "'logical_key'"),
        (line(logical_key=None), "'logical_key'"),
        (line(logical_key=["a"]), "'logical_key'"),
        (line(logical_key=""), "empty"),
        (line(logical_key="../../etc/passwd"), r"'\.\.'"),
        (line(logical_key="/etc/passwd"), "starts with"),
        (line(logical_key="a/./b"), r"'\.'"),
        (line(logical_key="a//b"), "empty part"),
        (line(logical_key="a/"), "ends in"),
        (line(logical_key="a\0b"), "NUL"),
        (line(logical_key="\ud800"), "surrogate"),
        (line(physical_keys="s3://b/k"), "'physical_keys'"),
        (line(physical_keys={"0": "s3://b/k"}), "'physical_keys'"),
        (line(physical_keys=[5]), "'physical_keys'"),
        (line(physical_keys=[]), "no physical key"),
        (line(size=...), "'size'"),
        (line(size=None), "never finished"),
        (line(size=-1), "'size' is -1"),
        (line(size=-1.0), "'size' is -1.0"),
        (line(size=-0.0), "'size' is -0.0"),
        (line(size=1.5), "'size' is 1.5"),
        (line(size=True), "'size' is True"),
        (line(size="6"), "'size' is 6"),
        (line(size=2**63), "'size'"),
        (line(size=10**30), "'size'"),
        (line(size=float("inf")), "'size' is inf"),
        (line(size=float("nan")), "'size' is nan"),
        (line(hash=None), "'hash'"),
        (line(hash="00"), "'hash'"),
        (line(hash={}), "'hash'"),
        (line(hash={"type": "SHA256"}), "'hash'"),
        (line(hash={"type": 5, "value": "x"}), "'hash'"),
        (line(hash={"type": "SHA256", "value": None}), "'hash'"),
        (line(hash={"type": "SHA256", "value": "x", "more": 1}), "'hash'"),
        (line(meta=...), "'meta'"),
        (line(meta=["x"]), "'meta'"),
        (line(meta="x"), "'meta'"),
        (b'{"logical_key": "a/../b/", "meta": {"x": 1}}', r"'\.\.'"),
        (b'{"logical_key": "/", "meta": {"x": 1}}', "empty"),
        (b'{"logical_key": "a/"}', "'meta'"),
        (b'{"logical_key": "a", "meta": {"x": 1}}', "no folder"),
    ],
)
def test_a_hostile_line_is_refused_with_its_number(hostile: bytes, why: str) -> None:
    with pytest.raises(CorruptManifest, match=why) as refused:
        decode_record(hostile, 7)
    assert "Line 7 " in refused.value.message
    assert refused.value.details == {"line": 7}
    assert "package_log" in refused.value.next_step
    refused.value.message.encode()


@pytest.mark.parametrize("text", [b"[" * 100, b"{" * 100, b"]" * 100])
def test_brackets_in_strings_are_no_nesting(text: bytes) -> None:
    record = decode_record(line(meta={"user_meta": {"x": [text.decode() * 5, '"' + text.decode()]}}), 2)
    assert isinstance(record, Entry)
    assert record.user_meta["x"][0] == text.decode() * 5


def test_metadata_as_deep_as_is_read_is_written_and_deeper_is_not() -> None:
    deep = decode_record(nested(manifest.MAX_DEPTH - 2), 2)
    assert decode_record(encode_record(deep), 2) == deep
    with pytest.raises(CorruptManifest):
        decode_record(nested(manifest.MAX_DEPTH - 1), 2)
    value: list[object] = []
    for _ in range(manifest.MAX_DEPTH):
        value = [value]
    with pytest.raises(InvalidMetadata, match="deep"):
        encode_record(Entry("a", "s3://b/k", 1, Hash("SHA256", "0"), {"user_meta": value}))


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([line(), line(size=-1), b"{", _HEADER, b"\n"])).map(b"\n".join)
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = opened(data, block=7).find_hash()
        assert opened(data, block=7, with_hash=True).index.found_hash == found
    except QuiltError as error:
        assert isinstance(error, CorruptManifest)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(st.characters()), values, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _JSON, max_size=3), st.booleans())
def test_the_quick_way_to_a_top_hash_agrees_with_the_plain_one(
    meta: dict[str, object], ascii_only: bool
) -> None:
    """Over any JSON value, NaN, infinities and lone surrogates included, spelled both ways."""
    text = json.dumps({**json.loads(line()), "meta": {"user_meta": meta}}, ensure_ascii=ascii_only)
    try:
        data = _HEADER + text.encode() + b"\n"
    except UnicodeEncodeError:
        return
    read = opened(data, with_hash=True)
    plain = TopHash(read.header)
    for entry in read.entries():
        plain.add(entry)
        assert repr(decode_record(encode_exact(entry), 2)) == repr(entry)
    assert read.index.found_hash == read.find_hash() == plain.hexdigest() == true_hash(data)


@pytest.mark.parametrize(
    "keys", [("a", "a"), ("a", "a/b"), ("a/b", "a/b"), ("b", "a", "b"), ("b", "a/x", "a")]
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_clashing_keys_are_refused_in_whatever_order_they_stand(keys: tuple[str, ...], block: int) -> None:
    data = _HEADER + b"\n".join(line(logical_key=key) for key in keys)
    with pytest.raises(CorruptManifest, match=r"claim the logical key|also a folder"):
        opened(data, block=block)


def test_entries_out_of_order_are_sorted() -> None:
    first, second = line(logical_key="b") + b"\n", line(logical_key="a") + b"\n"
    read = opened(_HEADER + first + second, with_hash=True)
    assert [entry.logical_key for entry in read.entries()] == ["a", "b"]
    assert read.index.found_hash == opened(_HEADER + second + first).find_hash()


def test_null_and_absent_package_metadata_are_two_packages() -> None:
    absent, null = Header({"version": "v0"}), Header({"version": "v0", "user_meta": None})
    assert TopHash(absent).hexdigest() == "7a67ff45a4a4c4814ea89d82bb9fb6fbf06caebc79d6507121b549213c747537"
    assert TopHash(absent).hexdigest() != TopHash(null).hexdigest()
    assert encode_header(null) == b'{"version": "v0", "user_meta": null}\n'


def test_an_entry_without_size_or_hash_is_never_written() -> None:
    for unfinished in (Entry("a", "s3://b/k", None, Hash("SHA256", "0")), Entry("a", "s3://b/k", 1, None)):
        with pytest.raises(InternalError):
            encode_record(unfinished)
        with pytest.raises(InternalError):
            TopHash(Header()).add(unfinished)


@pytest.mark.parametrize("value", [{1: 2, "a": 3}, {"x": object()}, {"x": "\ud800"}, {"x": float("nan")}])
def test_metadata_that_is_not_json_is_refused_wherever_it_stands(value: dict[object, object]) -> None:
    if 1 not in value:
        with pytest.raises(InvalidMetadata, match="'k'"):
            encode_record(Entry("k", "s3://b/k", 1, Hash("SHA256", "0"), {"user_meta": value}))
        with pytest.raises(InvalidMetadata, match="The metadata of the folder 'k/'"):
            encode_record(DirectoryMeta("k/", {"x": value}))
        with pytest.raises(InvalidMetadata, match="The package metadata"):
            encode_header(Header({"version": "v0", "user_meta": value}))
    else:
        with pytest.raises(InvalidMetadata, match="'k'"):
            TopHash(Header()).add(Entry("k", "s3://b/k", 1, Hash("SHA256", "0"), {"user_meta": value}))


@pytest.mark.parametrize(
    "spelled",
    [
        b'"meta": {"user_meta": {"n": %b}}',
        b'"meta" : {"user_meta": {"n": %b, "meta": 1}}',
        b'"m\\u0065ta": {"user_meta": {"n": %b, "meta": 1}}',
        b'"meta": {"meta": {}, "user_meta": {"n": %b}}',
        b'"meta": {}, "meta": {"user_meta": {"n": %b}}',
    ],
)
def test_large_integers_stay_integers_wherever_they_stand(spelled: bytes) -> None:
    digits = b"1" * 30
    for number in (2, 1):
        text = line().replace(b'"meta": {}', spelled % digits)
        if number == 2:
            record = decode_record(text, number)
            assert isinstance(record, Entry)
            found = record.user_meta["n"]
        else:
            found = manifest.decode_header(text).fields["meta"]["user_meta"]["n"]
        assert found == int(digits)
        assert type(found) is int


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0",
        "-0.0",
        "1.0",
        "1e5",
        "1E5",
        "1e-5",
        "1e-05",
        "1e-7",
        "0.0001",
        "0.00001",
        "10.0001",
        "1e15",
        "1e16",
        "1e17",
        "123456789012345",
        "1234567890123456.0",
        "123456789012345678",
        "9223372036854775808",
        "18446744073709551616",
        "-9223372036854775809",
        "100000000000000000000",
        "0.1",
        "0.30000000000000004",
        "1.7976931348623157e308",
        "5e-324",
        "2.5",
        "-2.5",
        "-0.5",
        "1E400",
        "NaN",
        "-Infinity",
    ],
)
def test_the_quick_way_to_a_top_hash_spells_numbers_as_json_does(number: str) -> None:
    data = _HEADER + line(meta={"user_meta": {"x": 7}}).replace(b"7", number.encode())
    read = opened(data)
    entry = next(read.entries())
    plain = TopHash(read.header)
    plain.add(entry)
    assert json.dumps(json.loads(number)) in entry_part(entry)
    assert read.find_hash() == plain.hexdigest()


def test_metadata_without_end_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(InvalidMetadata, match="'k'"):
            encode_record(Entry("k", "s3://b/k", 1, Hash("SHA256", "0"), {"user_meta": value}))
    while deep:  # taken apart by hand: freeing it in one go would recurse as deep
        deep = deep.pop()  # type: ignore[assignment]
