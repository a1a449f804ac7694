"""What an HTTP request asks of S3: operation, bucket and key, told from the request line and headers alone (path style)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

READS = ("Get", "Head", "List", "Select")
"""Whatever does not begin with one of these changes something."""

ONE_KEY_WRITES = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"})

_SUBRESOURCES = {
    "acl": "Acl",
    "tagging": "Tagging",
    "versioning": "Versioning",
    "location": "Location",
    "policy": "Policy",
    "lifecycle": "Lifecycle",
    "cors": "Cors",
    "encryption": "Encryption",
    "object-lock": "ObjectLock",
    "notification": "Notification",
    "requestPayment": "RequestPayment",
    "publicAccessBlock": "PublicAccessBlock",
    "ownershipControls": "OwnershipControls",
}
_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    operation: str
    """S3's own name of the operation: ``PutObject``, ``ListObjectsV2``; ``Service`` for anything at the root but a GET (STS)."""
    bucket: str
    key: str
    query: Mapping[str, str]

    @property
    def mutates(self) -> bool:
        return not self.operation.startswith(READS) and self.operation != "Service"

    @property
    def writes_one_key(self) -> bool:
        return self.operation in ONE_KEY_WRITES


def classify(method: str, target: str, headers: Mapping[str, str]) -> Call:
    """``headers`` with lower-case names."""
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    bucket, _, key = parts.path.lstrip("/").partition("/")
    bucket, key = unquote(bucket), unquote(key)
    if not bucket:
        operation = "ListBuckets" if method == "GET" else "Service"
    elif not key:
        operation = _bucket_operation(method, query)
    else:
        operation = _object_operation(method, query, headers)
    return Call(method, operation, bucket, key, query)


def _subresource(method: str, query: Mapping[str, str], noun: str) -> str | None:
    for name, word in _SUBRESOURCES.items():
        if name in query:
            return f"{_VERBS.get(method, method.title())}{noun}{word}"
    return None


def _bucket_operation(method: str, query: Mapping[str, str]) -> str:
    named = _subresource(method, query, "Bucket")
    if named:
        return named
    match method:
        case "GET" if "versions" in query:
            return "ListObjectVersions"
        case "GET" if "uploads" in query:
            return "ListMultipartUploads"
        case "GET":
            return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
        case "PUT":
            return "CreateBucket"
        case "POST":
            return "DeleteObjects" if "delete" in query else "PostObject"
        case _:
            return f"{_VERBS.get(method, method.title())}Bucket"


def _object_operation(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    named = _subresource(method, query, "Object")
    if named:
        return named
    copies = "x-amz-copy-source" in headers
    match method:
        case "GET" if "attributes" in query:
            return "GetObjectAttributes"
        case "GET" if "uploadId" in query:
            return "ListParts"
        case "PUT" if "uploadId" in query:
            return "UploadPartCopy" if copies else "UploadPart"
        case "PUT":
            return "CopyObject" if copies else "PutObject"
        case "POST" if "uploads" in query:
            return "CreateMultipartUpload"
        case "POST" if "uploadId" in query:
            return "CompleteMultipartUpload"
        case "POST" if "restore" in query:
            return "RestoreObject"
        case "POST" if "select" in query:
            return "SelectObjectContent"
        case "DELETE" if "uploadId" in query:
            return "AbortMultipartUpload"
        case _:
            return f"{_VERBS.get(method, method.title())}Object"
