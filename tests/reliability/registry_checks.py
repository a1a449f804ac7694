"""What must hold of a local registry whatever has happened to it, looked at without the engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


def pointers(registry: Path, name: str) -> dict[str, str]:
    folder = registry / ".quilt/named_packages" / name
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else {}


def log(registry: Path, name: str) -> list[str]:
    """Top hashes, oldest first."""
    stamps = sorted(
        (int(tag), top_hash) for tag, top_hash in pointers(registry, name).items() if tag != "latest"
    )
    return [top_hash for _, top_hash in stamps]


def packages(registry: Path) -> list[str]:
    base = registry / ".quilt/named_packages"
    return sorted(path.relative_to(base).as_posix() for path in base.glob("*/*"))


def manifest(registry: Path, top_hash: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    lines = (registry / ".quilt/packages" / top_hash).read_text().splitlines()
    header, *records = (json.loads(line) for line in lines)
    return header, [record for record in records if record.get("physical_keys")]


def files(registry: Path, top_hash: str, *, of: Collection[str] | None = None) -> dict[str, bytes]:
    """The contents of a revision (only those ``of`` some logical keys), each held against its recorded size and hash."""
    found: dict[str, bytes] = {}
    for record in manifest(registry, top_hash)[1]:
        if of is not None and record["logical_key"] not in of:
            continue
        content = Path(unquote(urlsplit(record["physical_keys"][0]).path)).read_bytes()
        assert len(content) == record["size"]
        assert record["hash"] == {"type": "sha2-256-chunked", "value": chunked(content)}
        found[record["logical_key"]] = content
    return found


def chunked(content: bytes) -> str:
    """The sha2-256-chunked hash of up to 8 MiB."""
    import base64

    inner = hashlib.sha256(content).digest() if content else b""
    return base64.b64encode(hashlib.sha256(inner).digest()).decode()


def check(registry: Path, *, logged: bool = True) -> None:
    """Every pointer holds a whole hash of a manifest that is there, whole, and whose files are there, whole; every stored
    object is what its name says; nothing half-made stands where objects are looked for.

    ``logged``: latest is a line of the log, which it need not be while a whole package is being deleted.
    """
    for name in packages(registry):
        found = pointers(registry, name)
        for tag, top_hash in found.items():
            assert tag == "latest" or (tag.isdigit() and len(tag) == 10), (name, tag)
            assert len(top_hash) == 64, (name, tag, top_hash)
            files(registry, top_hash)
        if "latest" in found and logged:
            assert found["latest"] in log(registry, name), f"latest of {name} stands in no line of its log"
    for path in (registry / ".quilt/packages").glob("*"):
        assert len(path.name) == 64, path
        manifest(registry, path.name)
    for path in (registry / ".quilt/objects").glob("*/*"):
        import base64

        assert base64.b64decode(chunked(path.read_bytes())).hex() == path.name


def objects(registry: Path) -> list[str]:
    return sorted(path.name for path in (registry / ".quilt/objects").glob("*/*"))


def manifests(registry: Path) -> list[str]:
    return sorted(path.name for path in (registry / ".quilt/packages").glob("*"))


def unfinished(root: Path) -> list[Path]:
    """Temporary files of the store, the cache and the publisher."""
    places = [root / "registry/.quilt/tmp", root / "scratch"]
    found = [path for place in places if place.is_dir() for path in place.iterdir()]
    return [*found, *(root / "cache").glob("work-*")]
