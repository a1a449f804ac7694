"""The IAM backend on one of the test servers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from parts.s3_access import S3Access as Server
from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.options import Options
from quilt_mcp.storage.s3.clients import AwsKeys


def iam_ops(
    server: Server,
    bucket: str,
    *,
    roots: tuple[Path, ...],
    cache: Path,
    writable: bool = True,
    allowed: Collection[str] | None = None,
) -> IamOps:
    keys = AwsKeys(server.access_key, server.secret_key, server.session_token)
    options = Options(
        roots=roots,
        writable=writable,
        cache=cache,
        cache_bytes=1 << 24,
        allowed=None if allowed is None else frozenset(allowed),
    )
    return IamOps(S3Access(lambda: keys, server.region, server.url), f"s3://{bucket}", options)
