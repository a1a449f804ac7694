"""Addresses: quilt+ URIs of packages, physical keys of objects, URLs of registries.

Grammar (percent rules of quilt: the fragment is a query string, values percent-encoded UTF-8):

    quilt+s3://BUCKET#package=NS/NAME[@HASH|:TAG][&path=LOGICAL_KEY][&catalog=HOST]
    quilt+file:///FOLDER#package=...
    s3://BUCKET/KEY[?versionId=V]        file:///ABSOLUTE/PATH

As in Quilt's catalog, '+' in a value means a space and a '%' that no two hex digits follow means itself; what is
written here escapes both, and leaves '/' readable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, NoReturn, Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, unquote_plus, urlencode, urlsplit

from quilt_mcp.domain.names import encodable, validate_logical_key, validate_package_name
from quilt_mcp.errors import InvalidName, InvalidUri

_EXAMPLE: Final = "quilt+s3://bucket#package=namespace/name@hash&path=data/table.csv"
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_HASH: Final = re.compile(r"[0-9a-f]{6,64}")
_TAG: Final = re.compile(r"[\w-][\w.-]{0,63}")
_CATALOG: Final = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?")
_UNFOLDED: Final = re.compile(r"//|/\.?(?:/|\Z)|\A(?!/)")
_PARAMETERS: Final = ("package", "path", "catalog")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_Refusal = Callable[[str, str], NoReturn]


@dataclass(frozen=True, slots=True)
class PackageUri:
    """Where a package (or a revision, or a path in it) stands.

    ``registry`` is a registry URL without trailing slash. At most one of ``top_hash`` (6 to 64 hex digits) and ``tag``
    is set; neither means latest. ``path`` is a logical key, a folder prefix ending in '/', or None.
    """

    registry: str
    name: str
    top_hash: str | None = None
    tag: str | None = None
    path: str | None = None
    catalog: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a quilt+ URI. Raises InvalidUri, or InvalidName for the package name."""
        base, hash_mark, fragment = text.partition("#")
        if not base.startswith(("quilt+s3:", "quilt+file:")):
            _refuse(text, "it does not start with quilt+s3:// or quilt+file://")
        registry = parse_registry(base)
        if not hash_mark or not fragment:
            _refuse(text, "it has no '#package=namespace/name' part")
        values = _parse_fragment(text, fragment)
        if "package" not in values:
            _refuse(text, "it has no 'package=' part")
        name, top_hash, tag = _parse_spec(text, values["package"])
        path = values.get("path") or None
        if path is not None:
            try:
                validate_logical_key(path.removesuffix("/"))
            except InvalidName as error:
                _refuse(text, f"its path {error.message}")
        catalog = values.get("catalog") or None
        if catalog is not None and not _CATALOG.fullmatch(catalog):
            _refuse(text, f"its catalog {catalog[:100]!r} is not a host name")
        return cls(registry, name, top_hash, tag, path, catalog)

    def __str__(self) -> str:
        spec = quote(self.name)
        if self.top_hash is not None:
            spec += f"@{self.top_hash}"
        elif self.tag is not None:
            spec += f":{self.tag}"
        path = "" if self.path is None else f"&path={quote(self.path)}"
        catalog = "" if self.catalog is None else f"&catalog={quote(self.catalog, safe=':')}"
        return f"quilt+{self.registry}#package={spec}{path}{catalog}"


def parse_package(text: str, registry: str) -> PackageUri:
    """``ns/name``, ``ns/name@hash``, ``ns/name:tag`` in ``registry``, or a full quilt+ URI (which carries its own).

    Raises InvalidName, InvalidUri.
    """
    if text.startswith("quilt+"):
        return PackageUri.parse(text)
    if "://" in text:
        _refuse(text, "a package is named ns/name, or by a URI that starts with 'quilt+' and has '#package='")
    name, top_hash, tag = _parse_spec(text, text)
    return PackageUri(parse_registry(registry), name, top_hash, tag)


def is_bucket(name: str) -> bool:
    """Whether S3 may have a bucket of this name (old ones have capitals, underscores and more than 63 characters)."""
    return _BUCKET.fullmatch(name) is not None


