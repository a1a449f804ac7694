"""Where the same packages are kept by quilt3 and by us: a folder, or a bucket of a real S3 server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import quilt3

from parts.iam_ops import iam_ops
from parts.s3_access import S3Access
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import parse_registry
from quilt_mcp.ops import QuiltOps


class Place(Protocol):
    """An empty registry. ``folder`` may be read from and installed into."""

    folder: Path

    @property
    def url(self) -> str: ...

    def open_ops(self, *roots: Path) -> QuiltOps: ...

    def manifest(self, top_hash: str) -> bytes:
        """As it lies there."""
        ...

    def publish(self, package: quilt3.Package, name: str, message: str | None) -> tuple[quilt3.Package, str]:
        """By quilt3: the package as it was published, and its top hash."""
        ...


@dataclass(frozen=True)
class LocalPlace:
    folder: Path

    @property
    def url(self) -> str:
        return parse_registry(str(self.folder / "registry"))

    def open_ops(self, *roots: Path) -> QuiltOps:
        options = Options(
            roots=(self.folder, *roots), writable=True, cache=self.folder / "cache", cache_bytes=1 << 26
        )
        return LocalOps(self.url, options)

    def manifest(self, top_hash: str) -> bytes:
        return (self.folder / "registry" / ".quilt" / "packages" / top_hash).read_bytes()

    def publish(self, package: quilt3.Package, name: str, message: str | None) -> tuple[quilt3.Package, str]:
        """The bytes stay where they are."""
        return package, package.build(name, self.url, message)


@dataclass(frozen=True)
class BucketPlace:
    folder: Path
    server: S3Access
    bucket: str
    raw: Any
    """boto3, straight at the server."""

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def open_ops(self, *roots: Path) -> QuiltOps:
        return iam_ops(self.server, self.bucket, roots=(self.folder, *roots), cache=self.folder / "cache")

    def manifest(self, top_hash: str) -> bytes:
        return self.raw.get_object(Bucket=self.bucket, Key=f".quilt/packages/{top_hash}")["Body"].read()

    def publish(self, package: quilt3.Package, name: str, message: str | None) -> tuple[quilt3.Package, str]:
        pushed = package.push(name, self.url, message=message, force=True)
        return pushed, pushed.top_hash
