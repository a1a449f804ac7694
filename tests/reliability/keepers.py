"""A registry in a folder or in a bucket, opened for the engine, and its objects looked at and changed without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from s3_registry import S3Registry, open_ops

from parts.s3_access import S3Access
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.ops import QuiltOps


class Keeper(Protocol):
    root: Path

    def opened(self) -> QuiltOps:
        """Anew, so that nothing read before is remembered but what the cache on disk holds."""
        ...

    def get(self, key: str) -> bytes: ...

    def set(self, key: str, content: bytes) -> None: ...

    def key_of(self, physical_key: str) -> str: ...


@dataclass(frozen=True)
class Folder:
    root: Path

    def opened(self) -> QuiltOps:
        options = Options(roots=(self.root,), writable=True, cache=self.root / "cache", cache_bytes=1 << 20)
        return LocalOps(str(self.root / "registry"), options)

    def get(self, key: str) -> bytes:
        return (self.root / "registry" / key).read_bytes()

    def set(self, key: str, content: bytes) -> None:
        (self.root / "registry" / key).write_bytes(content)

    def key_of(self, physical_key: str) -> str:
        return Path(PhysicalKey.parse(physical_key).path).relative_to(self.root / "registry").as_posix()


@dataclass(frozen=True)
class Bucket:
    """Without versions, as nobody can change one."""

    root: Path
    server: S3Access
    registry: S3Registry

    def opened(self) -> QuiltOps:
        return open_ops(self.server, self.registry.bucket, self.root)

    def get(self, key: str) -> bytes:
        return self.registry.read(key)

    def set(self, key: str, content: bytes) -> None:
        self.registry.raw.put_object(Bucket=self.registry.bucket, Key=key, Body=content)

    def key_of(self, physical_key: str) -> str:
        return PhysicalKey.parse(physical_key).path
