"""What a token says of itself. Nothing here proves anything: whether a token holds is for its registry to say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Any, Final, cast

_LONGEST_TOKEN: Final = 16 << 10
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


def claimed_user(access_token: str) -> str | None:
    """Name, else id, that a JWT carries about its user; None for anything else."""
    payload = jwt_claims(access_token)
    for claim in ("email", "username", "sub", "id"):
        value = (payload or {}).get(claim)
        if isinstance(value, str) and value.isprintable() and 0 < len(value) <= 200:
            return value
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
