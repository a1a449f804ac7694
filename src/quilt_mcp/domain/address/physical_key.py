"""Physical keys: where the bytes of an object lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlencode

from quilt_mcp.domain.address.url import file_url, local_path, shown, split_url
from quilt_mcp.domain.names import encodable
from quilt_mcp.errors import InvalidUri


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
        parts = split_url(url, url, _refuse)
        if parts.scheme == "s3":
            return cls(parts.netloc, *_s3_path(url, parts))
        if parts.scheme == "file":
            if parts.query:
                _refuse(url, "a '?' in a local path is written %3F")
            return cls(None, local_path(url, parts, _refuse))
        _refuse(url, f"its scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme")

    def __str__(self) -> str:
        if self.bucket is None:
            return file_url(self.path)
        query = "" if self.version_id is None else "?" + urlencode({"versionId": self.version_id})
        return f"s3://{self.bucket}{quote('/' + self.path)}{query}"


def parse_object(uri: str) -> PhysicalKey:
    """The s3: or file: URL of a source or object that a caller names. Raises InvalidUri, also for a raw '#': read as quilt3 reads
    physical keys, what follows it would be dropped, and ``file:///d/#n.csv`` be the whole folder ``/d/``."""
    key = PhysicalKey.parse(uri)
    if "#" in uri:
        raise InvalidUri(
            f"{shown(uri)} is not an object's address: a '#' begins a fragment, and objects have none.",
            next_step=f"Write a '#' in a name as %23: {shown(uri.replace('#', '%23'))}",
            details={"uri": shown(uri)},
        )
    return key


def _s3_path(url: str, parts: SplitResult) -> tuple[str, str | None]:
    """(key, version)."""
    if not parts.netloc:
        _refuse(url, "it names no bucket")
    if parts.path and not parts.path.startswith("/"):
        _refuse(url, "no '/' stands between bucket and key")
    try:
        query = parse_qs(parts.query)
    except ValueError:
        _refuse(url, "its query cannot be read")
    version = query.pop("versionId", [None])[0]
    if query:
        _refuse(url, f"only ?versionId= may follow an S3 key, not {parts.query[:100]!r}")
    path = unquote(parts.path)[1:]
    if "\0" in path or (version is not None and "\0" in version):
        _refuse(url, "it holds a NUL character")
    if not encodable(url):
        _refuse(url, "it holds half of a surrogate pair")
    return path, version


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{shown(text)} is not an object's address: {why}.",
        next_step="Write s3://bucket/key, s3://bucket/key?versionId=... or file:///absolute/path, "
        "with '#', '?' and '%' in names percent-encoded.",
        details={"uri": shown(text)},
    )
