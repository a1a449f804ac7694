"""From a tool's arguments to the addresses of the domain: one form everywhere, docs/decisions/025-one-address.md."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Final

from quilt_mcp.domain.address import (
    CatalogLink,
    PackageUri,
    PhysicalKey,
    below_root,
    has_scheme,
    is_link,
    is_path,
    lower_scheme,
    names_hash,
    names_package,
    names_revision,
    parse_package,
    parse_registry,
)
from quilt_mcp.domain.glob import has_wildcard
from quilt_mcp.errors import (
    AccessError,
    InvalidArgument,
    InvalidName,
    InvalidUri,
    NotAFile,
    NotFound,
    ObjectNotFound,
    PackageNotFound,
    QuiltError,
    RegistryNotFound,
)
from quilt_mcp.tools.arguments.schema import either
from quilt_mcp.tools.call import Call

_ANY_FILE: Final = "file:///any"
"""For every local path where many users share a server: whatever is named, the answer is the same."""


async def package_address(
    call: Call, package: str, registry: str | None = None, path: str | None = None
) -> PackageUri:
    """The package that a call names, and the path in it, which may stand in the address or in ``path``, or in both where ``path``
    is the same or lies below it, as that of a row of a folder's listing does. Raises InvalidName (with
    near names where the namespace is missing, at the cost of a few requests), InvalidUri, InvalidArgument when the parts
    disagree."""
    asked = registry_address(call, registry)
    try:
        address = parse_package(package.strip(), asked)
    except InvalidName as error:
        await _name_near(call, asked, error)
        raise
    if registry is not None and address.registry != asked:
        raise InvalidArgument(
            f"The URI is in {address.registry}, but registry says {asked}.", next_step="Leave registry out."
        )
    wanted = (path or "").lstrip("/") or None
    if wanted is None or address.path == wanted:
        return address
    here = (address.path or "").rstrip("/")
    if here and wanted.rstrip("/") != here and not wanted.startswith(f"{here}/"):
        raise InvalidArgument(
            f"The address has the path {address.path!r}, but path says {wanted!r}.",
            next_step=f"Leave one of them out: {replace(address, path=None).spelling!r} is the address without its path.",
        )
    return replace(address, path=wanted)


async def _name_near(call: Call, registry: str, error: InvalidName) -> None:
    """Adds to the next step what a name without a namespace probably means."""
    name = str(error.details.get("name", ""))
    if not name or "/" in name:
        return
    with suppress(QuiltError):
        if close := await call.ops.near_packages(registry, name):
            error.next_step = f"Did you mean {' or '.join(close)}? {error.next_step}"
            error.details = {**error.details, "suggestions": list(close)}


async def compared_addresses(
    call: Call, before: str, after: str, registry: str | None, path: str | None
) -> tuple[PackageUri, PackageUri]:
    """Two revisions. A hash alone is one of the other side's package. Raises as ``package_address``."""
    sides = [before.strip(), after.strip()]
    alone = [_HASH.fullmatch(side) is not None for side in sides]
    if all(alone):
        raise InvalidArgument(
            "before and after are hashes alone, and no package is named.",
            next_step=f"Name it in one of them, as after='ns/name@{sides[1][:10]}'.",
        )
    if not any(alone):
        return await package_address(call, sides[0], registry), await package_address(
            call, sides[1], registry, path
        )
    named = await package_address(call, sides[alone.index(False)], registry, path)
    other = await package_address(
        call, f"{named.name}@{sides[alone.index(True)].lstrip('@')}", named.registry
    )
    return (other, named) if alone[0] else (named, other)


async def written_address(call: Call, package: str, registry: str | None = None) -> PackageUri:
    """As ``package_address``, of a package that is changed. Raises InvalidArgument where nobody names a registry: the first
    bucket of a stack, which is read by default, may be another one tomorrow."""
    if registry is None and call.identity.registry is None and not has_scheme(package.strip()):
        raise InvalidArgument(
            "No registry is named, here or in the server's settings, and a write goes to none by guess.",
            next_step=f"Name it: registry={call.ops.default_registry!r}, or another of registry_list.",
        )
    return await package_address(call, package, registry)


def guard_hash(expected: str | None, package: PackageUri) -> str | None:
    """The hash that an ``expected_top_hash`` names, alone or as ``ns/name@hash`` of the package that is changed. Raises
    InvalidArgument for another package's, InvalidUri, InvalidName."""
    if expected is None:
        return None
    if "/" not in expected:
        alone = expected.strip().lstrip("@")
        if not alone:
            raise InvalidArgument(
                f"expected_top_hash is {expected[:200]!r}, which names no revision.",
                next_step="Give the hash of the latest revision that you have seen, or leave it out to build on the latest.",
            )
        return alone
    named = parse_package(expected.strip(), package.registry)
    if (named.registry, named.name) != (package.registry, package.name) or named.top_hash is None:
        raise InvalidArgument(
            f"expected_top_hash is {expected[:200]!r}, which names no revision of {package.name} by its hash.",
            next_step=f"Give the hash of the latest revision that you have seen; package_log of {package.name} lists them.",
        )
    return named.top_hash


def registry_address(call: Call, registry: str | None) -> str:
    """The URL of the registry that a call names; a relative folder is below the first root. Raises InvalidUri."""
    if registry is None:
        return call.ops.default_registry
    text = registry.strip()
    if has_scheme(text) or not text:
        return parse_registry(text)
    if "/" not in text and not is_path(text):
        raise InvalidUri(
            f"{text[:200]!r} could be a bucket or a folder.",
            next_step=f"Write s3://{text[:200]} for the bucket{_or_below_root(call, text, 'the folder')}.",
            details={"registry": text[:200]},
        )
    return parse_registry(_below_first_root(call, text))


