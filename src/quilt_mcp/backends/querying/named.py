"""NamedPackages: the packages of one query, which the call names or the text does, each opened once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from quilt_mcp.backends.querying.opening import Opening
from quilt_mcp.domain.address import PackageUri, names_packages, parse_package
from quilt_mcp.domain.glob import Glob
from quilt_mcp.errors import InvalidArgument, PackageNotFound
from quilt_mcp.registry.layout import LATEST
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.pointers import Pointer
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.store import Stores

MOST_PACKAGES: Final = 100
"""That one pattern stands for."""
_SHORT: Final = 10
"""Digits of a hash that tell revisions apart for people."""


@dataclass(frozen=True, slots=True)
class Named:
    """A revision that was opened, and the folder in it that its address names ('' for all)."""

    registry: Registry
    pinned: PackageUri
    manifest: Manifest
    folder: str

    @property
    def revision(self) -> tuple[str, str, str | None]:
        """The same however it is spelled. Packages of other names are others, whose rows are told apart by ``$pkg_name``."""
        return self.registry.url, self.pinned.name, self.pinned.top_hash


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a query may look: ``default`` is the URL of the registry where none is named."""

    registry: Callable[[str], Registry]
    default: str
    stores: Stores
    opening: Opening


class NamedPackages:
    def __init__(self, reach: Reach, spelled: Sequence[str]) -> None:
        """``spelled``: those of the call, by addresses, or patterns of names (``lab/*``)."""
        self._reach = reach
        self.spelled = spelled
        self._opened: dict[str, Named] = {}
        self._fitting: dict[str, list[str]] = {}
        """Names that fit a pattern, when it was looked at."""

    def inputs(self) -> tuple[str, ...]:
        """The revisions that were opened so far, by their hashes."""
        return tuple(dict.fromkeys(str(one.pinned) for one in self._opened.values()))

    async def open(self, text: str) -> Named:
        if text not in self._opened:
            address = parse_package(text, self._reach.default)
            registry = self._reach.registry(address.registry)
            pinned, manifest = await registry.open(replace(address, path=None))
            folder = (address.path or "").rstrip("/")
            self._opened[text] = Named(registry, pinned, manifest, f"{folder}/" if folder else "")
        return self._opened[text]

    async def several(self, text: str) -> list[Named]:
        """As ``open``, also of a pattern. Raises PackageNotFound where none fits, InvalidArgument where too many do."""
        return [await self.open(one) for one in await self._spelled_by(text)]

    async def all(self) -> list[Named]:
        """Of the call, each once, also where it is named by several spellings."""
        found: dict[tuple[Any, ...], Named] = {}
        for text in self.spelled:
            for one in await self.several(text):
                found.setdefault((one.revision, one.folder), one)
        return [*found.values()]

    async def require(self) -> None:
        """Raises PackageNotFound and RevisionNotFound for one of the call that is not there, also where nothing is read of it."""
        for text in self.spelled:
            for one in await self._spelled_by(text):
                if one not in self._opened:
                    address = parse_package(one, self._reach.default)
                    await self._reach.registry(address.registry).resolve(replace(address, path=None))

    async def names_older(self) -> bool:
        """Whether a revision of the call is not the latest of its package."""
        for one in await self.all():
            latest = await one.registry.pointers.try_latest(one.pinned.name)
            if not isinstance(latest, Pointer) or latest.top_hash != one.pinned.top_hash:
                return True
        return False

    def shown(self, one: Named, path: str) -> str:
        """A file's address, as it is told: with a short hash, and the registry where it is not the default one."""
        address = replace(one.pinned, path=path, top_hash=(one.pinned.top_hash or "")[:_SHORT])
        return address.spelling if one.registry.url == self._reach.default else str(address)

    def would_hold(self, text: str, saved: PackageUri) -> str | None:
        """The path that a file has among those of ``text``'s packages when it is saved; None: it is in none of them."""
        if names_packages(text):
            registry, pattern = self._pattern(text)
            is_in = registry == saved.registry and Glob(pattern).matches(saved.name)
            return saved.path if is_in else None
        address = parse_package(text, self._reach.default)
        is_pinned = address.top_hash is not None or address.tag not in (None, LATEST)
        if is_pinned or (address.registry, address.name) != (saved.registry, saved.name):
            return None
        folder, path = (address.path or "").rstrip("/"), saved.path or ""
        if folder and not path.startswith(f"{folder}/"):
            return None
        return path.removeprefix(f"{folder}/") if folder else path

    async def _spelled_by(self, text: str) -> list[str]:
        if not names_packages(text):
            return [text]
        if text not in self._fitting:
            self._fitting[text] = await self._names(text)
        return self._fitting[text]

    def _pattern(self, text: str) -> tuple[str, str]:
        """Of which registry, and of which names."""
        registry, _, pattern = text.removeprefix("quilt+").rpartition("#package=")
        return registry or self._reach.default, pattern

    async def _names(self, text: str) -> list[str]:
        url, pattern = self._pattern(text)
        registry, fits = self._reach.registry(url), Glob(pattern).matches
        beginning = pattern[: min(at for one in "*?" if (at := pattern.find(one)) >= 0)]
        names = [one for one in (await registry.pointers.names(beginning, "", None)).names if fits(one)]
        if not names:
            raise PackageNotFound(
                f"No package of {registry.url} fits {pattern!r}.",
                next_step="Call packages_list for the packages there are.",
                details={"package": pattern, "registry": registry.url},
            )
        if len(names) > MOST_PACKAGES:
            raise InvalidArgument(
                f"{len(names):,} packages of {registry.url} fit {pattern!r}, and one pattern may stand for {MOST_PACKAGES}.",
                next_step="Narrow the pattern, or ask package_entry, which holds the files of all packages.",
                details={"pattern": pattern},
            )
        return [str(PackageUri(registry.url, one)) for one in names]
