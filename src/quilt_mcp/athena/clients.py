"""The boto3 client of Athena that signs with given keys, made as those of S3 are: nothing of the environment is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from quilt_mcp.environment import proxy_before
from quilt_mcp.storage.s3.clients import DEFAULT_REGION, KeySource

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 30.0
_ATTEMPTS: Final = 3
_STATIC_KEYS_LAST: Final = timedelta(days=365)


def athena_client(
    keys: KeySource,
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    ca_bundle: str | None = None,
) -> Any:
    """Blocks: on botocore's import and models at first, and on ``keys``. Safe to share between threads."""
    session = import_module("botocore.session").Session(session_vars={"profile": (None, None, None, None)})

    def metadata() -> dict[str, str | None]:
        now = keys()
        expires = now.expires or datetime.now(UTC) + _STATIC_KEYS_LAST
        return {
            "access_key": now.access_key,
            "secret_key": now.secret_key,
            "token": now.token,
            "expiry_time": expires.isoformat(),
        }

    refreshable = import_module("botocore.credentials").RefreshableCredentials
    session._credentials = refreshable.create_from_metadata(metadata(), metadata, "quilt-mcp")
    region = region or DEFAULT_REGION
    url = endpoint_url or f"https://athena.{region}.amazonaws.com"
    proxy = proxy_before(url)
    config = import_module("botocore.config").Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        proxies={} if proxy is None else {urlsplit(url).scheme: proxy},
        ignore_configured_endpoint_urls=True,
    )
    boto = import_module("boto3").Session(botocore_session=session)
    return boto.client(
        "athena", region_name=region, endpoint_url=endpoint_url, verify=ca_bundle, config=config
    )
