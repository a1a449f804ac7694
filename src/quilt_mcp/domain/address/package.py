"""Packages by name or URI: which registry, which revision, which path in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, NoReturn, Self
from urllib.parse import quote, unquote_plus

from quilt_mcp.domain.address.catalog_link import HOST, CatalogLink, is_link
from quilt_mcp.domain.address.registry import parse_registry
from quilt_mcp.domain.address.url import has_scheme, lower_scheme, shown
from quilt_mcp.domain.names import validate_logical_key, validate_package_name
from quilt_mcp.errors import InvalidName, InvalidUri

_EXAMPLE: Final = "quilt+s3://bucket#package=namespace/name@hash&path=data/table.csv"
_HASH: Final = re.compile(r"[0-9a-f]{6,64}")
_TAG: Final = re.compile(r"[\w-][\w.-]{0,63}")
_LATEST: Final = "latest"
_NAMED: Final = re.compile(r"[\w-]+/[\w-]+(@[0-9A-Fa-f]{6,64}|@latest|:[\w-][\w.-]{0,63})?(?:/|\Z)")
_HASHED: Final = re.compile(r"[\w-]+/[\w-]+@[0-9A-Fa-f]{1,64}(?:/|\Z)")
_PATTERN: Final = re.compile(r"(?:quilt\+(?:s3|file)://[^#]*#package=)?(?=[^#]*[*?])[\w*?-]+/[\w*?-]+")
_LEAST: Final = 6
_PARAMETERS: Final = ("package", "path", "catalog")


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
        base, hash_mark, fragment = lower_scheme(text).partition("#")
        if not base.startswith(("quilt+s3:", "quilt+file:")):
            _refuse(text, "it does not start with quilt+s3:// or quilt+file://")
        if "?" in base:
            right = f"{base.partition('?')[0]}#{fragment or 'package=namespace/name'}"
            _refuse(
                text, f"what it says stands after '#', and nothing after '?'; {shown(right)} would be one"
            )
        registry = parse_registry(base)
        if not hash_mark or not fragment:
            _refuse(text, "it has no '#package=namespace/name' part")
        values = _parse_fragment(text, fragment)
        if "package" not in values:
            _refuse(text, "it has no 'package=' part")
        name, top_hash, tag = _parse_spec(text, values["package"])
        path = _parse_path(text, values.get("path", ""))
        catalog = values.get("catalog") or None
        if catalog is not None and not HOST.fullmatch(catalog):
            _refuse(text, f"its catalog {catalog[:100]!r} is not a host name")
        return cls(registry, name, top_hash, tag, path, catalog)

    @classmethod
    def of_link(cls, text: str, link: CatalogLink) -> Self:
        """The package that a catalog's page shows. Raises InvalidUri, InvalidName; also where it shows none."""
        if link.uri is not None:
            return cls.parse(link.uri)
        if link.package is None:
            _refuse(text, "the page that it links to shows no package")
        mark = ":" if link.is_timestamp else "@"
        spec = link.package if link.revision is None else f"{link.package}{mark}{link.revision}"
        name, top_hash, tag = _parse_spec(text, spec)
        registry = parse_registry(f"s3://{link.bucket}")
        return cls(registry, name, top_hash, tag, _parse_path(text, link.path), link.host)

    def __str__(self) -> str:
        spec = quote(self.name)
        if self.top_hash is not None:
            spec += f"@{self.top_hash}"
        elif self.tag is not None:
            spec += f":{self.tag}"
        path = "" if self.path is None else f"&path={quote(self.path)}"
        catalog = "" if self.catalog is None else f"&catalog={quote(self.catalog, safe=':')}"
        return f"quilt+{self.registry}#package={spec}{path}{catalog}"

    @property
    def spelling(self) -> str:
        """As a caller may write it who names the registry elsewhere: ``ns/name@hash/path``."""
        revision = f"@{self.top_hash}" if self.top_hash else f":{self.tag}" if self.tag else ""
        return f"{self.name}{revision}" + (f"/{self.path}" if self.path else "")


