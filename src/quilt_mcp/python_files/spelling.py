"""Spellings: paths as fsspec hands them about, and the packages that they name.

fsspec cuts a path at '/' and looks for wildcards in it, so that a quilt+ URI, percent-encoded behind a '#', cannot be globbed or
joined. Inside the filesystem every path is therefore in the plain form, in which nothing is encoded:

    bucket/ns/name[@HASH|:TAG]/path/in/package        of quilt+s3
    /folder/ns/name[@HASH|:TAG]/path/in/package       of quilt+file

Either form is accepted, with the protocol before it or without.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from quilt_mcp.domain.address import PackageUri, parse_package, parse_registry
from quilt_mcp.domain.address.physical_key import PhysicalKey
from quilt_mcp.errors import RegistryNotFound

S3: Final = "quilt+s3"
FILE: Final = "quilt+file"
_REVISION: Final = re.compile(r"[\w-]+(@[0-9A-Fa-f]{6,64}|@latest|:[\w-][\w.-]{0,63})")
_PINNED: Final = re.compile(r"@[0-9a-f]{64}(/|\Z)")
_OWN: Final = (".quilt/named_packages", ".quilt/packages")


@dataclass(frozen=True, slots=True)
class Spelled:
    """What a plain path names. ``stem`` is its part up to and with the package, as it was written; ``package`` has the path in
    it, without a '/' at its end. Above a package ``package`` is None, and ``namespace`` '' or its first half."""

    stem: str
    registry: str
    namespace: str = ""
    package: PackageUri | None = None

    @property
    def key(self) -> str:
        return (self.package.path or "") if self.package else ""

    def spell(self, key: str) -> str:
        """The plain path of a file or folder of the same package, spelled alike."""
        return f"{self.stem}/{key.rstrip('/')}" if key else self.stem


def plain(path: str, protocol: str) -> str:
    """The plain form of a path in either form, without a '/' at its end. Asks nobody. Raises InvalidUri, InvalidName for a URI
    that is none."""
    head = f"{protocol}://"
    text = path[len(head) :] if path[: len(head)].lower() == head else path
    if not _is_uri(text, protocol):
        rest = text.rstrip("/")
        return rest if protocol == S3 else f"/{rest.lstrip('/')}"
    package = PackageUri.parse(head + text)
    return f"{_root(package.registry)}/{package.spelling}".rstrip("/")


def _is_uri(text: str, protocol: str) -> bool:
    """Whether it is a URI with its '#package=', and not a plain path with a '#' in a name."""
    base, _, fragment = text.partition("#")
    if not any(part.startswith("package=") for part in fragment.split("&")):
        return False
    if protocol == S3:
        return "/" not in base.rstrip("/")
    if _PINNED.search(base) is not None:
        return False
    parts = unquote(base).strip("/").split("/")
    return os.path.isdir("/" + "/".join(parts)) or not any(
        map(_is_registry, (parts[:at] for at in range(len(parts))))
    )


def _root(registry: str) -> str:
    key = PhysicalKey.parse(registry)
    return key.bucket or key.path.rstrip("/")


def read(path: str, protocol: str) -> Spelled:
    """What a plain path names. Of a folder's registry it looks where there is one: the package stands after the deepest folder
    that is a registry, or after the one before which a revision is named. Raises InvalidUri, InvalidName, RegistryNotFound."""
    if protocol == S3:
        bucket, _, rest = path.partition("/")
        return _spelled(bucket, parse_registry(f"s3://{bucket}"), rest)
    parts = path.strip("/").split("/")
    at = _end_of_registry(parts)
    if at is None:
        raise RegistryNotFound(f"No folder of {path} is a registry: none holds .quilt/named_packages.")
    folder = "/" + "/".join(parts[:at])
    return _spelled(folder.rstrip("/"), parse_registry(folder), "/".join(parts[at:]))


def _spelled(root: str, registry: str, rest: str) -> Spelled:
    namespace, _, inside = rest.partition("/")
    if not inside:
        return Spelled(f"{root}/{namespace}" if namespace else root, registry, namespace)
    package = parse_package(rest, registry)
    path = (package.path or "").rstrip("/") or None
    stem = f"{root}/{namespace}/{inside.partition('/')[0]}"
    return Spelled(stem, registry, namespace, replace(package, path=path))


def _end_of_registry(parts: list[str]) -> int | None:
    """How many parts of a local path name the registry's folder; None: there is none."""
    for at in range(1, len(parts) - 1):
        if _REVISION.fullmatch(parts[at + 1]) and _is_registry(parts[:at]):
            return at
    for at in range(len(parts), -1, -1):
        if _is_registry(parts[:at]):
            return at
    return None


def _is_registry(parts: list[str]) -> bool:
    folder = "/" + "/".join(parts)
    return any(os.path.isdir(os.path.join(folder, own)) for own in _OWN)
