"""Issuer: an authorization server that issues tokens for this server: they are checked here before anybody is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

import anyio

from quilt_mcp.auth.stack_http import StackHttp, check_url
from quilt_mcp.errors import AuthenticationError, QuiltError, StorageUnavailable
from quilt_mcp.storage.workers import in_thread

Algorithm = Literal["RS256", "ES256"]
READ: Final = "quilt:read"
WRITE: Final = "quilt:write"
KEYS_SECONDS: Final = 600.0
_ASKED_AGAIN: Final = 10.0
"""Seconds between two looks for a key that is not among those that are known."""
_LEEWAY: Final = 30
"""Seconds by which clocks may differ."""
_TYPES: Final[Mapping[str, str]] = {"RS256": "RSA", "ES256": "EC"}
_LOOK: Final = "Try again; if it stays so, check QUILT_MCP_ISSUER_KEYS."


class Issuer:
    """Safe between tasks of one event loop.

    The algorithm is the configured one, whatever a token's header says; a key is looked for among the issuer's own by its id
    alone, and no address in a token is followed (RFC 8725)."""

    def __init__(
        self,
        name: str,
        keys_url: str,
        audience: str,
        algorithm: Algorithm,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises InvalidArgument for a URL that is not https, or http on loopback."""
        self.name = name
        self._keys_url = check_url(keys_url, "QUILT_MCP_ISSUER_KEYS")
        self._audience = audience
        self._algorithm = algorithm
        self._clock = clock
        self._http = StackHttp()
        self._keys: dict[str | None, Any] = {}
        self._asked = float("-inf")
        self._asking = anyio.Lock()

    async def scopes(self, token: str) -> frozenset[str]:
        """Those of a token that holds. Raises AuthenticationError for every other, StorageUnavailable while there are no keys."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != self._algorithm or "crit" in header:
                raise _not_ours()
            key = await self._key(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[self._algorithm],
                audience=self._audience,
                issuer=self.name,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud"], "verify_nbf": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _not_ours() from None
        return _scopes_of(claims)

    async def _key(self, key_id: object) -> Any:
        if not isinstance(key_id, str | None):
            raise _not_ours()
        async with self._asking:
            age = self._clock() - self._asked
            if age > KEYS_SECONDS or (key_id not in self._keys and age > _ASKED_AGAIN):
                await self._ask()
            if key_id not in self._keys:
                raise _not_ours()
            return self._keys[key_id]

    async def _ask(self) -> None:
        """Keys that are held go on to serve while the issuer cannot be asked."""
        self._asked = self._clock()
        try:
            answer = await in_thread(lambda: self._http.send("GET", self._keys_url).json(_LOOK))
            self._keys = self._read(answer)
        except QuiltError:
            if not self._keys:
                self._asked = float("-inf")
                raise StorageUnavailable(
                    "The issuer's keys cannot be had, so no token can be checked.", next_step=_LOOK
                ) from None

    def _read(self, answer: Mapping[str, Any]) -> dict[str | None, Any]:
        """By their ids. One key alone serves tokens that name none, too."""
        import jwt

        found: dict[str | None, Any] = {}
        told: Any = answer.get("keys")
        for one in cast("list[Any]", told)[:100] if isinstance(told, list) else []:
            try:
                key = jwt.PyJWK.from_dict(one, algorithm=self._algorithm)
            except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
                continue
            if key.key_type == _TYPES[self._algorithm] and one.get("use", "sig") == "sig":
                found[one["kid"] if isinstance(one.get("kid"), str) else None] = key.key
        if len(found) == 1:
            found[None] = next(iter(found.values()))
        return found


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    told: Any = claims.get("scope", claims.get("scp", ""))
    if isinstance(told, str):
        return frozenset(told.split())
    words = cast("list[Any]", told) if isinstance(told, list) else []
    return frozenset(one for one in words if isinstance(one, str))


def _not_ours() -> AuthenticationError:
    return AuthenticationError("The token is none of the issuer's.", next_step="Sign in again.")
