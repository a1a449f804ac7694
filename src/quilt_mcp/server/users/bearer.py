"""The bearer token that a request carries, by RFC 6750: one header, one scheme, no other characters than a token's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from quilt_mcp.auth.token import is_api_key, is_token, jwt_claims

LEEWAY: Final = 30
"""Seconds by which clocks may differ."""


def bearer_of(given: Sequence[bytes]) -> str | None:
    """Of the values of the header Authorization: an API key, or a JWT that does not itself say that it is over. None for
    everything else: nothing that cannot be a token is asked about."""
    if len(given) != 1:
        return None
    scheme, _, rest = given[0].decode("latin-1").partition(" ")
    token = rest.strip(" ")
    if scheme.lower() != "bearer" or not is_token(token):
        return None
    if token.startswith("qk_"):
        return token if is_api_key(token) else None
    claims = jwt_claims(token)
    if claims is None:
        return None
    ends = claims.get("exp")
    return None if isinstance(ends, int | float) and ends + LEEWAY <= time.time() else token
