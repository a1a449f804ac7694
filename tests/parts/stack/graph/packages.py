"""Packages, their revisions and what is in them; creating, promoting and deleting through quilt3."""

from __future__ import annotations

import fnmatch
import functools
from typing import Any

from graphql import GraphQLError
from quilt3.packages import Package, PackageEntry
from quilt3.util import QuiltException

from parts.stack.graph.asking import Asking, invalid_input, operation_error
from parts.stack.graph.session import signed_in
from parts.stack.holdings import FAILURES, Failure, Pointer, failure_of
from parts.stack.state import moment


def packages(info: Any, bucket: str, filter: str | None = None) -> dict[str, Any] | None:
    asking: Asking = info.context
    if not asking.reads(bucket):
        return None
    names = asking.holdings.names(bucket)
    if filter:
        wanted = filter.lower() if any(letter in filter for letter in "*?") else f"*{filter.lower()}*"
        names = [name for name in names if fnmatch.fnmatchcase(name.lower(), wanted)]
    return {
        "total": len(names),
        "page": lambda info, number, perPage, order: _page(
            _ordered(asking, bucket, names, order), number, perPage
        ),
    }


def _ordered(asking: Asking, bucket: str, names: list[str], order: str) -> list[dict[str, Any]]:
    found = [one for name in names if (one := of_name(asking, bucket, name))]
    return found if order != "MODIFIED" else sorted(found, key=lambda one: one["modified"], reverse=True)


def _page(items: list[Any], number: int | None, size: int | None) -> list[Any]:
    number, size = 1 if number is None else number, 30 if size is None else size
    if number < 1 or size < 1:
        raise GraphQLError("a page has a number and a size from 1 on")
    return items[(number - 1) * size : number * size]


def package(info: Any, bucket: str, name: str) -> dict[str, Any] | None:
    asking: Asking = info.context
    return of_name(asking, bucket, name) if asking.reads(bucket) else None


def of_name(asking: Asking, bucket: str, name: str) -> dict[str, Any] | None:
    latest, pointers = asking.holdings.pointers(bucket, name)
    if latest is None or not pointers:
        return None
    return {
        "__typename": "Package",
        "bucket": bucket,
        "name": name,
        "modified": moment(pointers[0].timestamp),
        "revisions": {
            "total": len(pointers),
            "page": lambda info, number, perPage: [
                revision(asking, bucket, name, pointer) for pointer in _page(pointers, number, perPage)
            ],
        },
        "revision": lambda info, hashOrTag: _revision(asking, bucket, name, hashOrTag or "latest"),
        "accessCounts": None,
    }


def _revision(asking: Asking, bucket: str, name: str, hash_or_tag: str) -> dict[str, Any] | None:
    pointer = asking.holdings.find(bucket, name, hash_or_tag)
    return None if pointer is None else revision(asking, bucket, name, pointer)


def revision(asking: Asking, bucket: str, name: str, pointer: Pointer) -> dict[str, Any]:
    def whole() -> Package:
        return asking.holdings.package(bucket, name, pointer.top_hash)

    def header(field: str) -> Any:
        return lambda info: whole()._meta.get(field)

    return {
        "__typename": "PackageRevision",
        "hash": pointer.top_hash,
        "modified": moment(pointer.timestamp),
        "message": header("message"),
        "metadata": lambda info: whole()._meta,
        "userMeta": header("user_meta"),
        "workflow": lambda info: _workflow(whole()._meta.get("workflow")),
        "totalEntries": lambda info: sum(1 for _ in whole().walk()),
        "totalBytes": lambda info: float(sum(entry.size for _, entry in whole().walk())),
        "dir": lambda info, path: _dir(whole(), path.strip("/")),
        "file": lambda info, path: _file(whole(), path.strip("/")),
        "accessCounts": None,
        "contentsFlatMap": lambda info, max: _flat_map(whole(), 1000 if max is None else max),
    }