def parse_registry(text: str) -> str:
    """The canonical URL of a registry: ``s3://bucket`` or ``file:///folder``, no trailing slash. Accepts a plain
    absolute or ~ path and a quilt+ URI's registry part. Raises InvalidUri."""
    url = text.partition("#")[0].removeprefix("quilt+") if text.startswith("quilt+") else text
    url = os.path.expanduser(url)
    if url.startswith("/"):
        return _file_url(_folded(text, url, _refuse_registry))
    if url.startswith("s3:"):
        parts = _split(text, url, _refuse_registry)
        if not url.startswith("s3://") or not parts.netloc:
            _refuse_registry(text, "no bucket follows s3://")
        if not is_bucket(parts.netloc):
            _refuse_registry(text, f"{parts.netloc[:100]!r} is not a bucket name")
        if parts.path.strip("/") or parts.query or parts.fragment:
            _refuse_registry(text, "a registry is a whole bucket, and something follows its name")
        return f"s3://{parts.netloc}"
    if url.startswith("file:"):
        parts = _split(text, url, _refuse_registry)
        if parts.query or parts.fragment:
            _refuse_registry(text, "a '?' or '#' in a folder's URL is written %3F or %23")
        return _file_url(_local_path(text, parts, _refuse_registry))
    _refuse_registry(text, "it is neither s3://bucket, nor file:///folder, nor an absolute path")


@dataclass(frozen=True, slots=True)
class PhysicalKey:
    """Where an object's bytes lie. ``bucket`` None: a local absolute path. Source of the rules: quilt3 ``PhysicalKey``,
    but symbolic links are not resolved here (that is I/O)."""

    bucket: str | None
    path: str
    version_id: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parses an s3: or file: URL. Raises InvalidUri.

        Refuses a '..' component of a local path, where quilt3 would resolve it, and folds '//' and '/./'.
        Drops a fragment, as quilt3 does: '#' in a key is written %23.
        """
        parts = _split(url, url, _refuse_key)
        if parts.scheme == "s3":
            return cls(parts.netloc, *_s3_path(url, parts))
        if parts.scheme == "file":
            if parts.query:
                _refuse_key(url, "a '?' in a local path is written %3F")
            return cls(None, _local_path(url, parts, _refuse_key))
        _refuse_key(url, f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme")

    def __str__(self) -> str:
        if self.bucket is None:
            return _file_url(self.path)
        query = "" if self.version_id is None else "?" + urlencode({"versionId": self.version_id})
        return f"s3://{self.bucket}{quote('/' + self.path)}{query}"


def parse_folder(text: str) -> str:
    """The path of a local folder that a caller names: a path as it is, or a file: URL. Raises InvalidUri for any other scheme,
    and for nothing at all."""
    stripped = text.strip()
    if stripped.startswith("file:"):
        return PhysicalKey.parse(stripped).path
    if not stripped:
        raise InvalidUri(
            "The folder is empty.", next_step="Name a local folder, such as ./data or file:///folder."
        )
    if _SCHEME.match(stripped):
        raise InvalidUri(
            f"{_shown(stripped)} is no local folder.",
            next_step="Name a folder of this machine, as a path or file:///folder. package_copy with to_registry=s3://bucket "
            "brings a package into a bucket, object_put a single object.",
            details={"dest": _shown(stripped)},
        )
    return text


def parse_object(uri: str) -> PhysicalKey:
    """The s3: or file: URL of a source or object that a caller names. Raises InvalidUri, also for a raw '#': read as quilt3 reads
    physical keys, what follows it would be dropped, and ``file:///d/#n.csv`` be the whole folder ``/d/``."""
    key = PhysicalKey.parse(uri)
    if "#" in uri:
        raise InvalidUri(
            f"{_shown(uri)} is not an object's address: a '#' begins a fragment, and objects have none.",
            next_step=f"Write a '#' in a name as %23: {_shown(uri.replace('#', '%23'))}",
            details={"uri": _shown(uri)},
        )
    return key


