"""What is searched: a document for each revision with its entries, and one for each object."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from parts.stack.holdings import Holdings, StoredObject

_FEW = 100
"""Contents of larger packages are not indexed: each would be a request."""


@dataclass
class Document:
    """``fields`` are those of the index; ``hit`` is what GraphQL says of it, ``entries`` what is found beneath a package."""

    id: str
    bucket: str
    fields: dict[str, Any]
    hit: dict[str, Any]
    entries: list[Document] = field(default_factory=list)
    user_meta: dict[str, Any] = field(default_factory=dict)


def objects(holdings: Holdings, bucket: str) -> list[Document]:
    return [_object(holdings, one) for one in holdings.objects(bucket)]


def _object(holdings: Holdings, one: StoredObject) -> Document:
    content = holdings.text(one)
    fields = {
        "key": one.key,
        "key_text": one.key,
        "ext": PurePosixPath(one.key).suffix.lower(),
        "size": one.size,
        "last_modified": one.modified,
        "version_id": one.version,
        "delete_marker": one.is_deleted,
        "content": content,
    }
    hit = {"key": one.key, "version": one.version, "size": one.size, "modified": one.modified}
    hit |= {"deleted": one.is_deleted, "indexedContent": content or None}
    return Document(f"{one.key}:{one.version}", one.bucket, fields, hit)


def packages(holdings: Holdings, bucket: str, *, latest_only: bool) -> list[Document]:
    found = []
    for name in holdings.names(bucket):
        latest, pointers = holdings.pointers(bucket, name)
        for pointer in pointers:
            is_latest = pointer.top_hash == latest
            if is_latest or not latest_only:
                tag = "latest" if is_latest else str(pointer.timestamp)
                found.append(_package(holdings, bucket, name, pointer.timestamp, pointer.top_hash, tag))
            if is_latest and latest_only:
                break
    return found


def _package(
    holdings: Holdings, bucket: str, name: str, modified: float, top_hash: str, tag: str
) -> Document:
    header, entries, size = _contents(holdings, bucket, name, top_hash)
    user_meta = header.get("user_meta")
    meta = None if user_meta is None else json.dumps(user_meta, ensure_ascii=False)
    workflow = header.get("workflow")
    fields = {
        "ptr_name": name,
        "ptr_name.text": name,
        "ptr_tag": tag,
        "ptr_last_modified": modified,
        "mnfst_hash": top_hash,
        "mnfst_last_modified": modified,
        "mnfst_message": header.get("message"),
        "mnfst_metadata": meta,
        "mnfst_stats.total_bytes": size,
        "mnfst_stats.total_files": len(entries),
        "mnfst_workflow.id": (workflow or {}).get("id"),
    }
    hit = {"name": name, "pointer": tag, "hash": top_hash, "size": size, "modified": modified}
    hit |= {
        "totalEntriesCount": len(entries),
        "comment": header.get("message"),
        "meta": meta,
        "workflow": workflow,
    }
    pointers = user_meta if isinstance(user_meta, dict) else {}
    return Document(f"mnfst:{top_hash}", bucket, fields, hit, entries, flattened(pointers))


@functools.lru_cache(maxsize=512)
def _contents(
    holdings: Holdings, bucket: str, name: str, top_hash: str
) -> tuple[dict[str, Any], list[Document], int]:
    package = holdings.package(bucket, name, top_hash)
    entries = []
    has_contents = sum(1 for _ in package.walk()) <= _FEW
    for logical_key, entry in package.walk():
        place, meta = (
            str(entry.physical_key),
            json.dumps(entry._meta, ensure_ascii=False) if entry._meta else None,
        )
        fields = {
            "entry_lk": logical_key,
            "entry_lk.text": logical_key,
            "entry_pk": place,
            "entry_pk.text": place,
        }
        fields |= {"entry_size": entry.size, "entry_metadata": meta}
        fields["entry_hash.value"] = entry.hash["value"]
        if has_contents:
            key = entry.physical_key
            one = StoredObject(key.bucket, key.path, key.version_id or "null", entry.size, 0, False)
            fields["entry_contents"] = holdings.text(one) or None
        hit = {"logicalKey": logical_key, "physicalKey": place, "size": entry.size, "meta": meta}
        entries.append(Document(logical_key, bucket, fields, hit))
    return package._meta, entries, sum(entry.fields["entry_size"] for entry in entries)


def flattened(meta: dict[str, Any], above: str = "") -> dict[str, Any]:
    """By JSON pointer. Null and mixed lists are left out, as the indexer does."""
    found: dict[str, Any] = {}
    for key, value in meta.items():
        pointer = f"{above}/{key.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, dict):
            found |= flattened(value, pointer)
        elif isinstance(value, list):
            if value and all(isinstance(one, str) for one in value):
                found[pointer] = value
        elif value is not None:
            found[pointer] = value
    return found


def kind_of(value: Any) -> str:
    """NUMBER, DATETIME, KEYWORD, TEXT or BOOLEAN, as a facet is."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int | float):
        return "NUMBER"
    texts = value if isinstance(value, list) else [value]
    try:
        for text in texts:
            datetime.fromisoformat(text)
        return "DATETIME"
    except ValueError:
        return "KEYWORD" if all(len(text) <= 256 for text in texts) else "TEXT"
