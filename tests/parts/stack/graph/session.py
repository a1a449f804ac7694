"""The user's own: who they are, their role, their API keys, browsing sessions, what is restored from the archive."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError
from graphql import GraphQLError

from parts.stack.graph.asking import OK, Asking, invalid_input, operation_error
from parts.stack.holdings import Failure, failure_of
from parts.stack.state import ApiKey, BrowsingSession, User, moment

_SCOPE = re.compile(r"quilt\+s3://([^#/]+)#package=([^@&]+)@([0-9a-f]+)")


def me(info: Any) -> dict[str, Any] | None:
    asking: Asking = info.context
    return None if asking.user is None else _me(asking.user)


def _me(user: User) -> dict[str, Any]:
    return {
        "__typename": "Me",
        "name": user.name,
        "email": user.email,
        "isAdmin": user.is_admin,
        "role": {"name": user.role},
        "roles": [{"name": name} for name in user.roles],
        "apiKeys": lambda info, **given: _own_keys(info.context, **given),
        "apiKey": lambda info, id: next((key for key in _own_keys(info.context) if key["id"] == id), None),
    }


def signed_in(asking: Asking) -> User:
    if asking.user is None:
        raise GraphQLError("Not logged in", extensions={"code": "UNAUTHENTICATED"})
    return asking.user


def api_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "fingerprint": f"{key.secret[:5]}...{key.secret[-4:]}",
        "createdAt": moment(key.created),
        "expiresAt": moment(key.expires),
        "lastUsedAt": None if key.last_used is None else moment(key.last_used),
        "userEmail": key.email,
        "status": key.status,
    }


def chosen_keys(keys: list[dict[str, Any]], **wanted: str | None) -> list[dict[str, Any]]:
    names = {"email": "userEmail"}
    return [
        key
        for key in keys
        if all(value is None or key[names.get(name, name)] == value for name, value in wanted.items())
    ]


def _own_keys(asking: Asking, **wanted: str | None) -> list[dict[str, Any]]:
    user = signed_in(asking)
    mine = [api_key(key) for key in asking.state.api_keys.values() if key.user == user.name]
    return chosen_keys(mine, **wanted)


def switch_role(info: Any, roleName: str) -> dict[str, Any]:
    user = signed_in(info.context)
    if roleName not in user.roles:
        return operation_error(Failure("RoleNotFound", f"Role {roleName} is not among the user's"))
    user.extra_roles = [name for name in user.roles if name != roleName]
    user.role = roleName
    return _me(user)


def api_key_create(info: Any, input: dict[str, Any]) -> dict[str, Any]:
    asking: Asking = info.context
    user = signed_in(asking)
    if not 1 <= input["expiresInDays"] <= 365:
        return invalid_input("input.expiresInDays", "OutOfRange", "must be between 1 and 365")
    if not input["name"].strip():
        return invalid_input("input.name", "Empty", "must not be empty")
    if any(key.user == user.name and key.name == input["name"] for key in asking.state.api_keys.values()):
        return invalid_input("input.name", "NotUnique", "another key has this name")
    key = asking.state.new_api_key(user, input["name"], input["expiresInDays"])
    return {"__typename": "APIKeyCreated", "apiKey": api_key(key), "secret": key.secret}


def api_key_revoke(info: Any, id: str | None = None, secret: str | None = None) -> dict[str, Any]:
    asking: Asking = info.context
    user = signed_in(asking)
    for key in list(asking.state.api_keys.values()):
        if key.user == user.name and (key.id == id or key.secret == secret):
            del asking.state.api_keys[key.id]
            return OK
    return invalid_input("id" if secret is None else "secret", "NotFound", "there is no such key")


def browsing_session_create(info: Any, scope: str, ttl: int) -> dict[str, Any]:
    asking: Asking = info.context
    user = signed_in(asking)
    found = _SCOPE.fullmatch(scope)
    if not found:
        return invalid_input("scope", "InvalidScope", f"{scope!r} is no package revision")
    bucket, name, top_hash = (unquote(part) for part in found.groups())
    if not asking.reads(bucket):
        return operation_error(Failure("BucketNotFound", f"there is no bucket {bucket}"))
    if not asking.state.buckets[bucket]["browsable"]:
        return operation_error(Failure("BucketNotBrowsable", f"{bucket} is not browsable"))
    session = BrowsingSession(user.name, bucket, name, top_hash, time.time() + ttl)
    asking.state.sessions[session.id] = session
    return _session(session)


def _session(session: BrowsingSession) -> dict[str, Any]:
    return {"__typename": "BrowsingSession", "id": session.id, "expires": moment(session.expires)}


def _own_session(asking: Asking, id: str) -> BrowsingSession:
    session = asking.state.sessions.get(id)
    if session is None:
        raise Failure("SessionNotFound", "there is no such session")
    if session.user != signed_in(asking).name:
        raise Failure("OwnerMismatch", "the session is another user's")
    return session


def browsing_session_refresh(info: Any, id: str, ttl: int) -> dict[str, Any]:
    try:
        session = _own_session(info.context, id)
    except Failure as error:
        return operation_error(error)
    session.expires = time.time() + ttl
    return _session(session)


def browsing_session_dispose(info: Any, id: str) -> dict[str, Any]:
    try:
        del info.context.state.sessions[_own_session(info.context, id).id]
    except Failure as error:
        return operation_error(error)
    return OK


def restore_object(
    info: Any, bucket: str, key: str, tier: str, days: int, version: str | None = None
) -> dict[str, Any]:
    asking: Asking = info.context
    if not 1 <= days <= 90:
        return invalid_input("days", "OutOfRange", "must be between 1 and 90")
    if not asking.writes(bucket):
        return operation_error(Failure("Forbidden", f"{bucket} may not be written to"))
    place = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    try:
        restored = 'ongoing-request="false"' in asking.holdings.s3.head_object(**place).get("Restore", "")
        request = {"Days": days, "GlacierJobParameters": {"Tier": tier.capitalize()}}
        asking.holdings.s3.restore_object(**place, RestoreRequest=request)
    except ClientError as error:
        return operation_error(failure_of(error))
    return {"__typename": "RestoreObjectSuccess", "alreadyRestored": restored}


def status(info: Any) -> dict[str, Any]:
    now = moment(time.time())
    report = {"timestamp": now, "renderedReportLocation": {"bucket": "test-stack-status", "key": "1.html"}}
    canary = dict.fromkeys(("name", "region", "group", "title", "description", "schedule"), "search")
    return {
        "__typename": "Status",
        "canaries": [canary | {"ok": True, "lastRun": now}],
        "latestStats": {"passed": 1, "failed": 0, "running": 0},
        "stats": {"datetimes": [now], "passed": [1], "failed": [0]},
        "reports": {"total": 1, "page": [report]},
        "reportsBucket": "test-stack-status",
    }


_CONFIG = {
    "contentIndexingSettings": {
        "extensions": [".csv", ".json", ".md", ".txt"],
        "bytesDefault": 100_000,
        "bytesMin": 0,
        "bytesMax": 1_000_000,
    }
}

ROOT = {
    "me": me,
    "config": _CONFIG,
    "subscription": lambda info: {"active": True, "timestamp": moment(time.time())},
    "status": status,
    "switchRole": switch_role,
    "apiKeyCreate": api_key_create,
    "apiKeyRevoke": api_key_revoke,
    "browsingSessionCreate": browsing_session_create,
    "browsingSessionRefresh": browsing_session_refresh,
    "browsingSessionDispose": browsing_session_dispose,
    "restoreObject": restore_object,
}