_HASH: Final = re.compile(r"@?[0-9A-Fa-f]{1,64}")
Target = PackageUri | str
"""A package, or a file or folder in one; or the URL of an object."""


async def object_target(
    call: Call,
    uri: str | None,
    *,
    package: str | None = None,
    path: str | None = None,
    registry: str | None = None,
) -> Target:
    """What a call names by ``uri``, or by ``package`` and ``path``. A plain text of the form of a package's name is the package
    when there is one, or else the file; when there are both it is refused.

    Raises InvalidArgument for both or neither of uri and package, InvalidUri, InvalidName, ObjectNotFound.
    """
    if either("uri", "package", given={"uri": uri, "package": package}) == "package":
        return await package_address(call, package or "", registry, path)
    text = lower_scheme((uri or "").strip())
    if text.startswith("quilt+"):
        return await package_address(call, text, registry, path)
    if is_link(text):
        link = CatalogLink.parse(text)
        if link.package is not None or link.uri is not None:
            return await package_address(call, text, registry, path)
        text = str(PhysicalKey(parse_registry(text).removeprefix("s3://"), link.path, link.version))
    elif (path or registry is not None) and names_package(text):
        return await package_address(call, text, registry, path)
    if path or registry is not None:
        raise InvalidArgument(
            f"{'path' if path else 'registry'} belongs to a package, and uri names an object: {text[:200]!r}.",
            next_step="Give the whole address as uri, or name the package by package, path and registry.",
        )
    if has_scheme(text):
        return text
    if is_path(text) or not (names_package(text) or names_hash(text)):
        return _below_first_root(call, text)
    return await _package_or_file(call, text)


async def new_object_address(call: Call, uri: str) -> str:
    """The URL of an object to write. Raises InvalidArgument for what is or could be in a package."""
    text = lower_scheme(uri.strip())
    is_package = text.startswith("quilt+") or is_link(text)
    if has_scheme(text) and not is_package:
        return text
    if not is_package and (is_path(text) or not names_package(text)):
        return _below_first_root(call, text)
    package = parse_package(text, call.ops.default_registry)
    if not is_package and not await _has_package(call, package, text):
        return _below_first_root(call, text)
    other = "" if is_package else _or_below_root(call, text, "a file")
    raise InvalidArgument(
        f"{text[:200]!r} names the package {package.name} of {package.registry}, and an object is written outside any package.",
        next_step=f"Call package_patch with package={package.name!r} and files=[...]{other}.",
    )


async def source_origin(call: Call, text: str) -> str:
    """Where a source's files come from, as the engine reads it: a path or glob as it is, a URL, or a quilt+ URI. A plain text of
    the form of a package's name is the package when it names a revision, too: without one it is a path alone, so that a folder
    which is gone or out of reach is never stood in for by an older package of its name. Raises as ``object_target``."""
    origin = lower_scheme(text)
    if is_link(origin):
        return str(await object_target(call, origin))
    if names_revision(origin) or (names_hash(origin) and not has_wildcard(origin)):
        return str(await _package_or_file(call, origin))
    return origin


async def _package_or_file(call: Call, text: str) -> Target:
    """What a plain text names that could be a package or a relative path. Costs a request for the package's pointer."""
    url = _below_first_root(call, text) if call.settings.local_roots() else None
    is_file = url is not None and await _has_object(call, url)
    try:
        package = parse_package(text, call.ops.default_registry)
        is_package = await _has_package(call, package, text)
    except InvalidUri:
        if not is_file:
            raise
        return url or text
    if is_package and is_file:
        raise InvalidArgument(
            f"{text[:200]!r} names a package, {package}, and a file or folder, ./{text[:200]}.",
            next_step=f"Write {package} for the package, or ./{text[:200]} for the file or folder.",
        )
    if is_package or (names_revision(text) and not is_file):
        return package
    if url is not None and is_file:
        return url
    is_shared = call.settings.serves_many
    raise ObjectNotFound(
        f"{text[:200]!r} names no package of {package.registry}."
        if is_shared
        else f"{text[:200]!r} names neither a package of {package.registry} nor a file or folder below the first root.",
        next_step="packages_list shows the packages"
        + ("." if is_shared else "; object_list with location='.' shows the first root."),
        details={"package": package.name, "registry": package.registry},
    )


async def _has_package(call: Call, package: PackageUri, text: str) -> bool:
    """Raises AccessError: who may not look for the package does not know that ``text`` is a file."""
    try:
        await call.ops.resolve(PackageUri(package.registry, package.name))
    except (PackageNotFound, RegistryNotFound):
        return False
    except AccessError as error:
        if where := _or_below_root(call, text, "a file"):
            error.next_step += f" It may be meant otherwise{where}."
        raise
    return True


async def _has_object(call: Call, url: str) -> bool:
    try:
        await call.ops.stat_object(url.rstrip("/"))
    except NotAFile:
        return True
    except (NotFound, AccessError):
        return False
    return True


def _or_below_root(call: Call, text: str, what: str) -> str:
    """How a path is spelled that could be something else; nothing where there are no paths."""
    return "" if call.settings.serves_many else f", or ./{text[:200]} for {what} below the first root"


def _below_first_root(call: Call, text: str) -> str:
    if call.settings.serves_many:
        return _ANY_FILE
    return below_root(text, next(iter(call.settings.local_roots()), None))