def parse_package(text: str, registry: str) -> PackageUri:
    """``ns/name``, ``ns/name@hash``, ``ns/name:tag`` in ``registry``, each with a ``/path`` or not; or a full quilt+ URI or
    catalog link, which carries its own. A '/' after the name or revision is no path; one after a path means a folder.

    Raises InvalidName, InvalidUri.
    """
    plain = lower_scheme(text)
    if plain.startswith("quilt+"):
        return PackageUri.parse(plain)
    if is_link(plain):
        return PackageUri.of_link(plain, CatalogLink.parse(plain))
    if has_scheme(plain):
        _refuse(text, "a package is named ns/name, or by a URI that starts with 'quilt+' and has '#package='")
    namespace, slash, rest = plain.partition("/")
    spec, _, path = rest.partition("/")
    name, top_hash, tag = _parse_spec(plain, f"{namespace}{slash}{spec}")
    return PackageUri(parse_registry(registry), name, top_hash, tag, _parse_path(plain, path))


def browse_call(package: PackageUri) -> str:
    """The call that shows what is in it, as the sentence of a next step begins."""
    path = f" and path={package.path!r}" if package.path else ""
    return f"Call package_browse with package={str(replace(package, path=None))!r}{path}"


def names_package(text: str) -> bool:
    """Whether a plain text has the form of ``ns/name``, with a revision and a path or not."""
    return _NAMED.match(text) is not None


def names_packages(text: str) -> bool:
    """Whether a text is a pattern of package names: ``lab/*``, or that in a registry, as a quilt+ URI has it."""
    return _PATTERN.fullmatch(text) is not None


def names_hash(text: str) -> bool:
    """Whether a plain text has the form of ``ns/name@hash``, too short a hash included, with a path or not."""
    return _HASHED.match(text) is not None


def names_revision(text: str) -> bool:
    """Whether a plain text has the form of ``ns/name@hash`` or ``ns/name:tag``, with a path or not."""
    found = _NAMED.match(text)
    return found is not None and found[1] is not None


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
    """(name, top hash, tag) of ``ns/name[@hash|@latest|:tag]``, with a '/' at its end or not."""
    spec = spec.removesuffix("/")
    if "@" in spec and ":" in spec:
        _refuse(text, "it has both a hash (@) and a tag (:), and a revision is named by one of them")
    name, at, top_hash = spec.partition("@")
    if at:
        top_hash = top_hash.lower()
        if top_hash == _LATEST:
            return validate_package_name(name), None, _LATEST
        if not _HASH.fullmatch(top_hash):
            _refuse(
                text,
                f"{top_hash[:100]!r} is not a top hash: {_LEAST} to 64 hex digits are needed after '@'",
                f"Give at least {_LEAST} digits of the hash; package_log lists the revisions of {name}. ",
            )
        return validate_package_name(name), top_hash, None
    name, colon, tag = spec.partition(":")
    if colon:
        if not _TAG.fullmatch(tag):
            _refuse(
                text, f"{tag[:100]!r} is not a tag: 'latest' or a revision's timestamp is meant after ':'"
            )
        return validate_package_name(name), None, tag
    return validate_package_name(spec), None, None


def _parse_path(text: str, written: str) -> str | None:
    """None for the root, which '' and '/' mean."""
    path = written.lstrip("/")
    if not path:
        return None
    try:
        validate_logical_key(path.removesuffix("/"))
    except InvalidName as error:
        _refuse(text, f"its path {error.message}")
    return path


def _refuse(text: str, why: str, first: str = "") -> NoReturn:
    raise InvalidUri(
        f"{shown(text)} is not a package URI: {why}.",
        next_step=f"{first}Write namespace/name, or a URI such as {_EXAMPLE} (or quilt+file:///folder#package=...); "
        "packages_list shows what there is.",
        details={"uri": shown(text)},
    )