def _workflow(kept: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if kept is None else {"config": kept["config"], "id": kept["id"]}


def _inside(whole: Package, path: str) -> Package | PackageEntry | None:
    try:
        return whole[path] if path else whole
    except (KeyError, QuiltException):
        return None


def _size(inside: Package) -> int:
    return sum(entry.size for _, entry in inside.walk())


def _as_file(path: str, entry: PackageEntry) -> dict[str, Any]:
    place = str(entry.physical_key)
    return {
        "__typename": "PackageFile",
        "path": path,
        "metadata": entry._meta,
        "size": entry.size,
        "physicalKey": place,
    }


def _as_dir(path: str, inside: Package) -> dict[str, Any]:
    return {
        "__typename": "PackageDir",
        "path": path,
        "metadata": inside._meta.get("user_meta") if path else inside._meta,
        "size": _size(inside),
        "children": functools.partial(_children, inside, path),
    }


def _children(inside: Package, path: str, info: Any) -> list[dict[str, Any]]:
    found = []
    for name in sorted(inside._children):
        child, place = inside._children[name], f"{path}/{name}" if path else name
        found.append(_as_dir(place, child) if isinstance(child, Package) else _as_file(place, child))
    return found


def _dir(whole: Package, path: str) -> dict[str, Any] | None:
    inside = _inside(whole, path)
    return _as_dir(path, inside) if isinstance(inside, Package) else None


def _file(whole: Package, path: str) -> dict[str, Any] | None:
    inside = _inside(whole, path)
    return _as_file(path, inside) if isinstance(inside, PackageEntry) else None


def _flat_map(whole: Package, most: int) -> dict[str, Any] | None:
    found = {
        logical_key: {
            "physicalKey": str(entry.physical_key),
            "size": entry.size,
            "hash": entry.hash,
            "meta": entry._meta,
        }
        for logical_key, entry in whole.walk()
    }
    return found if len(found) <= most else None


def _may_write(asking: Asking, bucket: str) -> None:
    signed_in(asking)
    if not asking.writes(bucket):
        raise Failure("Forbidden", f"You may not write to {bucket}")


def _pushed(asking: Asking, params: dict[str, Any], top_hash: str) -> dict[str, Any]:
    bucket, name = params["bucket"], params["name"]
    return {
        "__typename": "PackagePushSuccess",
        "package": of_name(asking, bucket, name),
        "revision": _revision(asking, bucket, name, top_hash),
    }


def construct(info: Any, params: dict[str, Any], src: dict[str, Any]) -> dict[str, Any]:
    asking: Asking = info.context
    if params.get("message") == "":
        return operation_error(Failure("InvalidInputParameters", "message: must not be empty"))
    try:
        _may_write(asking, params["bucket"])
        top_hash = asking.holdings.construct(params, src["entries"])
    except FAILURES as error:
        return operation_error(failure_of(error))
    return _pushed(asking, params, top_hash)


def promote(
    info: Any, params: dict[str, Any], src: dict[str, Any], destPrefix: str | None = None
) -> dict[str, Any]:
    asking: Asking = info.context
    if not asking.reads(src["bucket"]):
        return invalid_input("src.bucket", "BucketNotFound", f"there is no bucket {src['bucket']}")
    try:
        _may_write(asking, params["bucket"])
        top_hash = asking.holdings.promote(params, src, destPrefix)
    except AssertionError:
        raise GraphQLError("Internal Server Error") from None
    except FAILURES as error:
        return operation_error(failure_of(error))
    return _pushed(asking, params, top_hash)


def delete(info: Any, bucket: str, name: str, hash: str) -> dict[str, Any]:
    asking: Asking = info.context
    try:
        _may_write(asking, bucket)
        if asking.holdings.find(bucket, name, hash) is None:
            raise Failure("NotFound", f"there is no revision {hash} of {name}")
        asking.holdings.delete_revision(bucket, name, hash)
    except FAILURES as error:
        return operation_error(failure_of(error))
    return {"__typename": "PackageRevisionDeleteSuccess"}


ROOT = {
    "packages": packages,
    "package": package,
    "packageConstruct": construct,
    "packagePromote": promote,
    "packageRevisionDelete": delete,
}
