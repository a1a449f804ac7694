"""What a stack finds as hits. What can be no package's or object's is None, to be counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from quilt_mcp.auth.registry_http import when
from quilt_mcp.catalog.shapes import number_of, object_of, objects_of, text_of
from quilt_mcp.domain.address import PackageUri, PhysicalKey, is_bucket, parse_package, parse_registry
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.request import FoundFile, Hit
from quilt_mcp.errors import QuiltError

_MATCHED: Final = {
    "name": "name",
    "comment": "message",
    "meta": "metadata",
    "workflow": "workflow",
    "logicalKey": "path",
    "physicalKey": "physical_key",
    "contents": "content",
}


def package(hit: Mapping[str, Any]) -> Hit | None:
    """Of GraphQL's ``SearchHitPackage``."""
    uri = revision(hit.get("bucket"), hit.get("name"), hit.get("hash"))
    if uri is None:
        return None
    return Hit(
        uri,
        count(hit.get("size")),
        when(hit.get("modified")),
        _matched(hit.get("matchLocations")),
        count(hit.get("totalEntriesCount")),
        text_of(hit.get("comment")),
        metadata(hit.get("meta")),
        tuple(
            FoundFile(path, count(one.get("size")), _matched(one.get("matchLocations")))
            for one in objects_of(hit.get("matchingEntries"))
            if (path := text_of(one.get("logicalKey"))) is not None
        ),
    )


def s3_object(hit: Mapping[str, Any]) -> Hit | None:
    """Of GraphQL's ``SearchHitObject``."""
    bucket, key, version = (text_of(hit.get(name)) for name in ("bucket", "key", "version"))
    if bucket is None or key is None or not is_bucket(bucket):
        return None
    if key.encode("utf-8", "replace").decode() != key:  # half of a surrogate pair: no key of S3 has it
        return None
    place = PhysicalKey(bucket, key, None if version == "null" else version)
    is_deleted = hit.get("deleted") is True
    return Hit(str(place), count(hit.get("size")), when(hit.get("modified")), is_deleted=is_deleted)


def read_all(
    rows: Iterable[Mapping[str, Any]],
    read: Callable[[Mapping[str, Any]], Hit | None],
    buckets: Collection[str] | None,
) -> tuple[list[Hit], list[str]]:
    """With what to warn of. What lies outside ``buckets`` (None: all) was not asked for, and is none."""
    found = [read(one) for one in rows]
    kept = [one for one in found if one is not None and (buckets is None or _bucket(one) in buckets)]
    odd = len(found) - len(kept)
    said = f"odd_hits: {counted(odd, 'result')} of the stack name nothing that there can be, or that was asked for."
    return kept, [said] if odd else []


def _bucket(hit: Hit) -> str:
    return urlsplit(hit.uri.removeprefix("quilt+")).netloc


def ends_early(shown: int, total: int | None = None) -> str:
    of_all = "" if total is None else f" of {total:,}"
    return f"ends_early: the stack pages no further than {shown:,}{of_all}; narrow the search by where, or sort it otherwise."


def revision(bucket: object, name: object, top_hash: object) -> str | None:
    """Its quilt+ URI."""
    try:
        uri: PackageUri = parse_package(f"{name}@{top_hash}", parse_registry(f"s3://{bucket}"))
    except QuiltError:
        return None
    return None if uri.top_hash is None or uri.path is not None else str(uri)


def metadata(text: object) -> dict[str, Any] | None:
    """The search index holds it as JSON text."""
    try:
        return object_of(json.loads(text)) or None if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def count(number: object) -> int | None:
    found = number_of(number)
    return int(found) if found is not None and 0 <= found < 1e18 else None


def _matched(places: object) -> tuple[str, ...]:
    there = object_of(places)
    return tuple(shown for name, shown in _MATCHED.items() if there.get(name) is True)
