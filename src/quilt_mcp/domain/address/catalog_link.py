"""Links to pages of a Quilt catalog, as people paste them. They are read, never fetched: what they name is opened with this
server's own rights, whichever catalog they came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn, Self
from urllib.parse import parse_qs, unquote

from quilt_mcp.domain.address.url import lower_scheme, shown, split_url
from quilt_mcp.errors import InvalidUri

HOST: Final = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?")
_TIMESTAMP: Final = re.compile(r"[0-9]{10}")


def is_link(text: str) -> bool:
    return lower_scheme(text).startswith(("https:", "http:"))


@dataclass(frozen=True, slots=True)
class CatalogLink:
    """What a catalog's page shows: a bucket, a package (``package`` is ``ns/name``, ``revision`` as the page names it), or an
    object (``package`` None). ``path`` is a path in the package, or the object's key. ``uri``: the page is a quilt+ URI's."""

    host: str
    bucket: str
    package: str | None = None
    revision: str | None = None
    path: str = ""
    version: str | None = None
    uri: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidUri for a page that shows no bucket, package or object.

        /b/BUCKET   /b/BUCKET/tree/KEY[?version=V]   /uri/QUILT+URI   /redir/QUILT+URI
        /b/BUCKET/packages[/NS/NAME[/revisions | /tree/REVISION[/PATH]]]
        """
        parts = split_url(text, lower_scheme(text), _refuse)
        if not HOST.fullmatch(parts.netloc):
            _refuse(text, f"{parts.netloc[:100]!r} is not a host name")
        kind, _, rest = parts.path.lstrip("/").partition("/")
        if kind in ("uri", "redir"):
            return cls(
                parts.netloc, "", uri=_decoded(text, rest) + (f"#{parts.fragment}" if parts.fragment else "")
            )
        bucket, _, page = rest.partition("/")
        if kind != "b" or not bucket:
            _refuse(text, "no /b/BUCKET follows its host")
        bucket = _decoded(text, bucket)
        kind, _, rest = page.partition("/")
        if kind == "tree":
            version = parse_qs(parts.query).get("version", [None])[0]
            return cls(parts.netloc, bucket, path=_decoded(text, rest), version=version)
        if kind == "packages" and rest:
            return cls._of_package(text, parts.netloc, bucket, rest)
        if kind in ("", "packages"):
            return cls(parts.netloc, bucket)
        _refuse(text, f"its page {kind[:50]!r} shows neither a package nor an object")

    @classmethod
    def _of_package(cls, text: str, host: str, bucket: str, rest: str) -> Self:
        name, _, below = rest.partition("/")
        if "/" not in unquote(name):
            second, _, below = below.partition("/")
            name = f"{name}/{second}"
        name = _decoded(text, name)
        page, _, below = below.partition("/")
        if page in ("", "revisions"):
            return cls(host, bucket, name)
        if page != "tree":
            _refuse(text, f"its page {page[:50]!r} of a package is not known")
        revision, _, path = below.partition("/")
        return cls(host, bucket, name, _decoded(text, revision) or None, _decoded(text, path))

    @property
    def is_timestamp(self) -> bool:
        """Whether the page names its revision by the second of its making, as older catalogs do."""
        return self.revision is not None and _TIMESTAMP.fullmatch(self.revision) is not None


def _decoded(text: str, part: str) -> str:
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        _refuse(text, "its percent-escapes are not UTF-8")


def _refuse(text: str, why: str) -> NoReturn:
    raise InvalidUri(
        f"{shown(text)} is not a link to a page of a Quilt catalog that can be read: {why}.",
        next_step="Give the link of a package's or file's page (https://CATALOG/b/BUCKET/packages/ns/name/tree/HASH/PATH), "
        "or ns/name, or s3://bucket/key.",
        details={"uri": shown(text)},
    )
