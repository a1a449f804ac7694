"""Stack: one Quilt stack as one user sees it: what it is, who is asking, which buckets that shows."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from quilt_mcp.auth.bearer import LOGIN_AT, Bearer
from quilt_mcp.auth.stack_http import StackHttp
from quilt_mcp.catalog.config import StackConfig
from quilt_mcp.catalog.failures import SharedFailure
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import number_of, object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.address import PhysicalKey, is_bucket
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import AuthenticationError, Misconfigured, StackRefused

_LONGEST_NAME: Final = 200
_MOST_ROLES: Final = 100
_UNDER_WAY: Final = "RestoreAlreadyInProgress"


@dataclass(frozen=True, slots=True)
class Bucket:
    """``relevance``: the stack's own order, highest first; below zero: not to be shown first."""

    name: str
    title: str | None
    relevance: float


class Stack:
    """Safe to share between threads. Every call may block; config.json is asked once.

    ``catalog_url`` or ``registry_url`` has to be there. Without a catalog (quilt3's configuration may name none) there is no
    config.json to ask, and what it would say is not known.
    """

    def __init__(
        self,
        bearer: Bearer,
        *,
        catalog_url: str | None,
        registry_url: str | None = None,
        http: StackHttp | None = None,
    ) -> None:
        self.catalog_url = catalog_url.rstrip("/") if catalog_url else None
        self._registry_url = registry_url
        self._http = http or StackHttp()
        self._config: StackConfig | None = None
        self._failure = SharedFailure()
        self._lock = threading.Lock()
        self.bearer = bearer
        self.http = self._http
        self.graph = Graph(self._http, self.registry_url, bearer)

    def registry_url(self) -> str:
        """Where requests go: as quilt3's configuration says, else as the catalog's. Raises as ``config``."""
        return self._registry_url or self.config().registry_url

    def config(self) -> StackConfig:
        """What the catalog says of its stack. Raises Misconfigured (no catalog is named, or this is no stack's),
        StorageUnavailable."""
        with self._lock:
            if self._config is None:
                with self._failure.attempt():
                    self._config = self._ask_config()
            return self._config

    def _ask_config(self) -> StackConfig:
        if self.catalog_url is None:
            raise Misconfigured(
                "quilt3's configuration names no catalog.",
                next_step=f"Run `{LOGIN_AT}`.",
                details={"command": LOGIN_AT},
            )
        return StackConfig.ask(self._http, self.catalog_url)

    def signed_in(self) -> SignedIn:
        """Who the stack takes the bearer for. Raises AuthenticationError where it is nobody to it."""
        return self._signed_in(self.graph.once("Me").get("me"))

    def switch_role(self, role: str) -> SignedIn:
        """For every session of this user, a browser's too. Raises StackRefused."""
        answer = self.graph.once("SwitchRole", role=role).get("switchRole")
        return self._signed_in(result(answer, "Me"))

    def restore(self, place: PhysicalKey, *, tier: str, days: int) -> bool:
        """Asks the stack to restore an archived object. False: that was under way already. Raises NotSupported (releases before
        1.70 have no such thing), PermissionDenied, StackRefused."""
        answer = self.graph.once(
            "RestoreObject",
            bucket=place.bucket,
            key=place.path,
            version=place.version_id,
            tier=tier.upper(),
            days=days,
        ).get("restoreObject")
        try:
            result(answer, "RestoreObjectSuccess")
        except StackRefused as error:
            said = {error.details.get("name"), object_of(error.details.get("context")).get("error_code")}
            if _UNDER_WAY not in said:
                raise
            return False
        return True

    def buckets(self) -> Sequence[Bucket]:
        """Those that the user's role shows, in the stack's order. A hint: S3 has the last word."""
        data = self.graph.query("Buckets", "BucketConfigs")
        found = [
            Bucket(name, text_of(row.get("title")), number_of(row.get("relevanceScore")) or 0.0)
            for row in objects_of(data.get("buckets", data.get("bucketConfigs")))
            if (name := text_of(row.get("name"))) is not None and is_bucket(name)
        ]
        return sorted(found, key=lambda one: (-one.relevance, one.name))

    def nobody(self) -> AuthenticationError:
        """To raise where the stack answers that the bearer is nobody."""
        return self.bearer.sign_in.refused(self.host)

    def _signed_in(self, me: object) -> SignedIn:
        found = object_of(me)
        if not found:
            raise self.nobody()
        names = [text_of(one.get("name")) for one in objects_of(found.get("roles"))]
        return SignedIn(
            str(found.get("name") or "")[:_LONGEST_NAME],
            str(found.get("email") or "")[:_LONGEST_NAME],
            text_of(object_of(found.get("role")).get("name")),
            tuple(name[:_LONGEST_NAME] for name in names if name is not None)[:_MOST_ROLES],
            found.get("isAdmin") is True,
        )

    @property
    def host(self) -> str:
        return urlsplit(self.catalog_url or self._registry_url or "").netloc
