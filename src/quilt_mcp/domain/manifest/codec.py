"""The manifest codec: one line of JSON in and out, byte for byte as quilt3 8.0.0 writes it.

Lines keep key order and raw Unicode, separated by ', ' and ': '. Their text is Python's own ``json`` (escapes, float and
integer spelling); ``orjson`` stands in only where it is known to give the same.

What is read is not trusted: every record is checked for shape, size, depth and a harmless logical key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn, cast

import orjson

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header, Record
from quilt_mcp.domain.names import validate_logical_key
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
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_NESTING: Final = bytes(set(range(256)) - set(b"[]{}"))
_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_KEY: Final = re.compile(rb'\{"logical_key": "([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)

PACKAGE_METADATA: Final = "the package metadata"

dump_line = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""As a line of a manifest has it."""
dump_sorted = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
"""As the top hash has it."""
_dump_exact = json.JSONEncoder().encode


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
        corrupt(number, "'logical_key' is missing or not a string")
    physical_keys = fields.get("physical_keys")
    if not physical_keys and not key.endswith("/"):
        corrupt(number, f"{key[:200]!r} has no physical key, and is no folder either")
    try:
        validate_logical_key(key if physical_keys else key[:-1])
    except InvalidName as error:
        corrupt(number, error.message)
    if "meta" not in fields:
        corrupt(number, "'meta' is missing")
    if not physical_keys:
        return DirectoryMeta(key, fields["meta"])
    if not isinstance(physical_keys, list):
        corrupt(number, "'physical_keys' is not a list")
    physical_key = cast("list[Any]", physical_keys)[0]
    if not isinstance(physical_key, str):
        corrupt(number, "'physical_keys' holds something other than a string")
    size = fields.get("size")
    if type(size) is not int or not 0 <= size <= MAX_SIZE:
        size = _odd_size(size, number)
    hash_fields = fields.get("hash")
    if not isinstance(hash_fields, dict):
        corrupt(number, "'hash' is missing or not an object")
    hash_fields = cast("dict[str, Any]", hash_fields)
    hash_type, value = hash_fields.get("type"), hash_fields.get("value")
    if not isinstance(hash_type, str) or not isinstance(value, str) or len(hash_fields) != 2:
        corrupt(number, "'hash' is not an object of a string 'type' and a string 'value'")
    meta: Any = fields["meta"] or {}
    if not isinstance(meta, dict):
        corrupt(number, "'meta' is not an object")
    if b"\\u" in line and any(map(_LONE_SURROGATE.search, (physical_key, hash_type, value))):
        corrupt(number, "it holds a lone surrogate, which is not a Unicode character")
    return Entry(key, physical_key, size, Hash(hash_type, value), cast("dict[str, Any]", meta))


def decode_entry(line: bytes) -> Entry:
    """A line of those that an index found to be entries. Raises CorruptManifest."""
    record = decode_record(line, 0)
    if isinstance(record, DirectoryMeta):
        corrupt(0, "it is no entry")
    return record


def walk_key_in(line: bytes) -> bytes | None:
    """The logical key that opens a line (or the first part of one) as the key that walk order goes by, in UTF-8; a folder's
    without its trailing '/'. None where the line does not open with a whole key."""
    opening = _KEY.match(line)
    if opening is None:
        return None
    text = opening.group(1)
    if b"\\" in text:
        text = json.loads(b'"%b"' % text).encode("utf-8", "surrogatepass")
    return text.removesuffix(b"/").replace(b"/", b"\0")


def corrupt_length(number: int) -> NoReturn:
    """Raises CorruptManifest for a line that is too long to be read."""
    corrupt(number, f"the line is longer than {MAX_LINE_BYTES:,} bytes")


def _load(line: bytes, number: int) -> dict[str, Any]:
    plain = line.endswith(_EMPTY_META)
    if not plain:
        if is_deep(line):
            corrupt(number, f"it is nested more than {MAX_DEPTH} deep")
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
            corrupt(number, "it is not UTF-8")
        except RecursionError:
            corrupt(number, "it is nested too deeply")
        except ValueError as error:
            corrupt(number, f"it is not JSON ({error})")
    if not isinstance(value, dict):
        corrupt(number, "it is not a JSON object")
    return cast("dict[str, Any]", value)


def _where_numbers_matter(line: bytes, number: int) -> int:
    """Of an entry only the size (checked apart) and what follows the first key spelled "meta" are ever used."""
    if number == 1 or b"\\u" in line:
        return 0
    return max(line.find(b'"meta"'), 0)


def is_deep(line: bytes) -> bool:
    """Whether JSON text is nested more than ``MAX_DEPTH`` deep."""
    if len(line) <= 2 * MAX_DEPTH or line.count(b"{") + line.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for char in _STRING.sub(b"", line).translate(None, _NOT_NESTING):
        depth += 1 if char in b"{[" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _odd_size(size: Any, number: int) -> int:
    """quilt3 takes any size; a float that is a whole number is kept as such (see IntegralFloat)."""
    if type(size) is float and size.is_integer() and str(size)[0] != "-" and size <= MAX_SIZE:
        return IntegralFloat(size)
    if size is None:
        corrupt(number, "'size' is missing: the revision was never finished")
    corrupt(number, f"'size' is {str(size)[:50]}, and a number of bytes is meant")


