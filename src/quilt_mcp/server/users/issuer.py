"""Issuer: an authorization server that issues tokens for this server: they are checked here before anybody is asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, cast

from quilt_mcp.auth.stack_http import StackHttp, check_url
from quilt_mcp.errors import AuthenticationError, QuiltError, StorageBusy, StorageUnavailable
from quilt_mcp.server.users.bearer import LEEWAY
from quilt_mcp.storage.workers import in_thread

Algorithm = Literal["RS256", "ES256"]
READ: Final = "quilt:read"
WRITE: Final = "quilt:write"
KEYS_SECONDS: Final = 600.0
_ASKED_AGAIN: Final = 10.0
"""Seconds between two looks for a key that is not among those that are known."""
_WAIT_SECONDS: Final = 5.0
_MOST_WAITING: Final = 32
_TYPES: Final[Mapping[str, str]] = {"RS256": "RSA", "ES256": "EC"}
_LOOK: Final = "Try again; if it stays so, check QUILT_MCP_ISSUER_KEYS."
logger = logging.getLogger("quilt_mcp")


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
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0

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
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"], "verify_nbf": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _not_ours() from None
        return _scopes_of(claims)

    async def _key(self, key_id: object) -> Any:
        """A key that is known is had without asking; old ones are asked for anew beside that."""
        if not isinstance(key_id, str | None):
            raise _not_ours()
        age = self._clock() - self._asked
        if key_id in self._keys:
            if age > KEYS_SECONDS:
                self._start()
            return self._keys[key_id]
        if age > _ASKED_AGAIN or self._asking is not None:
            await self._wait(self._start())
        if not self._keys:
            raise StorageUnavailable("The issuer's keys cannot be had.", next_step=_LOOK)
        if key_id not in self._keys:
            raise _not_ours()
        return self._keys[key_id]

    def _start(self) -> asyncio.Task[None]:
        """One look at a time, for whoever waits."""
        if self._asking is None:
            self._asked = self._clock()
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked_for)
        return self._asking

    def _asked_for(self, task: asyncio.Task[None]) -> None:
        self._asking = None

    async def _wait(self, asking: asyncio.Task[None]) -> None:
        if self._waiting >= _MOST_WAITING:
            raise StorageBusy("Many tokens wait for the issuer's keys.", next_step="Try again in a moment.")
        self._waiting += 1
        try:
            await asyncio.wait([asking], timeout=_WAIT_SECONDS)
        finally:
            self._waiting -= 1

    async def _ask(self) -> None:
        """Keys that are held go on to serve while the issuer has none to tell."""
        try:
            answer = await in_thread(lambda: self._http.send("GET", self._keys_url).json(_LOOK))
        except QuiltError as error:
            logger.warning("the issuer's keys cannot be had: %s", error.message)
            return
        if found := self._read(answer):
            self._keys = found
        else:
            logger.warning("the issuer tells no key for %s at %s", self._algorithm, self._keys_url)

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
