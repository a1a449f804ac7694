"""Storage options: the settings of this project that a reader of files may give, by their names in ``quilt_mcp.option``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from quilt_mcp.config import Settings
from quilt_mcp.errors import InvalidArgument

GIVEN: Final = (
    "allowed_buckets",
    "anonymous",
    "api_key_file",
    "backend",
    "cache_bytes",
    "cache_dir",
    "catalog_url",
    "disable_quilt3_session",
    "requester_pays",
    "require_auth",
    "roots",
    "s3_proxy",
    "through_stack",
)
_OF_FSSPEC: Final = frozenset(
    {"asynchronous", "batch_size", "listings_expiry_time", "loop", "max_paths", "use_listings_cache"}
)
"""What callers give any filesystem; it has no meaning here."""


def check(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that count. Raises InvalidArgument for any other: what is not understood must not be passed over."""
    unknown = [name for name in options if name not in GIVEN and name not in _OF_FSSPEC]
    if "anon" in unknown:
        raise InvalidArgument(
            "'anon' is s3fs's word.", next_step="Give anonymous=True for unsigned requests."
        )
    if unknown:
        raise InvalidArgument(
            f"{unknown[0]!r} is no storage option of quilt files; those are {', '.join(GIVEN)}.",
            next_step="Profiles, keys and endpoints of AWS are taken from the environment (AWS_PROFILE, AWS_ENDPOINT_URL), "
            "tokens from QUILT_API_KEY: options are written to disk and sent to other machines with a task.",
        )
    return {name: value for name, value in options.items() if name in GIVEN}


def settings_for(registry: str, options: Mapping[str, Any]) -> Settings:
    """Of the environment and ``options``, read-only. A bucket is opened by whatever the one decision finds; a folder asks for no
    identity, unless a backend is named. Raises InvalidArgument."""
    flags: dict[str, Any] = dict(options) | {"default_registry": registry, "allow_write": False}
    for name in ("roots", "allowed_buckets"):
        if isinstance(flags.get(name), (list, tuple)):
            parts = [str(one) for one in flags[name]]
            flags[name] = parts if name == "roots" else ",".join(parts)
    settings = Settings.load(os.environ, flags)
    if registry.startswith("file:") and settings.backend is None:
        return replace(settings, backend="local")
    return settings