def corrupt(number: int, why: str) -> NoReturn:
    """Raises CorruptManifest for a line, counted from 1; ``why`` is a clause about it."""
    shown = why.encode("utf-8", "backslashreplace").decode()
    raise CorruptManifest(
        f"Line {number} of the manifest cannot be used: {shown.rstrip('.')}.",
        next_step="Choose another revision from package_log, or restore this manifest from a copy.",
        details={"line": number},
    )


# ---- writing


def encode_header(header: Header) -> bytes:
    """Raises InvalidMetadata: not JSON, NaN or infinite, lone surrogates, too deep, or beyond ``MAX_RECORD_BYTES``."""
    return _line(dump(dump_line, dict(header.fields), PACKAGE_METADATA), PACKAGE_METADATA)


def encode_record(record: Record) -> bytes:
    """Raises InvalidMetadata as ``encode_header`` does, InternalError for an entry without size or hash."""
    what = record.logical_key
    if isinstance(record, DirectoryMeta):
        what = f"the metadata of the folder {what!r}"
    return _line(_spelled(record, lambda meta: dump(dump_line, meta, what)), what)


def can_be_written(record: Record) -> bool:
    """Whether ``encode_record`` takes it. A manifest that was read may hold what no writer may write, as NaN."""
    try:
        encode_record(record)
    except InvalidMetadata:
        return False
    return True


def encode_exact(record: Record) -> bytes:
    """A line from which ``decode_record`` gives this very record back, whatever it holds: NaN, lone surrogates and metadata
    beyond all bounds included. For copies of our own; no registry gets such a line."""
    return f"{_spelled(record, _dump_exact)}\n".encode()


def _spelled(record: Record, dump_meta: Callable[[Any], str]) -> str:
    key = encode_basestring(record.logical_key)
    if isinstance(record, DirectoryMeta):
        return f'{{"logical_key": {key}, "meta": {dump_meta(record.meta)}}}'
    size, entry_hash = size_and_hash(record)
    return (
        f'{{"logical_key": {key}, "physical_keys": [{encode_basestring(record.physical_key)}], "size": {size}, '
        f'"hash": {{"type": {encode_basestring(entry_hash.type)}, "value": {encode_basestring(entry_hash.value)}}}, '
        f'"meta": {dump_meta(record.meta) if record.meta else "{}"}}}'
    )


def _line(text: str, what: str) -> bytes:
    try:
        line = text.encode()
    except UnicodeEncodeError:
        _invalid(what, "holds a lone surrogate, which is not a Unicode character")
    if len(line) > MAX_RECORD_BYTES:
        _invalid(
            what, f"makes a manifest record of {len(line):,} bytes; at most {MAX_RECORD_BYTES:,} are allowed"
        )
    if is_deep(line):
        _invalid(what, f"is nested more than {MAX_DEPTH} deep")
    return line + b"\n"


def dump(encode: Callable[[Any], str], value: Any, what: str) -> str:
    """``encode(value)``. Raises InvalidMetadata, naming ``what``, for what is no JSON."""
    try:
        return encode(value)
    except RecursionError:
        _invalid(what, "is nested too deeply")
    except (TypeError, ValueError) as error:
        number = _no_number(value)
        _invalid(what, f"is not JSON ({number or error})", _WRITE_NULL if number else _WRITE_LESS)


def _no_number(value: Any) -> str | None:
    """Where NaN or an infinite number stands in metadata, and which."""
    waiting: list[tuple[str, Any]] = [("", value)]
    seen: set[int] = set()
    while waiting:
        at, one = waiting.pop()
        if isinstance(one, Mapping | list | tuple):
            if id(cast("Any", one)) in seen:
                continue
            seen.add(id(cast("Any", one)))
        if isinstance(one, float) and not math.isfinite(one):
            return f"{json.dumps(one)} stands at {at.removeprefix('/user_meta')[:200] or '/'}"
        if isinstance(one, Mapping):
            waiting += [(f"{at}/{key}", inner) for key, inner in cast("Mapping[Any, Any]", one).items()]
        elif isinstance(one, list | tuple):
            waiting += [(f"{at}/{place}", inner) for place, inner in enumerate(cast("list[Any]", one))]
    return None


def size_and_hash(entry: Entry) -> tuple[str, Hash]:
    """An entry's size as it is spelled, and its hash. Raises InternalError while it has none."""
    size, entry_hash = entry.size, entry.hash
    if size is None or entry_hash is None:
        raise InternalError(
            f"The entry {entry.logical_key!r} has no size or hash yet.",
            next_step="Report this with the call that led here.",
        )
    return (repr(float(size)) if type(size) is IntegralFloat else str(int(size))), entry_hash


_WRITE_LESS = "Give JSON metadata of less than 1 MB per file, and keep larger things as files of the package."
_WRITE_NULL = (
    "Give null or a text there: JSON has no NaN and no Infinity. What an older revision has there is replaced by "
    "package_patch with metadata (metadata_mode replace) or entry_metadata."
)


def _invalid(what: str, why: str, next_step: str = _WRITE_LESS) -> NoReturn:
    shown = what.encode("utf-8", "backslashreplace").decode()
    shown = shown if shown.startswith("the ") else f"the metadata of {shown!r}"
    raise InvalidMetadata(
        f"{shown[0].upper()}{shown[1:]} {why}.",
        next_step=next_step,
        details={"record": shown},
    )
