"""Stack: one Quilt stack as one user sees it: who is asking, which buckets that shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from quilt_mcp.auth.bearer import Bearer
from quilt_mcp.auth.stack_http import StackHttp
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import number_of, object_of, objects_of, text_of
from quilt_mcp.catalog.site import Site
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.address import PhysicalKey, is_bucket
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import AuthenticationError, StackRefused

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
    """Safe to share between threads. Every call may block. Users of one ``site`` share nothing else."""

    def __init__(self, bearer: Bearer, site: Site) -> None:
        self.site = site
        self.catalog_url = site.catalog_url
        self.host = site.host
        self.registry_url = site.registry_url
        self.config = site.config
        self.bearer = bearer
        self.http = StackHttp(site.trust)
        self.graph = Graph(self.http, site.registry_url, bearer, site.taken)

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
