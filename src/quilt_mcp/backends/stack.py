"""The backends of a Quilt stack's users, by the session of ``quilt3 login`` or by a token. Data goes straight to S3 with the AWS
keys that the stack gives them, as with IAM; links lead into the catalog, and the stack is asked for what only it knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import anyio

from quilt_mcp.auth.identity import S3Access
from quilt_mcp.backends.administration import (
    Bounds,
    declared_tables,
    of_administrators,
    of_own_keys,
    of_tables,
)
from quilt_mcp.backends.direct import DirectOps
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.backends.objects import checked_limit
from quilt_mcp.backends.options import Options
from quilt_mcp.backends.restores import Restores
from quilt_mcp.backends.searching.late import LateSearch
from quilt_mcp.catalog.config import StackConfig
from quilt_mcp.catalog.search.stack_search import StackSearch
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.domain.address import PackageUri, PhysicalKey
from quilt_mcp.domain.checksums import CRC64NVME, SHA256_CHUNKED
from quilt_mcp.domain.listing import Page, RegistryListing
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.search.request import Found, SearchRequest
from quilt_mcp.errors import AuthenticationError, NotSupported, PermissionDenied, QuiltError
from quilt_mcp.option import BackendName
from quilt_mcp.registry.layout import is_registrys_own
from quilt_mcp.registry.writing.house_rules import NO_RULES, HouseRules
from quilt_mcp.storage.s3.fast import is_plain
from quilt_mcp.storage.workers import in_thread

BELIEVED_SECONDS: Final = 30.0
"""How long a server of many users, whose door asks it too, believes a stack who is signed in."""
_NOT_ASKED_AGAIN: Final = 60.0
"""Seconds after which a catalog that could not be asked is asked again: no write after another waits for it."""


class OfStack(DirectOps):
    """DirectOps with what a stack adds: the buckets that a role shows, links into the catalog, roles, search."""

    _stack: Stack
    _allowed: Collection[str] | None
    _way: str
    _renew_keys: Callable[[], object]

    def _join(self, stack: Stack, options: Options, renew_keys: Callable[[], object]) -> None:
        self._stack = stack
        self._allowed = allowed = options.allowed
        self._renew_keys = renew_keys
        believed = BELIEVED_SECONDS if options.is_shared else 0.0
        self._user = _Roles(stack, self._role_switched, self._require_writes, self._see, believed)
        self.roles = self._user
        own = self.catalogs if self.keeps_catalogs and not options.through_stack else None
        self.search = _Search(StackSearch(stack.graph, self._shown, allowed), own)
        self.restores = Restores(self.locate, self._require_writes, stack.restore)
        self.queries.tabulator.told = partial(declared_tables, stack)
        self._learning = anyio.Lock()
        self._not_told: tuple[float, tuple[str, ...]] | None = None

    async def learn(self) -> None:
        async with self._learning:
            if self.keys is None:
                await self._user.signed_in()

    def _see(self, user: SignedIn) -> None:
        """Whoever asks the stack who is signed in brings it here, so that one made an administrator is seen at the next look."""
        bounds = Bounds(self._require_writes, lambda name: self._stores.registry(f"s3://{name}"))
        self.keys = self.keys or of_own_keys(self._stack, self._local, bounds)
        self.tables = self.tables or of_tables(self._stack, bounds)
        self.admin = (self.admin or of_administrators(self._stack, bounds)) if user.is_admin else None

    def _role_switched(self) -> None:
        """Another role may have other buckets, and AWS keys where this one has none."""
        self._renew_keys()
        self.is_outdated = True

    def _shown(self) -> list[str]:
        return [one.name for one in self._stack.buckets()]

    async def list_buckets(self, *, limit: int = 100, cursor: str | None = None) -> Page[RegistryListing]:
        """The configured registries, and the buckets that the stack shows to the user's role, with their titles."""
        try:
            buckets = await in_thread(self._stack.buckets)
        except AuthenticationError:
            raise
        except QuiltError as error:
            warning = f"stack_not_asked: {error.message} Only configured registries are shown."
            return self.registry_page(self.registries, limit, cursor, warnings=(warning,))
        titles = {f"s3://{one.name}": one.title for one in buckets}
        found = [f"s3://{one.name}" for one in buckets if self._allowed is None or one.name in self._allowed]
        return self.registry_page(
            tuple(dict.fromkeys((*self.registries, *found))), limit, cursor, titles=titles
        )

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"catalog": self._stack.catalog_url, "way": self._way}

    async def house_rules(self, registry: str) -> HouseRules:
        """As config.json tells, asked at the first write; a catalog that cannot be asked keeps nobody from writing."""
        if not registry.startswith("s3:"):
            return NO_RULES
        config, warnings = await self._told()
        if config is None:
            return HouseRules(warnings=warnings)
        hash_type = CRC64NVME if config.crc64_checksums else SHA256_CHUNKED
        root = (config.package_root or "").strip("/")
        if root and (is_registrys_own(root) or not is_plain(f"{root}/x")):
            warning = f"package_root: the stack's folder for package files ({root[:100]!r}) is none; they go to the root."
            return HouseRules("", hash_type, (warning,))
        return HouseRules(root, hash_type)

    async def may_download(self, registry: str) -> tuple[str, ...]:
        """As config.json tells. (Without a catalog nobody forbids it.)"""
        if not registry.startswith("s3:"):
            return ()
        config, warnings = await self._told()
        if config is not None and config.no_download:
            raise PermissionDenied(
                f"The stack at {self._stack.host} has downloads switched off (noDownload), so its files are neither installed "
                "nor linked to for a download.",
                next_step="Read its files with object_read. An administrator of the stack may switch downloads on.",
                details={"host": self._stack.host, "setting": "noDownload"},
            )
        return warnings

    async def _told(self) -> tuple[StackConfig | None, tuple[str, ...]]:
        """What the catalog tells of its stack; None where no catalog is named, or (then with a warning) it cannot be asked."""
        if self._stack.catalog_url is None:
            return None, ()
        if self._not_told is not None and time.monotonic() - self._not_told[0] < _NOT_ASKED_AGAIN:
            return None, self._not_told[1]
        try:
            return await in_thread(self._stack.config), ()
        except QuiltError as error:
            said = f"stack_not_asked: {error.message} What it wants of files is not known"
            warnings = (f"{said} (packageRoot, crc64Checksums, noDownload).",)
            self._not_told = (time.monotonic(), warnings)
            return None, warnings

    def _page(self, uri: str) -> str | None:
        """Source of the paths: the catalog's own routes (``/b/BUCKET/packages/NAME/tree/HASH/PATH``, ``/b/BUCKET/tree/KEY``)."""
        catalog = self._stack.catalog_url
        if catalog is None:
            return None
        if uri.startswith("quilt+"):
            package = PackageUri.parse(uri)
            if not package.registry.startswith("s3://"):
                return None
            bucket = package.registry.removeprefix("s3://")
            path = quote(package.path or "")
            return f"{catalog}/b/{bucket}/packages/{package.name}/tree/{package.top_hash}/{path}"
        key = PhysicalKey.parse(uri)
        if key.bucket is None:
            return None
        version = f"?version={quote(key.version_id, safe='')}" if key.version_id else ""
        return f"{catalog}/b/{key.bucket}/tree/{quote(key.path)}{version}"


