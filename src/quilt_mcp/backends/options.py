"""Options: what any backend may reach, write and keep."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from quilt_mcp.athena.places import AthenaSettings
from quilt_mcp.auth.places import credential_files
from quilt_mcp.config import Settings, quilt3_local_registry
from quilt_mcp.domain.address import PhysicalKey, parse_registry
from quilt_mcp.errors import InvalidUri
from quilt_mcp.registry.manifests.shelf import Shelf
from quilt_mcp.storage.local.no_folders import NoFolders
from quilt_mcp.storage.local.stores import LocalStores


@dataclass(frozen=True, slots=True)
class Options:
    """``roots``: the local folders in reach, beside a registry that is one. ``cache``: a folder for manifests, which are kept
    up to ``cache_bytes``, and for files in the making. ``allowed``: the only buckets that may be used, None for whatever the
    credentials open. ``closed``: places of credentials that the machine's configuration names.
    ``through_stack``: a stack is asked for what it tells, and S3 for nothing. ``s3_proxy``: S3 is reached through
    the stack. ``local_registry``: URL or folder of quilt3's local registry, which a single user has beside any other.
    ``is_shared``: the server is many users': no folder of this machine is in reach. ``shelf``: of manifests, where several users'
    backends share one."""

    roots: tuple[Path, ...]
    writable: bool
    cache: Path
    cache_bytes: int
    allowed: frozenset[str] | None = None
    closed: tuple[Path, ...] = ()
    local_registry: str | None = None
    requester_pays: bool = False
    through_stack: bool = False
    s3_proxy: bool = False
    is_shared: bool = False
    shelf: Shelf | None = None
    athena: AthenaSettings = field(default_factory=AthenaSettings)
    tabulator: Path | None = None
    """The folder of Tabulator's tables."""
    owner: str = ""
    """Tells whose rights what is kept was read with."""
    stat_seconds: float = 0.0
    """How long a manifest that was there is taken to be as it was. For whoever reads a pinned revision by many small ranges, each
    of which would ask for the manifest again."""

    @classmethod
    def of(cls, settings: Settings, shelf: Shelf | None = None) -> Options:
        return cls(
            shelf=shelf,
            roots=settings.local_roots(),
            writable=settings.allow_write,
            cache=settings.cache_folder(),
            cache_bytes=settings.cache_bytes,
            allowed=frozenset(settings.allowed_buckets) or None,
            requester_pays=settings.requester_pays,
            through_stack=settings.through_stack,
            s3_proxy=settings.s3_proxy,
            is_shared=settings.serves_many,
            athena=AthenaSettings(
                settings.athena_workgroup,
                settings.athena_database,
                settings.athena_catalog,
                settings.athena_output,
            ),
            tabulator=settings.tabulator,
            local_registry=None if settings.serves_many else quilt3_local_registry(),
            closed=(settings.cache_folder(), *credential_files()),
        )

    def owner_of(self, registry: str) -> str:
        """Whose catalog of a registry another one must not see: of a bucket an identity's, of a folder that of the roots that are
        in reach."""
        return self.owner if registry.startswith("s3:") else "\n".join(sorted(map(str, self.roots)))

    def registries(self, default: str) -> tuple[str, ...]:
        """URLs of the configured registries, ``default`` first. Raises InvalidUri for that one; a local registry that quilt3's
        configuration spells wrong is none."""
        found = [parse_registry(default)]
        with suppress(InvalidUri):
            found += [parse_registry(self.local_registry)] if self.local_registry else []
        return tuple(dict.fromkeys(found))

    def local_stores(self, registries: Iterable[str]) -> LocalStores:
        """The folders among some registries, and the roots. Relative paths are below the first root, whatever argument they
        stand in (decision 025)."""
        if self.is_shared:
            return NoFolders()
        folders = [Path(PhysicalKey.parse(url).path) for url in registries if url.startswith("file:")]
        first_root = next(iter(self.roots), None)
        return LocalStores(
            folders, self.roots, create=self.writable, working_folder=first_root, closed=self.closed
        )