def _parse_fragment(text: str, fragment: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in fragment.split("&"):
        if not part:
            continue
        raw_name, equals, raw_value = part.partition("=")
        name = _decode(text, raw_name)
        if name not in _PARAMETERS:
            _refuse(text, f"{name[:50]!r} is no part of it; the parts are package=, path= and catalog=")
        if not equals:
            _refuse(text, f"{name!r} has no value")
        if name in values:
            _refuse(text, f"{name + '='!r} stands in it twice")
        values[name] = _decode(text, raw_value)
    return values


def _decode(text: str, value: str) -> str:
    try:
        return unquote_plus(value, errors="strict")
    except UnicodeDecodeError:
        _refuse(text, "its percent-escapes are not UTF-8")


def _parse_spec(text: str, spec: str) -> tuple[str, str | None, str | None]:
    """(name, top hash, tag) of ``ns/name[@hash|:tag]``."""
    if "@" in spec and ":" in spec:
        _refuse(text, "it has both a hash (@) and a tag (:), and a revision is named by one of them")
    name, at, top_hash = spec.partition("@")
    if at:
        top_hash = top_hash.lower()
        if not _HASH.fullmatch(top_hash):
            _refuse(text, f"{top_hash[:100]!r} is not a top hash: 6 to 64 hex digits are needed after '@'")
        return validate_package_name(name), top_hash, None
    name, colon, tag = spec.partition(":")
    if colon:
        if not _TAG.fullmatch(tag):
            _refuse(
                text, f"{tag[:100]!r} is not a tag: 'latest' or a revision's timestamp is meant after ':'"
            )
        return validate_package_name(name), None, tag
    return validate_package_name(spec), None, None


def _split(text: str, url: str, refuse: _Refusal) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        refuse(text, f"it is not a URL ({error})")


def _s3_path(url: str, parts: SplitResult) -> tuple[str, str | None]:
    """(key, version)."""
    if not parts.netloc:
        _refuse_key(url, "it names no bucket")
    if parts.path and not parts.path.startswith("/"):
        _refuse_key(url, "no '/' stands between bucket and key")
    try:
        query = parse_qs(parts.query)
    except ValueError:
        _refuse_key(url, "its query cannot be read")
    version = query.pop("versionId", [None])[0]
    if query:
        _refuse_key(url, f"only ?versionId= may follow an S3 key, not {parts.query[:100]!r}")
    path = unquote(parts.path)[1:]
    if "\0" in path or (version is not None and "\0" in version):
        _refuse_key(url, "it holds a NUL character")
    if not encodable(url):
        _refuse_key(url, "it holds half of a surrogate pair")
    return path, version


def _local_path(text: str, parts: SplitResult, refuse: _Refusal) -> str:
    if parts.netloc not in ("", "localhost"):
        host = parts.netloc[:100]
        refuse(text, f"it names the host {host!r}; local URLs have three slashes, file:///folder")
    if not parts.path.startswith("/"):
        refuse(text, "its path is not absolute; local URLs have three slashes, file:///folder")
    return _folded(text, unquote(parts.path), refuse)


def _folded(text: str, path: str, refuse: _Refusal) -> str:
    """An absolute path without empty and '.' components; a trailing '/' stays."""
    if "\0" in path:
        refuse(text, "it holds a NUL character")
    if not encodable(path, "surrogateescape"):
        refuse(text, "it holds half of a surrogate pair")
    components = path.split("/")
    if ".." in components:
        refuse(text, "its path has a '..' part")
    folded = "/" + "/".join(part for part in components if part not in ("", "."))
    return folded + "/" if path.endswith("/") and folded != "/" else folded


def _file_url(path: str) -> str:
    if _UNFOLDED.search(path):
        path = str(PurePosixPath(path))
    return "file://" + quote(os.fsencode(path))


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{_shown(text)} is not a package URI: {why}.",
        next_step=f"Write namespace/name, or a URI such as {_EXAMPLE} (or quilt+file:///folder#package=...); "
        "packages_list shows what there is.",
        details={"uri": _shown(text)},
    )


def _refuse_registry(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{_shown(text)} is not a registry: {why}.",
        next_step="Write s3://bucket, file:///folder or an absolute path; registry_list shows the registries in reach.",
        details={"registry": _shown(text)},
    )


def _refuse_key(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{_shown(text)} is not an object's address: {why}.",
        next_step="Write s3://bucket/key, s3://bucket/key?versionId=... or file:///absolute/path, "
        "with '#', '?' and '%' in names percent-encoded.",
        details={"uri": _shown(text)},
    )


def _shown(text: str) -> str:
    shown = text if len(text) <= 300 else text[:300] + "..."
    return shown.encode("utf-8", "backslashreplace").decode()