class StackOps(OfStack, IamOps):
    """Straight to S3, with the AWS keys that the stack gives."""

    def __init__(
        self,
        stack: Stack,
        access: S3Access,
        registry: str,
        options: Options,
        *,
        backend: BackendName,
        renew_keys: Callable[[], object],
    ) -> None:
        super().__init__(access, registry, options, backend=backend)
        self._way = "direct" if access.s3_proxy is None else "stack's S3 proxy"
        self._join(stack, options, renew_keys)


class _Roles:
    """See ``ops.SupportsRoles``."""

    def __init__(
        self,
        stack: Stack,
        renew_keys: Callable[[], object],
        require_writes: Callable[[str], None],
        see: Callable[[SignedIn], None],
        believed: float,
    ) -> None:
        """``believed``: seconds for which what the stack said is said again."""
        self._believed = believed
        self._said: tuple[float, SignedIn] | None = None
        self._stack = stack
        self._see = see
        self._renew_keys = renew_keys
        self._require_writes = require_writes

    async def signed_in(self) -> SignedIn:
        if self._said is not None and time.monotonic() - self._said[0] < self._believed:
            return self._said[1]
        asked = time.monotonic()
        found = await in_thread(self._stack.signed_in)
        self._said = asked, found
        self._see(found)
        return found

    async def switch_role(self, role: str) -> SignedIn:
        self._require_writes("role_switch")
        self._said = None
        try:
            return await in_thread(partial(self._stack.switch_role, role))
        finally:  # an answer that was lost may have switched it
            await in_thread(self._renew_keys)


class _Search:
    """See ``ops.SupportsSearch``: the stack's own search, and by choice this server's over the buckets that are named."""

    def __init__(self, search: StackSearch, catalogs: LateSearch | None) -> None:
        """``catalogs`` None: this process keeps none, as it serves many users or reads nothing but through the stack."""
        self._search = search
        self._catalogs = catalogs

    async def search(
        self,
        request: SearchRequest,
        *,
        limit: int = 30,
        cursor: str | None = None,
        progress: Progress = no_progress,
    ) -> Found:
        most = checked_limit(limit) if limit else 0
        if request.engine == "local" or (request.engine == "auto" and request.scope == "entries"):
            if self._catalogs is None:
                raise NotSupported(
                    "This server keeps no catalog of its own: it serves many users, or reads everything through the stack.",
                    next_step="Leave engine out, and search over packages, whose hits name files that matched, or objects.",
                )
            return await self._catalogs.search(request, limit=most, cursor=cursor, progress=progress)
        if request.scope == "entries":
            raise NotSupported(
                "A stack's search is over packages and objects, and tells of each package some files that matched.",
                next_step="Search with scope=packages, or with engine=local.",
            )
        return await in_thread(partial(self._search.page, request, most, cursor))

    async def learn_columns(self, uri: str, columns: Sequence[str]) -> None:
        if self._catalogs is not None:
            await self._catalogs.learn_columns(uri, columns)
