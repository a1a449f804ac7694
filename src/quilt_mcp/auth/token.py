"""What a token says of itself. Nothing here proves anything: whether a token holds is for its registry to say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, Final, cast

_NAMES: Final = ("email", "username", "sub", "id")
_LONGEST_TOKEN: Final = 16 << 10
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


def claimed_user(access_token: str) -> str | None:
    """Name, else id, that a JWT carries about its user; None for anything else."""
    payload = jwt_claims(access_token)
    for claim in _NAMES:
        value = (payload or {}).get(claim)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200:
            return value
    return None


def claimed_apart(token: str, other: str) -> tuple[str, str] | None:
    """Two users whom two JWTs claim by the same claim; None where that is one user, or nothing can be compared."""
    claims, others = jwt_claims(token) or {}, jwt_claims(other) or {}
    for claim in _NAMES:
        one, two = claims.get(claim), others.get(claim)
        if one is not None and two is not None:
            names = claimed_user(token), claimed_user(other)
            return (names[0], names[1]) if one != two and names[0] and names[1] else None
    return None


def jwt_claims(token: str) -> dict[str, Any] | None:
    """The claims of a JWT, unverified; None when it is not one."""
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        return None
    decoded: list[dict[str, Any]] = []
    for part in parts[:2]:
        try:
            value: Any = json.loads(
                base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
            )
        except (binascii.Error, ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        decoded.append(cast("dict[str, Any]", value))
    return decoded[1]


def is_token(text: str) -> bool:
    """Whether a header takes it (RFC 6750)."""
    return len(text) <= _LONGEST_TOKEN and _TOKEN.fullmatch(text) is not None


def is_api_key(token: str) -> bool:
    """Whether it may be one: what follows the mark is the stack's own."""
    return token.startswith("qk_") and len(token) > 3 and is_token(token)


def fingerprint(secret: str) -> str:
    """Tells secrets apart in a name that is shown, and leads back to none."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()[:10]
