"""A bucket of packages that changes under its catalog. What is written there is known, and goes past the proxy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scan import Package, packages_at_random

from parts.manifests import true_hash


class HeldBucket:
    """``packages``: what the latest revisions are, by name. ``raw``: a boto3 client."""

    def __init__(self, raw: Any, bucket: str) -> None:
        self.raw = raw
        self.bucket = bucket
        self.url = f"s3://{bucket}"
        self.packages: dict[str, Package] = {}
        self._pushes = 0

    def put(self, key: str, body: bytes) -> str:
        done = self.raw.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"{self.url}/{key}?versionId={done['VersionId']}"

    def push(self, *wanted: Package) -> None:
        """Writes what quilt3 would; of the files only the README is there."""
        for one in wanted:
            entries: list[dict[str, Any]] = []
            for file in one.files:
                text = one.readme.encode() if file.path == "README.md" else None
                key = f"{one.name}/{file.path}"
                entries.append(
                    {
                        "logical_key": file.path,
                        "physical_keys": [self.put(key, text) if text is not None else f"{self.url}/{key}"],
                        "size": file.size,
                        "hash": {
                            "type": "SHA256",
                            "value": hashlib.sha256(text or file.path.encode()).hexdigest(),
                        },
                        "meta": {"user_meta": dict(file.meta)} if file.meta else {},
                    }
                )
            header: dict[str, Any] = {"version": "v0", "message": one.message}
            if one.meta is not None:
                header["user_meta"] = dict(one.meta)
            top_hash = self.write(one.name, header, entries)
            self.packages[one.name] = replace(one, top_hash=top_hash)

    def write(self, name: str, header: Mapping[str, Any], entries: list[dict[str, Any]]) -> str:
        ordered = sorted(entries, key=lambda one: one["logical_key"].split("/"))
        body = b"".join(json.dumps(one).encode() + b"\n" for one in [dict(header), *ordered])
        top_hash = true_hash(body)
        self.put(f".quilt/packages/{top_hash}", body)
        self.point(name, top_hash)
        return top_hash

    def point(self, name: str, top_hash: str) -> None:
        self._pushes += 1
        self.put(f".quilt/named_packages/{name}/{1_700_000_000 + self._pushes}", top_hash.encode())
        self.put(f".quilt/named_packages/{name}/latest", top_hash.encode())

    def push_at_random(self, seed: int, count: int) -> None:
        self.push(*packages_at_random(seed, count))

    def delete(self, name: str) -> None:
        found = self.raw.list_objects_v2(Bucket=self.bucket, Prefix=f".quilt/named_packages/{name}/")
        for one in found["Contents"]:
            self.raw.delete_object(Bucket=self.bucket, Key=one["Key"])
        del self.packages[name]
