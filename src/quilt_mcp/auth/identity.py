"""Who is asking, and what they use: the answer of the one decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from quilt_mcp.option import BackendName

if TYPE_CHECKING:
    from quilt_mcp.auth.bearer import Bearer
    from quilt_mcp.storage.s3.clients import KeySource


@dataclass(frozen=True, slots=True)
class Asker:
    """What a request brings that a decision may look at. ``token`` is the bearer token of an HTTP request; ``user`` and ``role``
    are whom the stack takes it for, ``may_write`` is whether it was issued for writing too."""

    transport: Literal["stdio", "http", "command"] = "stdio"
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    role: str | None = None
    may_write: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend that was considered. ``reason`` says why it was chosen, or why it was passed over."""

    kind: BackendName
    chosen: bool
    reason: str
    fix: str = ""
    """The one command that would make a candidate usable; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is probably not meant, under a short name, and what mends it."""

    name: str
    text: str
    fix: str


@dataclass(frozen=True, slots=True)
class Identity:
    """``principal`` is a name to show; it holds no secret. Backends are kept by it, the kind, the registry and ``scope``.

    ``registry`` is the default registry, as given (a URL or a folder); None: the stack's first bucket. ``credentials`` is what
    the backend of ``kind`` needs: S3Access for iam, QuiltAccess for quilt3, TokenAccess for platform, None for local.
    """

    kind: BackendName
    principal: str
    registry: str | None
    explanation: tuple[Candidate, ...]
    credentials: Any = field(default=None, repr=False)
    scope: str = field(default="", repr=False)
    """What tells apart identities that are shown alike: a stack's whole addresses, the hash of a token, the role that was
    observed."""
    notes: tuple[Note, ...] = ()
    may_write: bool = True
    """Never more than the server may."""


@dataclass(frozen=True, slots=True)
class S3Access:
    """How S3 is reached. ``keys`` None: unsigned requests. ``endpoint_url`` None: AWS itself. ``ca_bundle``: a file of
    certificate authorities to trust, None for the system's. ``s3_proxy``: a stack's URL that takes AWS's requests.

    ``keys`` answers keys that are good now, refreshing them where it must; it may block, and raises AuthenticationError
    (they ended and cannot be had anew) or StorageUnavailable (whoever gives them is out of reach).
    """

    keys: KeySource | None = field(repr=False)
    region: str | None = None
    endpoint_url: str | None = None
    ca_bundle: str | None = None
    s3_proxy: str | None = None


@dataclass(frozen=True, slots=True)
class QuiltAccess:
    """A session with a Quilt stack, and its AWS keys.

    ``catalog_url`` None: quilt3's configuration names none, so there are no links into a catalog.
    """

    s3: S3Access
    registry_url: str
    catalog_url: str | None
    bearer: Bearer = field(repr=False)
    renew_keys: Callable[[], object] = field(repr=False)
    """Has the AWS keys asked for anew, after the user's role was switched."""


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """A token and the catalog it belongs to. ``s3``: where S3 is, without keys, which the stack gives."""

    catalog_url: str
    bearer: Bearer = field(repr=False)
    s3: S3Access
