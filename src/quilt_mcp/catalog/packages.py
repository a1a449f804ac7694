"""StackPackages: packages as a stack's GraphQL tells and changes them, for whoever has no way to S3.

The stack tells less than S3 holds. A listing of a revision is whole or there is none; of one that is larger than the stack lists
at once, only single folders are told, without hashes. Nothing is ever built on a part of an answer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from quilt_mcp.auth.registry_http import when
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import is_odd, number_of, object_of, rows_of, text_of
from quilt_mcp.catalog.told import (
    Inside,
    PushParams,
    ToldContents,
    ToldFile,
    ToldFolder,
    ToldLog,
    ToldPackage,
    ToldRevision,
)
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import IntegralFloat
from quilt_mcp.errors import RegistryNotFound, StackFailed, TooLarge
from quilt_mcp.registry.layout import is_top_hash

MOST_LISTED: Final = 50_000
"""Entries of a revision that are asked for at once."""
LEVELS: Final = 12
"""Of folders, whose metadata is told. Source: the document ``Contents``."""
_AT_ONCE: Final = 1_000
_WITH_HEADERS: Final = 200
_MOST_PAGES: Final = 500
_WRITE_SECONDS: Final = 300.0
"""The stack hashes and copies before it answers."""
_LISTINGS_AT_ONCE: Final = 2
"""Each may take some hundred megabytes of memory while it is read."""


class StackPackages:
    """Blocks. Raises as ``Graph.query``; StackFailed for an answer that lacks what it must hold."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._listing = threading.BoundedSemaphore(_LISTINGS_AT_ONCE)

    def page(
        self,
        bucket: str,
        *,
        number: int,
        size: int,
        pattern: str | None = None,
        order: Literal["NAME", "MODIFIED"] = "NAME",
        with_metadata: bool = False,
        with_totals: bool = False,
    ) -> tuple[list[ToldPackage], int]:
        """A page of a bucket's packages (``number`` counts from 1), and how many there are. One request. Raises RegistryNotFound
        for a bucket that the stack does not show to this user."""
        found = self._graph.query(
            "Packages",
            bucket=bucket,
            filter=pattern,
            number=number,
            size=size,
            order=order,
            withMetadata=with_metadata,
            withTotals=with_totals,
        ).get("packages")
        if found is None:
            raise RegistryNotFound(
                f"The stack shows this user no bucket {bucket}.",
                next_step="Call registry_list for those that it shows; role_switch, where status tells of other roles.",
                details={"registry": f"s3://{bucket}"},
            )
        listed = object_of(found)
        rows, total = rows_of(listed.get("page")), number_of(listed.get("total"))
        if rows is None or total is None:
            raise _in_part("its packages")
        return [_package(one) for one in rows], max(0, int(total))

    def revision(self, bucket: str, name: str, revision: str) -> ToldRevision | None:
        """``revision``: a tag or a hash. None: no such package, bucket or revision. One request."""
        package = object_of(
            self._graph.query("Revision", bucket=bucket, name=name, revision=revision).get("package")
        )
        found = object_of(package.get("revision"))
        return _revision(name, found) if found else None

    def log(self, bucket: str, name: str) -> ToldLog:
        """A request for each two hundred revisions; where their headers cannot be told, or are too large, without them."""
        try:
            return self._log("Revisions", bucket, name, _WITH_HEADERS)
        except (StackFailed, TooLarge):
            return self.hashes(bucket, name)

    def hashes(self, bucket: str, name: str) -> ToldLog:
        """The log without headers and counts. A request for each thousand revisions."""
        return self._log("RevisionHashes", bucket, name, _AT_ONCE)

    def _log(self, document: str, bucket: str, name: str, size: int) -> ToldLog:
        found: list[ToldRevision] = []
        number = 1
        while True:
            data = self._graph.query(document, bucket=bucket, name=name, number=number, size=size)
            package = object_of(data.get("package"))
            if not package:
                return ToldLog((), None)
            latest, listed = object_of(package.get("latest")), object_of(package.get("revisions"))
            rows, total = rows_of(listed.get("page")), number_of(listed.get("total"))
            if rows is None or total is None:
                raise _in_part(f"the revisions of {name}")
            if (not rows and len(found) < total) or number > _MOST_PAGES:
                raise _in_part(f"the revisions of {name}")
            found += [_revision(name, one) for one in rows]
            if len(found) >= total:
                named = text_of(latest.get("hash"))
                return ToldLog(tuple(found), next((one for one in found if one.top_hash == named), None))
            number += 1

    def contents(self, bucket: str, name: str, top_hash: str) -> ToldContents | None:
        """None where the revision has more than ``MOST_LISTED`` entries, more than this stack lists, or more than is read of an
        answer. One request, of which few are made at once."""
        try:
            with self._listing:
                answer = self._graph.query(
                    "Contents", bucket=bucket, name=name, revision=top_hash, most=MOST_LISTED
                )
        except TooLarge:
            return None
        package = object_of(answer.get("package"))
        found = object_of(package.get("revision"))
        if text_of(found.get("hash")) != top_hash:
            raise _in_part(f"the revision {top_hash} of {name}")
        listed, count = found.get("contentsFlatMap"), number_of(found.get("totalEntries"))
        if listed is None:
            return None
        entries = object_of(listed)
        if listed != entries or (count is not None and int(count) != len(entries)):
            raise _in_part(f"the files of {name}")
        folders = dict(_folders(name, found.get("dir"), LEVELS))
        if any(folder not in folders for key in entries for folder in _above(key)):
            raise _in_part(f"the folders of {name}")
        return ToldContents(
            Header(object_of(found.get("metadata"))),
            tuple(_entry(name, key, object_of(one)) for key, one in entries.items()),
            tuple(DirectoryMeta(f"{path}/", told) for path, told in folders.items() if told is not None),
        )

    def inside(self, bucket: str, name: str, revision: str, path: str) -> Inside | None:
        """A file or folder. None: no such revision, or nothing at ``path``. One request."""
        package = object_of(
            self._graph.query("Inside", bucket=bucket, name=name, revision=revision, path=path).get("package")
        )
        found = object_of(package.get("revision"))
        if not found:
            return None
        told = _revision(name, found)
        totals = Totals(told.entries or 0, _size(found.get("totalBytes")))
        if file := object_of(found.get("file")):
            return Inside(told, totals, _file(file))
        folder = object_of(found.get("dir"))
        children = rows_of(folder.get("children"))
        if not folder:
            return None
        if children is None:
            raise _in_part(f"the folder {path!r} of {name}")
        items = tuple(
            _file(one) if one.get("__typename") == "PackageFile" else _folder(one) for one in children
        )
        return Inside(told, totals, _folder(folder), items)

    def construct(self, params: PushParams, entries: Sequence[Entry]) -> str:
        """Makes a revision of exactly these entries, whatever latest is: the stack checks nothing. The server completes a hash or
        a version that is missing. Answers the top hash. Raises StackRefused, WorkflowFailed, PermissionDenied; sent once only."""
        answer = self._graph.once(
            "PackageConstruct",
            seconds=_WRITE_SECONDS,
            params=params.told(),
            src={"entries": [_constructed(one) for one in entries]},
        ).get("packageConstruct")
        return _pushed_hash(result(answer, "PackagePushSuccess"))

    def promote(self, params: PushParams, bucket: str, name: str, top_hash: str) -> str:
        """Copies a revision of another bucket, its files too where that bucket's configuration says so. Answers the top hash.
        Raises as ``construct``."""
        source = {"bucket": bucket, "name": name, "hash": top_hash}
        answer = self._graph.once("PackagePromote", seconds=_WRITE_SECONDS, params=params.told(), src=source)
        return _pushed_hash(result(answer.get("packagePromote"), "PackagePushSuccess"))

    def delete(self, bucket: str, name: str, top_hash: str) -> None:
        """Takes one revision out of the log. Raises StackRefused, PermissionDenied; sent once only."""
        answer = self._graph.once("PackageRevisionDelete", bucket=bucket, name=name, hash=top_hash)
        result(answer.get("packageRevisionDelete"), "PackageRevisionDeleteSuccess")


