"""The packages and objects of the stack's buckets: read and written by quilt3, on the S3 of the tests."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3
import quilt3
from botocore.config import Config
from botocore.exceptions import ClientError
from quilt3.packages import Package, PackageEntry
from quilt3.util import PhysicalKey, QuiltException
from quilt3.workflows import WorkflowValidationError


@dataclass(frozen=True)
class Failure(Exception):
    """Becomes an OperationError."""

    name: str
    message: str
    context: dict[str, Any] | None = None


@dataclass(frozen=True)
class Pointer:
    timestamp: int
    top_hash: str


@dataclass(frozen=True)
class StoredObject:
    bucket: str
    key: str
    version: str
    size: int
    modified: float
    is_deleted: bool


class Holdings:
    def __init__(self) -> None:
        self.s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=20))
        self.writing = threading.Lock()
        self.browsing = threading.Lock()
        self._texts: dict[tuple[str, str, str], str] = {}

    # reading

    def names(self, bucket: str) -> list[str]:
        try:
            return sorted(quilt3.list_packages(f"s3://{bucket}"))
        except ClientError:
            return []  # the bucket is gone

    def pointers(self, bucket: str, name: str) -> tuple[str | None, list[Pointer]]:
        """The latest top hash, and the revisions, newest first; both empty where there is no such package."""
        latest, found = None, []
        try:
            for tag, top_hash in quilt3.list_package_versions(name, f"s3://{bucket}"):
                if tag == "latest":
                    latest = top_hash
                elif tag.isdigit():
                    found.append(Pointer(int(tag), top_hash))
        except (ClientError, QuiltException):
            return None, []
        return latest, sorted(found, key=lambda pointer: -pointer.timestamp)

    def find(self, bucket: str, name: str, hash_or_tag: str) -> Pointer | None:
        """A whole hash, the beginning of just one, a tag, or a timestamp."""
        latest, pointers = self.pointers(bucket, name)
        if hash_or_tag == "latest":
            wanted = {latest}
        elif any(str(pointer.timestamp) == hash_or_tag for pointer in pointers):
            wanted = {pointer.top_hash for pointer in pointers if str(pointer.timestamp) == hash_or_tag}
        else:
            wanted = {one.top_hash for one in pointers if one.top_hash.startswith(hash_or_tag)}
        if len(wanted) != 1:
            return None
        top_hash = wanted.pop()
        return next((pointer for pointer in pointers if pointer.top_hash == top_hash), None)

    @functools.lru_cache(maxsize=256)  # noqa: B019  one of these lives as long as the process
    def package(self, bucket: str, name: str, top_hash: str) -> Package:
        return self.browse(bucket, name, top_hash)

    def browse(self, bucket: str, name: str, top_hash: str) -> Package:
        """One at a time: two threads of quilt3's that bring one manifest take the same unfinished file for it."""
        with self.browsing:
            return Package.browse(name, f"s3://{bucket}", top_hash=top_hash)

    def objects(self, bucket: str) -> Iterator[StoredObject]:
        """The newest state of each, deleted ones too; those of the registry itself left out."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        try:
            for page in pages:
                for kind in ("Versions", "DeleteMarkers"):
                    for one in page.get(kind, ()):
                        if one["IsLatest"] and not one["Key"].startswith(".quilt/"):
                            modified: datetime = one["LastModified"]
                            yield StoredObject(
                                bucket,
                                one["Key"],
                                one["VersionId"],
                                one.get("Size", 0),
                                modified.timestamp(),
                                kind == "DeleteMarkers",
                            )
        except ClientError:
            return

    def text(self, one: StoredObject, most: int = 100_000) -> str:
        """What is indexed of an object's content."""
        place = (one.bucket, one.key, one.version)
        if place not in self._texts:
            wanted = one.key.endswith((".txt", ".md", ".csv", ".tsv", ".json", ".rst", ".py"))
            if not wanted or one.is_deleted or not one.size:
                return ""
            version = {} if one.version == "null" else {"VersionId": one.version}
            try:
                answer = self.s3.get_object(
                    Bucket=one.bucket, Key=one.key, Range=f"bytes=0-{most - 1}", **version
                )
            except ClientError:
                return ""
            self._texts[place] = answer["Body"].read().decode("utf-8", "replace")
        return self._texts[place]

    # writing

    def construct(self, params: dict[str, Any], entries: list[dict[str, Any]]) -> str:
        package = Package()
        for entry in entries:
            try:
                place = PhysicalKey.from_url(entry["physicalKey"])
            except ValueError as error:
                raise Failure(
                    "InvalidS3PhysicalKey", str(error), {"physical_key": entry["physicalKey"]}
                ) from None
            if place.is_local():
                raise Failure(
                    "InvalidLocalPhysicalKey",
                    "a physical key must be on S3",
                    {"physical_key": entry["physicalKey"]},
                )
            size = entry.get("size")
            size = None if size is None else int(size)
            if size is None or place.version_id is None or entry.get("hash") is None:
                size = self._completed(place, size)
            package._set(
                entry["logicalKey"], PackageEntry(place, size, entry.get("hash"), entry.get("meta") or {})
            )
        if params.get("userMeta") is not None:
            package.set_meta(params["userMeta"])
        registry = f"s3://{params['bucket']}"
        with self.writing:
            return package.build(
                params["name"], registry, params.get("message"), workflow=workflow_of(params)
            )

    def _completed(self, place: PhysicalKey, size: int | None) -> int:
        """Asks S3 what was left out; the version is set in ``place``."""
        asked = {"VersionId": place.version_id} if place.version_id else {}
        try:
            head = self.s3.head_object(Bucket=place.bucket, Key=place.path, **asked)
        except ClientError as error:
            raise Failure("FailedToFetchObjectMetadata", str(error), {"physical_key": str(place)}) from None
        if place.version_id is None and head.get("VersionId", "null") != "null":
            place.version_id = head["VersionId"]
        return head["ContentLength"] if size is None else size

    def promote(self, params: dict[str, Any], source: dict[str, Any], prefix: str | None) -> str:
        """From a bucket without a workflow configuration it dies, as the real one does."""
        from quilt3.backends import get_package_registry

        package = self.browse(source["bucket"], source["name"], source["hash"])
        config = get_package_registry(f"s3://{source['bucket']}").get_workflow_config()
        assert config is not None
        destination = f"s3://{params['bucket']}"
        successors = config.config.get("successors") or {}
        successor = successors.get(destination)
        if successor is None:
            raise Failure("InvalidSuccessor", f"{destination} is no successor", {"successor": destination})
        if params.get("userMeta") is None:
            package._meta.pop("user_meta", None)
        else:
            package.set_meta(params["userMeta"])
        copies = successor.get("copy_data", True)
        place = {} if prefix is None else {"dest": f"{destination}/{prefix.strip('/')}"}
        with self.writing:
            pushed = package.push(
                params["name"],
                destination,
                message=params.get("message"),
                selector_fn=lambda *_: copies,
                workflow=workflow_of(params),
                force=True,
                **place,
            )
        return pushed.top_hash

    def delete_revision(self, bucket: str, name: str, top_hash: str) -> None:
        with self.writing:
            quilt3.delete_package(name, registry=f"s3://{bucket}", top_hash=top_hash)


def workflow_of(params: dict[str, Any]) -> Any:
    """``null`` is the bucket's own choice, an empty one none."""
    given = params.get("workflow")
    return ... if given is None else given or None


FAILURES = (Failure, QuiltException, WorkflowValidationError, ClientError)


def failure_of(error: Exception) -> Failure:
    """As the stack's lambda names what goes wrong."""
    match error:
        case Failure():
            return error
        case WorkflowValidationError():
            return Failure("WorkflowValidationError", str(error))
        case QuiltException():
            return Failure("QuiltException", str(error))
        case ClientError():
            said = error.response["Error"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            context = {
                "status_code": status,
                "error_code": said["Code"],
                "error_message": said.get("Message", ""),
            }
            return Failure("AWSError", str(error), context)
    raise error
