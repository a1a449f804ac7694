"""What the stack remembers: users, roles, policies, buckets, tokens and keys, all rows that can be taken away."""

from __future__ import annotations

import itertools
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt

READ, READ_WRITE = "READ", "READ_WRITE"
EVERY_BUCKET = "*"
TOKEN_SECONDS = 90 * 86400
CODE_SECONDS = 600
KEY_SECONDS = 3600

_ids = itertools.count(1)


def new_id(kind: str) -> str:
    return f"{kind}-{next(_ids)}"


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@dataclass
class Policy:
    title: str
    permissions: dict[str, str] = field(default_factory=dict)
    """By bucket; ``*`` is every bucket of the stack."""
    arn: str = ""
    managed: bool = True
    id: str = field(default_factory=lambda: new_id("policy"))


@dataclass
class Role:
    name: str
    arn: str
    policies: list[str] = field(default_factory=list)
    """Ids. An unmanaged role has none, and may do what its ARN may: here, everything."""
    managed: bool = True
    id: str = field(default_factory=lambda: new_id("role"))


@dataclass
class User:
    name: str
    email: str
    role: str
    extra_roles: list[str] = field(default_factory=list)
    is_admin: bool = False
    is_active: bool = True
    password: str = ""
    joined: float = field(default_factory=time.time)
    last_login: float = field(default_factory=time.time)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def roles(self) -> list[str]:
        return [self.role, *(name for name in self.extra_roles if name != self.role)]


@dataclass
class Token:
    user: str
    expires: float


@dataclass
class ApiKey:
    name: str
    secret: str
    user: str
    email: str
    expires: float
    created: float = field(default_factory=time.time)
    last_used: float | None = None
    id: str = field(default_factory=lambda: new_id("key"))

    @property
    def status(self) -> str:
        return "ACTIVE" if self.expires > time.time() else "EXPIRED"


@dataclass
class Keys:
    """AWS keys that were handed out: whose, and in which role."""

    user: str
    role: str
    expires: float


@dataclass
class BrowsingSession:
    user: str
    bucket: str
    name: str
    top_hash: str
    expires: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(16))


class Refused(Exception):
    """An answer of the registry's HTTP interface that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def new_bucket(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name.replace("-", " ").title(),
        "iconUrl": None,
        "description": None,
        "linkedData": None,
        "overviewUrl": None,
        "tags": [],
        "relevanceScore": 0,
        "lastIndexed": None,
        "browsable": True,
        "snsNotificationArn": None,
        "scannerParallelShardsDepth": None,
        "skipMetaDataIndexing": False,
        "fileExtensionsToIndex": None,
        "indexContentBytes": None,
        "prefixes": [""],
    }


class State:
    def __init__(self, profile: str, buckets: list[str]) -> None:
        self.profile = profile
        self.secret = secrets.token_hex(32)
        self.buckets: dict[str, dict[str, Any]] = {name: new_bucket(name) for name in buckets}
        self.tables: dict[str, dict[str, str]] = {}
        self.policies: dict[str, Policy] = {}
        self.roles: dict[str, Role] = {}
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.accepted: dict[str, str] = {}
        """Tokens that another server issued, and whose they are here."""
        self.codes: dict[str, Token] = {}
        self.api_keys: dict[str, ApiKey] = {}
        self.keys: dict[str, Keys] = {}
        self.sessions: dict[str, BrowsingSession] = {}
        self.default_role: str | None = None
        self.sso: dict[str, Any] | None = None
        self.open_query = False
        self.browse_redirects = False
        self.graph_search = True
        self.rules = {"omics": True, "ro-crate": False}
        self.add_role("reader", {EVERY_BUCKET: READ})
        self.add_role("writer", {EVERY_BUCKET: READ_WRITE})

    # roles

    def add_role(self, name: str, permissions: dict[str, str]) -> Role:
        policy = Policy(f"of {name}", dict(permissions))
        policy.arn = f"arn:aws:iam::123456789012:policy/{policy.id}"
        self.policies[policy.id] = policy
        role = Role(name, f"arn:aws:iam::123456789012:role/{name}", [policy.id])
        self.roles[role.id] = role
        self.default_role = self.default_role or role.id
        return role

    def role_named(self, name: str) -> Role | None:
        return next((role for role in self.roles.values() if role.name == name), None)

    def permissions(self, role_name: str) -> dict[str, str]:
        """By bucket of the stack, what a role may do there."""
        role = self.role_named(role_name)
        if role is None:
            return {}
        if not role.managed:
            return dict.fromkeys(self.buckets, READ_WRITE)
        found: dict[str, str] = {}
        for policy in (self.policies[id] for id in role.policies if id in self.policies):
            for named, level in policy.permissions.items():
                for bucket in self.buckets if named == EVERY_BUCKET else [named]:
                    if bucket in self.buckets and found.get(bucket) != READ_WRITE:
                        found[bucket] = level
        return found

    # tokens

    def new_token(self, user: User, seconds: float = TOKEN_SECONDS) -> tuple[str, float]:
        """A JWT whose claims say nothing but which row it is."""
        row, expires = str(uuid.uuid4()), time.time() + seconds
        self.tokens[row] = Token(user.name, expires)
        claims = {"id": user.id, "uuid": row, "exp": int(expires)}
        return jwt.encode(claims, self.secret, algorithm="HS256"), expires

    def new_api_key(self, user: User, name: str, days: float = 90) -> ApiKey:
        key = ApiKey(
            name, f"qk_{secrets.token_urlsafe(32)}", user.name, user.email, time.time() + days * 86400
        )
        self.api_keys[key.id] = key
        return key

    def row_of(self, token: str) -> str:
        try:
            claims = jwt.decode(token, self.secret, algorithms=["HS256"], options={"verify_exp": False})
            return claims["uuid"]
        except (jwt.PyJWTError, KeyError, UnicodeError):
            raise Refused(401, "Token could not be deserialized") from None

    def revoke(self, token: str) -> None:
        for key in [key for key in self.api_keys.values() if key.secret == token]:
            del self.api_keys[key.id]
        if not token.startswith("qk_"):
            self.tokens.pop(self.row_of(token), None)

    def user_of(self, token: str) -> User:
        """Whose a bearer is now. Raises ``Refused`` with the registry's own words."""
        if token.startswith("qk_"):
            key = next((key for key in self.api_keys.values() if key.secret == token), None)
            if key is None or key.status != "ACTIVE":
                raise Refused(401, "Token invalid.")
            key.last_used = time.time()
            name = key.user
        elif token in self.accepted:
            name = self.accepted[token]
        else:
            row = self.tokens.get(self.row_of(token))
            if row is None:
                raise Refused(401, "Token invalid.")
            if row.expires < time.time():
                raise Refused(401, "Outdated access token: please log in again")
            name = row.user
        user = self.users.get(name)
        if user is None:
            raise Refused(401, "Token invalid.")
        if not user.is_active:
            raise Refused(401 if self.profile == "26.8" else 403, "User is not active")
        return user