def _in_part(what: str) -> StackFailed:
    return StackFailed(
        f"The Quilt stack told {what} in part only, and nothing is built on a part.",
        next_step="Try once more; if it stays so, tell an administrator of the stack.",
    )


def _package(row: Mapping[str, Any]) -> ToldPackage:
    name = text_of(row.get("name"))
    if name is None:
        raise _in_part("a package")
    latest = object_of(row.get("revision"))
    count = number_of(latest.get("totalEntries"))
    return ToldPackage(
        name,
        when(row.get("modified")),
        text_of(latest.get("hash")),
        text_of(latest.get("message")),
        latest.get("userMeta"),
        None if count is None else Totals(int(count), _size(latest.get("totalBytes"))),
    )


def _revision(name: str, found: Mapping[str, Any]) -> ToldRevision:
    top_hash, modified = text_of(found.get("hash")), when(found.get("modified"))
    if top_hash is None or not is_top_hash(top_hash) or modified is None:
        raise _in_part(f"a revision of {name}")
    count = number_of(found.get("totalEntries"))
    header = Header(object_of(found["metadata"])) if "metadata" in found else None
    return ToldRevision(name, top_hash, modified, header, None if count is None else int(count))


def _entry(name: str, logical_key: str, told: Mapping[str, Any]) -> Entry:
    physical_key, size, found = (
        text_of(told.get("physicalKey")),
        told.get("size"),
        object_of(told.get("hash")),
    )
    kind, value = text_of(found.get("type")), text_of(found.get("value"))
    if physical_key is None or kind is None or value is None or number_of(size) is None:
        raise _in_part(f"{logical_key!r} of {name}")
    if any(map(is_odd, (logical_key, physical_key, kind, value))):
        raise _in_part(f"a file of {name}")
    spelled = IntegralFloat(_size(size)) if isinstance(size, float) else _size(size)  # as the manifest has it
    return Entry(logical_key, physical_key, spelled, Hash(kind, value), object_of(told.get("meta")))


