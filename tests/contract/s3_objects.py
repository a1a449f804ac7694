"""A bucket looked at and changed past the store: boto3 straight at the server."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


class S3Objects:
    bucket: str
    raw: Any

    def raw_set(self, key: str, content: bytes) -> None:
        self.raw.put_object(Bucket=self.bucket, Key=key, Body=content)

    def raw_get(self, key: str) -> bytes | None:
        try:
            return self.raw.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return None

    def raw_delete(self, key: str) -> None:
        self.raw.delete_object(Bucket=self.bucket, Key=key)

    def raw_keys(self, prefix: str = "") -> list[str]:
        pages = self.raw.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def snapshot(self) -> dict[str, object]:
        """Each object as one listing tells it. In a versioned bucket the same bytes written again are another version."""
        pages = self.raw.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return {
            one["Key"]: (one["VersionId"], one["ETag"], one["Size"])
            for page in pages
            for one in page.get("Versions", ())
            if one["IsLatest"]
        }

    def raw_versions(self) -> list[str]:
        """The key of each version and of each marker of a deletion."""
        found = self.raw.list_object_versions(Bucket=self.bucket)
        return [one["Key"] for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))]
