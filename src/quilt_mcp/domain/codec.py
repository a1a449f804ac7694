"""The manifest codec: JSON Lines in and out, byte for byte as quilt3 8.0.0 writes them, and the top hash.

Two encodings live here. *Manifest lines* keep key order and raw Unicode, separated by ', ' and ': '. *Top hash parts*
have sorted keys, no spaces and only ASCII. Both are Python's own ``json`` text (escapes, float and integer spelling);
``orjson`` stands in only where it is known to give the same (see ``_canonical_meta``), the standard library elsewhere.

What is read is not trusted: every record is checked for shape, size, depth and a harmless logical key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final, NoReturn, cast

import orjson

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header, JsonObject, Record
from quilt_mcp.domain.names import validate_logical_key
from quilt_mcp.domain.walk import OutOfWalkOrder, duplicate_key, file_and_folder, out_of_order
from quilt_mcp.errors import CorruptManifest, InternalError, InvalidMetadata, InvalidName

MAX_RECORD_BYTES: Final = 1_000_000
"""The largest line quilt3 writes by default, without the newline."""
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""The largest line read: quilt3 lets its users raise the limit above."""
MAX_DEPTH: Final = 200
"""The deepest nesting of arrays and objects read or written. Python's ``json`` gives up somewhere below 1,000."""
MAX_SIZE: Final = 2**63 - 1

_EMPTY_META: Final = b'"meta": {}}'
_BIG_INTEGER: Final = re.compile(rb"[0-9]{19}")
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

_PLAIN: Final = rb"[\x20\x21\x23-\x5b\x5d-\x7e]"
"""ASCII that stands for itself inside a JSON string in both encodings."""
_CANONICAL: Final = re.compile(
    rb'\{"logical_key": "([\x20\x21\x23-\x5b\x5d-\xff]+)", "physical_keys": \["%b+"\], "size": (0|[1-9][0-9]{0,17}), '
    rb'"hash": \{"type": "(%b*)", "value": "(%b*)"\}, "meta": (\{.*\})\}\r?' % ((_PLAIN,) * 3)
)
"""An entry line as quilt3 writes it, no escapes outside its meta: most lines of most manifests."""
_RISKY_NUMBER: Final = re.compile(rb"[0-9](?:[eE]|\.000|[0-9.]{15})")
"""Numbers that orjson and ``json`` might read or spell differently: exponents, those that Python writes with one,
integers beyond 64 bits, floats of many digits. A false alarm (in a string, say) only costs time."""
_FLUSH: Final = 1 << 16

_dump_line = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_dump_exact = json.JSONEncoder().encode
_dump_sorted = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class IntegralFloat(int):
    """A size that its manifest spells as a float (``6.0``). It is a plain number of bytes to everyone; only the codec
    spells it as it was, because that text is part of the top hash."""


# ---- reading


def decode_header(line: bytes) -> Header:
    """The first line. The obsolete ``top_hash`` field is dropped, as quilt3 does. Raises CorruptManifest."""
    fields = _load(line, 1)
    fields.pop("top_hash", None)
    return Header(fields)


def decode_record(line: bytes, number: int) -> Record:
    """Any later line. ``number`` counts from 1 at the header and is told in errors. Raises CorruptManifest."""
    fields = _load(line, number)
    key = fields.get("logical_key")
    if not isinstance(key, str):
        _corrupt(number, "'logical_key' is missing or not a string")
    physical_keys = fields.get("physical_keys")
    if not physical_keys:
        return _directory(fields, key, number)
    try:
        validate_logical_key(key)
    except InvalidName as error:
        _corrupt(number, error.message)
    if not isinstance(physical_keys, list):
        _corrupt(number, "'physical_keys' is not a list")
    physical_key = cast("list[Any]", physical_keys)[0]
    if not isinstance(physical_key, str):
        _corrupt(number, "'physical_keys' holds something other than a string")
    size = fields.get("size")
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        size = _odd_size(size, number)
    hash_fields = fields.get("hash")
    if not isinstance(hash_fields, dict):
        _corrupt(number, "'hash' is missing or not an object")
    hash_fields = cast("dict[str, Any]", hash_fields)
    hash_type, value = hash_fields.get("type"), hash_fields.get("value")
    if not isinstance(hash_type, str) or not isinstance(value, str) or len(hash_fields) != 2:
        _corrupt(number, "'hash' is not an object of a string 'type' and a string 'value'")
    if "meta" not in fields:
        _corrupt(number, "'meta' is missing")
    meta: Any = fields["meta"] or {}
    if not isinstance(meta, dict):
        _corrupt(number, "'meta' is not an object")
    return Entry(key, physical_key, size, Hash(hash_type, value), cast("dict[str, Any]", meta))