def _folders(name: str, folder: object, levels: int) -> Iterator[tuple[str, Any]]:
    """Those below a folder, each with its metadata. What is told in part would be taken for folders without any."""
    children = rows_of(object_of(folder).get("children"))
    if children is None:
        raise _in_part(f"the folders of {name}")
    for child in children:
        path = text_of(child.get("path"))
        if path is not None:
            yield path.strip("/"), child.get("metadata")
            if levels > 1:
                yield from _folders(name, child, levels - 1)


def _above(logical_key: str) -> Iterator[str]:
    """The folders that a file lies in, as deep as they are told."""
    at = logical_key.find("/")
    for _ in range(LEVELS):
        if at < 0:
            return
        yield logical_key[:at]
        at = logical_key.find("/", at + 1)


def _file(found: Mapping[str, Any]) -> ToldFile:
    path, physical_key = text_of(found.get("path")), text_of(found.get("physicalKey"))
    if path is None or physical_key is None:
        raise _in_part("a file")
    return ToldFile(
        path.strip("/"),
        _size(found.get("size")),
        physical_key,
        object_of(found.get("metadata")).get("user_meta"),
    )


def _folder(found: Mapping[str, Any]) -> ToldFolder:
    return ToldFolder(
        str(found.get("path") or "").strip("/"), _size(found.get("size")), found.get("metadata")
    )


def _size(told: object) -> int:
    """GraphQL has no integers of more than 32 bits, so sizes come as floats."""
    size = number_of(told)
    return int(size) if size is not None and size >= 0 else 0


def _constructed(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {
        "logicalKey": entry.logical_key,
        "physicalKey": entry.physical_key,
        "meta": dict(entry.meta),
    }
    if entry.size is not None:
        found["size"] = entry.size
    if entry.hash is not None:
        found["hash"] = {"type": entry.hash.type, "value": entry.hash.value}
    return found


def _pushed_hash(answer: Mapping[str, Any]) -> str:
    top_hash = text_of(object_of(answer.get("revision")).get("hash"))
    if top_hash is None or not is_top_hash(top_hash):
        raise StackFailed(
            "The Quilt stack says that the revision is made, and not which it is.",
            next_step="Call package_log to see it; do not write again before that.",
            details={"answer": json.dumps(answer)[:500]},
        )
    return top_hash
