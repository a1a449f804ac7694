"""A registry in a bucket, opened for the engine through the proxy and looked at past it, without the engine."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.exceptions import ClientError

from parts.iam_ops import iam_ops
from parts.s3_access import S3Access
from quilt_mcp.ops import QuiltOps

NAME = "a/b"
_PART = 8 << 20


def open_ops(server: S3Access, bucket: str, root: Path) -> QuiltOps:
    """``root``: its cache; local sources lie in it or beside it."""
    return iam_ops(server, bucket, roots=(root.parent,), cache=root / "cache")


@dataclass(frozen=True)
class S3Registry:
    raw: Any
    """boto3, straight at the server."""
    bucket: str

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.raw.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def read(self, key: str, version: str | None = None) -> bytes:
        given = {"VersionId": version} if version else {}
        return self.raw.get_object(Bucket=self.bucket, Key=key, **given)["Body"].read()

    def pointers(self, name: str = NAME) -> dict[str, str]:
        prefix = f".quilt/named_packages/{name}/"
        return {key.removeprefix(prefix): self.read(key).decode() for key in self.keys(prefix)}

    def latest(self, name: str = NAME) -> str | None:
        return self.pointers(name).get("latest")

    def log(self, name: str = NAME) -> list[str]:
        """Top hashes, oldest first."""
        stamps = [(int(tag), top_hash) for tag, top_hash in self.pointers(name).items() if tag != "latest"]
        return [top_hash for _, top_hash in sorted(stamps)]

    def files(self, top_hash: str) -> dict[str, bytes]:
        """The contents of a revision, each held against its recorded size and hash."""
        found: dict[str, bytes] = {}
        header, *lines = self.read(f".quilt/packages/{top_hash}").splitlines()
        assert json.loads(header)["version"] == "v0"
        for line in lines:
            record = json.loads(line)
            parts = urlsplit(record["physical_keys"][0])
            assert parts.netloc == self.bucket
            version = parse_qs(parts.query).get("versionId", [None])[0]
            content = self.read(unquote(parts.path[1:]), version)
            assert len(content) == record["size"]
            assert record["hash"] == {"type": "sha2-256-chunked", "value": chunked(content)}
            found[record["logical_key"]] = content
        return found

    def check(self) -> None:
        """Every pointer holds a whole hash of a manifest that is there, whole, and whose files are there, whole."""
        tags = self.pointers()
        for tag, top_hash in tags.items():
            assert tag == "latest" or (tag.isdigit() and len(tag) == 10), tag
            assert len(top_hash) == 64, (tag, top_hash)
            self.files(top_hash)
        if "latest" in tags:
            assert tags["latest"] in self.log(), "latest stands in no line of the log"

    def uploads(self) -> list[str]:
        """Multipart uploads that nobody finished or aborted."""
        return [
            item["Key"] for item in self.raw.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        ]

    def is_there(self, key: str) -> bool:
        try:
            self.raw.head_object(Bucket=self.bucket, Key=key)
        except ClientError:
            return False
        return True


def chunked(content: bytes) -> str:
    """The sha2-256-chunked hash of up to 80 GB."""
    parts = [content[start : start + _PART] for start in range(0, len(content), _PART)]
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return base64.b64encode(hashlib.sha256(digests).digest()).decode()