def read_manifest(chunks: Iterable[bytes]) -> tuple[Header, Iterator[Record]]:
    """Streams a manifest: the header at once, the records in the order of the file, one line in memory at a time.

    Raises CorruptManifest, with the number of the line, from here or from the iterator. Duplicate keys and a file
    in a folder's place are caught as long as the entries come in walk order, as every known writer's do; a reader that
    meets others must check again after sorting.
    """
    lines = split_lines(chunks)
    first = next(lines, None)
    if first is None:
        raise CorruptManifest(
            "The manifest is empty.",
            next_step="Choose another revision from package_log.",
            details={"line": 1},
        )
    return decode_header(first), _records(lines)


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their newline; a last line without one counts. Raises CorruptManifest for a line beyond
    ``MAX_LINE_BYTES``."""
    pending: list[bytes] = []
    held = 0
    number = 0
    for chunk in chunks:
        lines = chunk.split(b"\n")
        pending.append(lines[0])
        held += len(lines[0])
        if held > MAX_LINE_BYTES:
            _corrupt(number + 1, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
        if len(lines) == 1:
            continue
        yield b"".join(pending)
        yield from lines[1:-1]
        number += len(lines) - 1
        pending = [lines[-1]]
        held = len(lines[-1])
    if held:
        yield b"".join(pending)


def _records(lines: Iterator[bytes]) -> Iterator[Record]:
    last: str | None = None
    in_order = True
    for number, line in enumerate(lines, 2):
        record = decode_record(line, number)
        if in_order and type(record) is Entry:
            key = record.logical_key.replace("/", "\0")
            if last is not None:
                if key < last:
                    in_order = False
                else:
                    _refuse_clash(last, key, number)
            last = key
        yield record


def _refuse_clash(last: str, key: str, number: int) -> None:
    """``last`` and ``key`` are walk keys, neighbours in walk order."""
    if key.startswith(last):
        if key == last:
            _corrupt(number, duplicate_key(key.replace("\0", "/")).message)
        if key[len(last)] == "\0":
            _corrupt(number, file_and_folder(last.replace("\0", "/")).message)


def _load(line: bytes, number: int) -> dict[str, Any]:
    plain = line.endswith(_EMPTY_META)
    if not plain:
        _refuse_deep(line, number)
        plain = _BIG_INTEGER.search(line, _where_numbers_matter(line, number)) is None
    value: Any = None
    if plain:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            plain = False
    if not plain:
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError:
            _corrupt(number, "it is not UTF-8")
        except RecursionError:
            _corrupt(number, "it is nested too deeply")
        except ValueError as error:
            _corrupt(number, f"it is not JSON ({error})")
    if not isinstance(value, dict):
        _corrupt(number, "it is not a JSON object")
    return cast("dict[str, Any]", value)


def _where_numbers_matter(line: bytes, number: int) -> int:
    """Of an entry only the size (checked apart) and what follows the first key spelled "meta" are ever used."""
    if number == 1 or b"\\u" in line:
        return 0
    return max(line.find(b'"meta"'), 0)


def _refuse_deep(line: bytes, number: int) -> None:
    if _is_deep(line):
        _corrupt(number, f"it is nested more than {MAX_DEPTH} deep")


def _is_deep(line: bytes) -> bool:
    if len(line) <= 2 * MAX_DEPTH or line.count(b"{") + line.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for char in _STRING.sub(b"", line):
        if char in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif char in b"}]":
            depth -= 1
    return False


def _directory(fields: dict[str, Any], key: str, number: int) -> DirectoryMeta:
    if not key.endswith("/"):
        _corrupt(number, f"{key[:200]!r} has no physical key, and is no folder either")
    try:
        validate_logical_key(key[:-1])
    except InvalidName as error:
        _corrupt(number, error.message)
    if "meta" not in fields:
        _corrupt(number, "'meta' is missing")
    return DirectoryMeta(key, fields["meta"])


def _odd_size(size: Any, number: int) -> int:
    """quilt3 takes any size; a float that is a whole number is kept as such (see IntegralFloat)."""
    if type(size) is float and size.is_integer() and str(size)[0] != "-" and size <= MAX_SIZE:
        return IntegralFloat(size)
    if size is None:
        _corrupt(number, "'size' is missing: the revision was never finished")
    _corrupt(number, f"'size' is {str(size)[:50]}, and a number of bytes is meant")


def _corrupt(number: int, why: str) -> NoReturn:
    shown = why.encode("utf-8", "backslashreplace").decode()
    raise CorruptManifest(
        f"Line {number} of the manifest cannot be used: {shown.rstrip('.')}.",
        next_step="Choose another revision from package_log, or restore this manifest from a copy.",
        details={"line": number},
    )


# ---- writing


def encode_header(header: Header) -> bytes:
    """Raises InvalidMetadata: not JSON, NaN or infinite, lone surrogates, too deep, or beyond ``MAX_RECORD_BYTES``."""
    fields = {name: value for name, value in header.fields.items() if name != "top_hash"}
    return _line(_dump(_dump_line, fields, "the package metadata"), "the package metadata")


def encode_record(record: Record) -> bytes:
    """Raises InvalidMetadata as ``encode_header`` does, InternalError for an entry without size or hash."""
    key = encode_basestring(record.logical_key)
    if isinstance(record, DirectoryMeta):
        what = f"the metadata of the folder {record.logical_key!r}"
        return _line(f'{{"logical_key": {key}, "meta": {_dump(_dump_line, record.meta, what)}}}', what)
    size, entry_hash = _size_and_hash(record)
    meta = record.meta
    text = (
        f'{{"logical_key": {key}, "physical_keys": [{encode_basestring(record.physical_key)}], "size": {size}, '
        f'"hash": {{"type": {encode_basestring(entry_hash.type)}, "value": {encode_basestring(entry_hash.value)}}}, '
        f'"meta": {_dump(_dump_line, meta, record.logical_key) if meta else "{}"}}}'
    )
    return _line(text, record.logical_key)


def _line(text: str, what: str) -> bytes:
    try:
        line = text.encode()
    except UnicodeEncodeError:
        _invalid(what, "holds a lone surrogate, which is not a Unicode character")
    if len(line) > MAX_RECORD_BYTES:
        _invalid(
            what, f"makes a manifest record of {len(line):,} bytes; at most {MAX_RECORD_BYTES:,} are allowed"
        )
    if _is_deep(line):
        _invalid(what, f"is nested more than {MAX_DEPTH} deep")
    return line + b"\n"


def encode_meta(meta: JsonObject, logical_key: str) -> str:
    """A metadata object by itself, as ASCII that ``json.loads`` makes the very same object of. Raises InvalidMetadata."""
    return _dump(_dump_exact, dict(meta), logical_key)


def _dump(encode: Any, value: Any, what: str) -> str:
    try:
        return encode(value)
    except RecursionError:
        _invalid(what, "is nested too deeply")
    except (TypeError, ValueError) as error:
        _invalid(what, f"is not JSON ({error})")


def _size_and_hash(entry: Entry) -> tuple[str, Hash]:
    size, entry_hash = entry.size, entry.hash
    if size is None or entry_hash is None:
        raise InternalError(
            f"The entry {entry.logical_key!r} has no size or hash yet.",
            next_step="Report this with the call that led here.",
        )
    return (repr(float(size)) if type(size) is IntegralFloat else str(int(size))), entry_hash


def _invalid(what: str, why: str) -> NoReturn:
    shown = what.encode("utf-8", "backslashreplace").decode()
    shown = shown if shown.startswith("the ") else f"the metadata of {shown!r}"
    raise InvalidMetadata(
        f"{shown[0].upper()}{shown[1:]} {why}.",
        next_step="Give JSON metadata of less than 1 MB per file, and keep larger things as files of the package.",
        details={"record": shown},
    )


# ---- the top hash


class TopHash:
    """The top hash of a revision as its entries go by. ``add`` takes them in walk order and raises DuplicateKey
    (repeated key, file in a folder's place), OutOfWalkOrder, InvalidMetadata. Directory metadata is no part of it."""

    __slots__ = ("_hash", "_last", "_pending")

    def __init__(self, header: Header) -> None:
        self._hash = hashlib.sha256(header_part(header))
        self._pending: list[str] = []
        self._last = ""

    def add(self, entry: Entry) -> None:
        key = entry.logical_key.replace("/", "\0")
        last = self._last
        if key <= last:
            raise duplicate_key(entry.logical_key) if key == last else out_of_order(entry.logical_key)
        if last and key.startswith(last) and key[len(last)] == "\0":
            raise file_and_folder(last.replace("\0", "/"))
        self._last = key
        self._pending.append(entry_part(entry))
        if len(self._pending) >= 256:
            self._flush()

    def hexdigest(self) -> str:
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update("".join(self._pending).encode())
        self._pending.clear()


def header_part(header: Header) -> bytes:
    """What the header adds to the top hash."""
    fields = {name: value for name, value in header.fields.items() if name != "top_hash"}
    return _dump(_dump_sorted, fields, "the package metadata").encode()


def entry_part(entry: Entry) -> str:
    """What an entry adds to the top hash; ASCII."""
    size, entry_hash = _size_and_hash(entry)
    meta = entry.meta
    return (
        f'{{"hash":{{"type":{encode_basestring_ascii(entry_hash.type)},'
        f'"value":{encode_basestring_ascii(entry_hash.value)}}},'
        f'"logical_key":{encode_basestring_ascii(entry.logical_key)},'
        f'"meta":{_dump(_dump_sorted, meta, entry.logical_key) if meta else "{}"},"size":{size}}}'
    )


def top_hash_of(chunks: Iterable[bytes]) -> str:
    """The top hash of a manifest from its bytes, faster than through entries.

    Entries are expected in walk order and streamed. When they are not, ``chunks`` is iterated once more and sorted
    in memory, as quilt3 does; a one-shot iterator raises OutOfWalkOrder then. Raises CorruptManifest.
    """
    try:
        return _streamed_top_hash(chunks)
    except OutOfWalkOrder:
        if iter(chunks) is chunks:
            raise
        return _sorted_top_hash(chunks)


def _streamed_top_hash(chunks: Iterable[bytes]) -> str:
    lines = split_lines(chunks)
    whole = hashlib.sha256(header_part(decode_header(next(lines, b""))))
    pending: list[bytes] = []
    held = 0
    last = b""
    for number, line in enumerate(lines, 2):
        part = _part_of(line, number)
        if part is None:
            continue
        key, encoded = part
        if key <= last:
            if key != last:
                raise out_of_order(_shown(key))
            _corrupt(number, duplicate_key(_shown(key)).message)
        if last and key.startswith(last) and key[len(last)] == 0:
            _corrupt(number, file_and_folder(_shown(last)).message)
        last = key
        pending.append(encoded)
        held += len(encoded)
        if held >= _FLUSH:
            whole.update(b"".join(pending))
            pending.clear()
            held = 0
    whole.update(b"".join(pending))
    return whole.hexdigest()


def _sorted_top_hash(chunks: Iterable[bytes]) -> str:
    lines = split_lines(chunks)
    whole = hashlib.sha256(header_part(decode_header(next(lines, b""))))
    parts = [part for number, line in enumerate(lines, 2) if (part := _part_of(line, number)) is not None]
    parts.sort(key=lambda part: part[0])
    last = b""
    for key, encoded in parts:
        if key == last:
            raise CorruptManifest(duplicate_key(_shown(key)).message, next_step="Choose another revision.")
        if last and key.startswith(last + b"\0"):
            raise CorruptManifest(file_and_folder(_shown(last)).message, next_step="Choose another revision.")
        last = key
        whole.update(encoded)
    return whole.hexdigest()


def _shown(key: bytes) -> str:
    return key.decode().replace("\0", "/")


def _part_of(line: bytes, number: int) -> tuple[bytes, bytes] | None:
    """(walk key in UTF-8, what the entry adds to the top hash); None for directory metadata."""
    match = _CANONICAL.fullmatch(line)
    if match is not None:
        key, size, hash_type, value, meta = match.groups()
        sort_key = key.replace(b"/", b"\0")
        if meta != b"{}":
            meta = _canonical_meta(meta, number)
        if not key.isascii() or b"\x7f" in key:
            key = _canonical_key(key)
        if meta is not None and key is not None:
            part = b'{"hash":{"type":"%b","value":"%b"},"logical_key":"%b","meta":%b,"size":%b}' % (
                hash_type,
                value,
                key,
                meta,
                size,
            )
            return sort_key, part
    record = decode_record(line, number)
    if isinstance(record, DirectoryMeta):
        return None
    return record.logical_key.replace("/", "\0").encode(), entry_part(record).encode()


def _canonical_key(key: bytes) -> bytes | None:
    try:
        return encode_basestring_ascii(key.decode())[1:-1].encode()
    except UnicodeDecodeError:
        return None


def _canonical_meta(meta: bytes, number: int) -> bytes | None:
    """The meta object of a line in the top hash's encoding, or None where only ``json`` itself is sure to be right:
    for anything but plain ASCII, ``\\u`` escapes and risky numbers."""
    plain = meta.isascii() and b"\\u" not in meta and b"\x7f" not in meta
    if not plain or _RISKY_NUMBER.search(meta):
        return None
    _refuse_deep(meta, number)
    try:
        return orjson.dumps(orjson.loads(meta), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
