"""Paths of this machine: absolute, below the home folder, or relative to the first root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from quilt_mcp.domain.address.physical_key import PhysicalKey
from quilt_mcp.domain.address.url import file_url, folded, has_scheme, lower_scheme, shown
from quilt_mcp.errors import InvalidUri


def is_path(text: str) -> bool:
    """Whether it can be nothing else than a path: it begins with '/', '~', '.' or '..'."""
    return text[:1] in ("/", "~") or text in (".", "..") or text.startswith(("./", "../"))


def below_root(text: str, root: Path | None) -> str:
    """The file: URL of a path, a relative one taken from ``root``. A '/' at the end stays, as it says that a folder is meant.

    Raises InvalidUri for a '..' part, and for a relative path where there is no root.
    """
    path = os.path.expanduser(text)
    if not path.startswith("/"):
        if root is None:
            raise InvalidUri(
                f"{shown(text)} is a relative path, and this server has no root that it could be relative to.",
                next_step="Write the absolute path; status tells which folders may be used, and how to add one with --root.",
                details={"path": shown(text)},
            )
        path = f"{root}/{path}"
    is_folder = path.endswith(("/", "/."))
    url = file_url(folded(text, path, _refuse).rstrip("/") or "/")
    return f"{url}/" if is_folder and not url.endswith("/") else url


def parse_folder(text: str) -> str:
    """The path of a local folder that a caller names: a path as it is, or a file: URL. Raises InvalidUri for any other scheme,
    and for nothing at all."""
    stripped = lower_scheme(text.strip())
    if stripped.startswith("file:"):
        return PhysicalKey.parse(stripped).path
    if not stripped:
        raise InvalidUri(
            "The folder is empty.", next_step="Name a local folder, such as ./data or file:///folder."
        )
    if has_scheme(stripped):
        raise InvalidUri(
            f"{shown(stripped)} is no local folder.",
            next_step="Name a folder of this machine, as a path or file:///folder. package_copy with to_registry=s3://bucket "
            "brings a package into a bucket, object_put a single object.",
            details={"dest": shown(stripped)},
        )
    return text


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{shown(text)} is not a path that can be used: {why}.",
        next_step="Write the path without '..', or as file:///absolute/path.",
        details={"path": shown(text)},
    )
