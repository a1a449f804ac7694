"""Packages to compare with quilt3: as odd as quilt3 lets its users make them, each from a seed.

``generate(seed)`` says what is in a package. ``records`` puts that in our own values, ``quilt3_package`` has quilt3 build it
from physical keys alone, ``write_files`` and ``quilt3_package_of_files`` do so from files on disk.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import quilt3
from quilt3.packages import PackageEntry
from quilt3.util import PhysicalKey as Quilt3Key

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header, Record
from quilt_mcp.domain.names import walk_key
from quilt_mcp.domain.walk import directory_order

COUNT = int(os.environ.get("QUILT_MCP_INTEROP_PACKAGES", "500"))
"""How many packages the suites compare: 500 in CI, 5,000 nightly."""

ABSENT = object()

_WORDS = ("a", "b", "data", "x-y", "a.b", "A", "readme.md", "train", "2024", "z")
_ODD_WORDS = (
    "é",
    "e\u0301",
    "日本",
    "\U0001f600",
    "\U0010ffff",
    "עברית",
    "a b",
    " lead",
    "trail ",
    "back\\slash",
    "new\nline",
    "tab\t",
    "\x01",
    "\x7f",
    "\x85",
    "\u2028",
    'quo"te',
    "'",
    ".quilt",
    ".hidden",
    "...",
    "..a",
    "#",
    "?",
    "%",
    "%20",
    "a+b",
    "a&b=c",
    "~",
    "*",
    "a:b",
    "@",
    "\ufffd",
    "\ufeff",
    "C:",
    "-",
    "!",
    "\uffff",
    "\ue000",
)
_NUMBERS = (
    0,
    -1,
    7,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**20,
    -(10**30),
    10**400,
    0.0,
    -0.0,
    1.0,
    2.5,
    0.1,
    1e-4,
    1e-5,
    1e-7,
    1e15,
    1e16,
    1e17,
    1e22,
    123456789012345678.0,
    5e-324,
    1.7976931348623157e308,
    -1e-320,
    1 / 3,
    3.141592653589793,
)
_TEXTS = (
    "",
    "plain",
    "naïve",
    "日本語",
    "\U0001f9ec dna",
    'a "quoted" \\ thing',
    "line\nbreak\r\n\ttab",
    "\x00\x1f\x7f\x80",
    "\u2028\u2029",
    "</script>",
    "1e5",
    "-0",
    "\\u0041",
    "0.0001",
    "{}[],:",
    "\ud7ff\ue000",
    "user_meta",
)


@dataclass
class PackageSpec:
    """``entries``: logical key -> (content, user metadata or ABSENT, system metadata, hash type)."""

    seed: int
    name: str
    entries: dict[str, EntrySpec] = field(default_factory=dict)
    directories: dict[str, Any] = field(default_factory=dict)
    """Metadata of directories by key ending in '/'. Falsy ones are not written by quilt3."""
    user_meta: Any = ABSENT
    message: Any = ABSENT
    workflow: Any = ABSENT
    unknown_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def sorted_keys(self) -> list[str]:
        return sorted(self.entries, key=lambda key: key.split("/"))


@dataclass
class EntrySpec:
    content: bytes
    user_meta: Any = ABSENT
    system_meta: dict[str, Any] = field(default_factory=dict)
    hash_type: str = "sha2-256-chunked"
    url: str = ""

    @property
    def hash(self) -> tuple[str, str]:
        return self.hash_type, checksum(self.hash_type, self.content)

    @property
    def meta(self) -> dict[str, Any]:
        return (
            self.system_meta
            if self.user_meta is ABSENT
            else {**self.system_meta, "user_meta": self.user_meta}
        )


def checksum(hash_type: str, content: bytes) -> str:
    """Written apart from the code under test; for contents of at most one chunk."""
    if hash_type == "SHA256":
        return hashlib.sha256(content).hexdigest()
    if hash_type == "CRC64NVME":
        return base64.b64encode(_crc64(content).to_bytes(8, "big")).decode()
    inner = hashlib.sha256(content).digest() if content else b""
    return base64.b64encode(hashlib.sha256(inner).digest()).decode()


def _crc64(content: bytes) -> int:
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFFFFFFFFFF


def generate(seed: int) -> PackageSpec:
    rng = random.Random(seed)
    spec = PackageSpec(seed, f"interop/{'p' if rng.random() < 0.9 else 'ü'}{seed}")
    odd = rng.random() < 0.6
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5, 8, 20))):
        key = logical_key(rng, odd)
        if _fits(spec.entries, key):
            spec.entries[key] = _entry(rng)
    folders = sorted(
        {key[: index + 1] for key in spec.entries for index, char in enumerate(key) if char == "/"}
    )
    for folder in folders:
        if rng.random() < 0.3:
            spec.directories[folder] = metadata(rng)
    if rng.random() < 0.15:
        lonely = logical_key(rng, odd)
        if _fits(spec.entries, lonely + "/x"):
            spec.directories[lonely + "/"] = metadata(rng)
    spec.user_meta = rng.choice((ABSENT, None, {}, metadata(rng), metadata(rng)))
    spec.message = rng.choice((ABSENT, None, "", "a message", text(rng)))
    if rng.random() < 0.2:
        spec.workflow = {
            "id": rng.choice((None, "alpha")),
            "config": "s3://bucket/.quilt/workflows/config.yml?versionId=v",
        }
        if rng.random() < 0.5:
            spec.workflow["schemas"] = {"m": "s3://bucket/schema.json", text(rng): "file:///s"}
    if rng.random() < 0.1:
        spec.unknown_fields = {"extra": value(rng, 2), text(rng) + "_": 1}
    return spec


def logical_key(rng: random.Random, odd: bool) -> str:
    parts = []
    for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
        words = _ODD_WORDS if odd and rng.random() < 0.6 else _WORDS
        parts.append("".join(rng.choice(words) for _ in range(rng.choice((1, 1, 1, 2)))))
    return "/".join(parts)


def _fits(entries: dict[str, EntrySpec], key: str) -> bool:
    """Neither there, nor a folder of what is there, nor below a file, nor one of the keys no file system holds."""
    if any(part in (".", "..") for part in key.split("/")):
        return False
    return not any(
        other == key or other.startswith(key + "/") or key.startswith(other + "/") for other in entries
    )


def _entry(rng: random.Random) -> EntrySpec:
    content = rng.choice((b"", b"hello\n", rng.randbytes(rng.randrange(1, 300))))
    entry = EntrySpec(content, hash_type=rng.choice(("sha2-256-chunked",) * 6 + ("SHA256", "CRC64NVME")))
    if rng.random() < 0.5:
        entry.user_meta = metadata(rng)
    if rng.random() < 0.15:
        entry.system_meta = {"format": {"name": "json"}, "target": "json"}
    path = logical_key(rng, True)
    if rng.random() < 0.5:
        entry.url = str(Quilt3Key("bucket", path, rng.choice((None, "null", "v/1+2==", "é"))))
    else:
        entry.url = str(Quilt3Key(None, "/nowhere/" + path, None))
    return entry


def metadata(rng: random.Random) -> Any:
    """Mostly an object, as quilt3 asks for; sometimes what it lets through."""
    if rng.random() < 0.15:
        return rng.choice((None, {}, [], "text", 5, [1, {"a": None}], 0, False, True))
    return {
        text(rng) if rng.random() < 0.4 else rng.choice(_WORDS): value(rng, 3)
        for _ in range(rng.randrange(1, 5))
    }


def value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(8 if depth else 5)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return number(rng)
    if kind in (3, 4):
        return text(rng)
    if kind == 5:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(4))}


def number(rng: random.Random) -> int | float:
    if rng.random() < 0.6:
        return rng.choice(_NUMBERS)
    if rng.random() < 0.5:
        return rng.randrange(-(10 ** rng.randrange(1, 40)), 10 ** rng.randrange(1, 40))
    found = struct.unpack("<d", rng.randbytes(8))[0]
    return found if found == found and abs(found) != float("inf") else 0.5


def text(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(_TEXTS + _ODD_WORDS)
    return "".join(chr(_scalar(rng)) for _ in range(rng.randrange(12)))


def _scalar(rng: random.Random) -> int:
    code = rng.randrange(rng.choice((0x80, 0x800, 0x10000, 0x110000)))
    return code if not 0xD800 <= code <= 0xDFFF else 0x61


def header(spec: PackageSpec) -> Header:
    fields: dict[str, Any] = {"version": "v0"}
    if spec.user_meta is not ABSENT:
        fields["user_meta"] = spec.user_meta
    if spec.workflow is not ABSENT:
        fields["workflow"] = spec.workflow
    if spec.message is not ABSENT:
        fields["message"] = spec.message
    return Header({**fields, **spec.unknown_fields})


def entries(spec: PackageSpec) -> Iterator[Entry]:
    """In walk order."""
    for key in sorted(spec.entries, key=walk_key):
        entry = spec.entries[key]
        yield Entry(key, str(PhysicalKey.parse(entry.url)), len(entry.content), Hash(*entry.hash), entry.meta)


def records(spec: PackageSpec) -> Iterator[Record]:
    """What our writer makes a manifest of."""
    directories = (DirectoryMeta(key, meta) for key, meta in spec.directories.items())
    yield from directory_order(directories)
    yield from entries(spec)


def quilt3_package(spec: PackageSpec) -> quilt3.Package:
    """The same package made by quilt3, in an order of calls of its own. No file is read."""
    rng = random.Random(spec.seed + 1)
    package = quilt3.Package()
    keys = list(spec.entries)
    rng.shuffle(keys)
    for key in keys:
        entry = spec.entries[key]
        hash_type, hash_value = entry.hash
        found = PackageEntry(
            Quilt3Key.from_url(entry.url),
            len(entry.content),
            {"type": hash_type, "value": hash_value},
            dict(entry.meta),
        )
        package.set(key, found)
    for key, meta in spec.directories.items():
        package._ensure_subpackage(key[:-1].split("/")).set_meta(meta)
    _set_header(spec, package)
    return package


def write_files(spec: PackageSpec, folder: Path) -> None:
    """The contents as files named by their logical keys."""
    for key, entry in spec.entries.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.content)


def quilt3_package_of_files(spec: PackageSpec, folder: Path) -> quilt3.Package:
    """From what ``write_files`` wrote: by ``set_dir`` of the whole folder for half of the seeds, else file by file.
    ``set_dir`` of the root makes absent package metadata null, as it does for quilt3's users."""
    package = quilt3.Package()
    if spec.seed % 2 and spec.entries:
        package.set_dir("/", str(folder), meta=None if spec.user_meta is ABSENT else spec.user_meta)
    for key, entry in spec.entries.items():
        if key not in package:
            package.set(key, str(folder / key))
        found = package[key]
        found._meta.update(entry.meta)
        if entry.hash_type != "sha2-256-chunked":
            found.hash = {"type": entry.hash_type, "value": entry.hash[1]}
            found.size = len(entry.content)
    for key, meta in spec.directories.items():
        package._ensure_subpackage(key[:-1].split("/")).set_meta(meta)
    if spec.user_meta is not ABSENT:
        package.set_meta(spec.user_meta)
    return package


def _set_header(spec: PackageSpec, package: quilt3.Package) -> None:
    if spec.user_meta is not ABSENT:
        package.set_meta(spec.user_meta)
    if spec.workflow is not ABSENT:
        package._meta["workflow"] = spec.workflow
    if spec.message is not ABSENT:
        package._set_commit_message(spec.message)
    package._meta.update(spec.unknown_fields)
