"""UsersDoor: each request is its bearer's, or nobody's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from quilt_mcp.auth.identity import Asker
from quilt_mcp.errors import AuthenticationError, QuiltError, StorageBusy
from quilt_mcp.server.http.door import Guest
from quilt_mcp.server.http.refusal import Refusal, retry_after
from quilt_mcp.server.users.bearer import bearer_of
from quilt_mcp.server.users.fair_use import FairUse
from quilt_mcp.server.users.issuer import READ, WRITE, Issuer
from quilt_mcp.server.users.known_users import KnownUsers
from quilt_mcp.tools import find

_AGAIN_AFTER: Final = 2.0


class UsersDoor:
    """See ``http.door.Door``. ``host``: of the stack; ``metadata_url``: where it is told who issues tokens, if anybody does.

    Every bearer that is not let in gets the same answer: it does not tell a wrong one from one that is over, nor from none."""

    def __init__(
        self,
        known: KnownUsers,
        fair_use: FairUse,
        issuer: Issuer | None,
        *,
        host: str,
        metadata_url: str | None,
        allows_writes: bool,
    ) -> None:
        self._known = known
        self._fair_use = fair_use
        self._issuer = issuer
        self._allows_writes = allows_writes
        where = f', resource_metadata="{metadata_url}"' if metadata_url else ""
        challenge = (
            f'Bearer scope="{READ}{f" {WRITE}" if allows_writes else ""}"{where}' if issuer else "Bearer"
        )
        self._refused = Refusal(
            401,
            "This server asks each request for its user's token: Authorization: Bearer, with an API key (qk_...) of the Quilt "
            f"stack at {host}, or a {f'token of {issuer.name}' if issuer else 'session token of it'}. None was sent, or it does "
            "not hold.",
            ((b"www-authenticate", challenge.encode()),),
        )
        self._lacks = {
            scope: Refusal(
                403,
                f"The token was not issued for this: it lacks the scope {scope}.",
                (
                    (
                        b"www-authenticate",
                        f'Bearer error="insufficient_scope", scope="{needed}"{where}'.encode(),
                    ),
                ),
            )
            for scope, needed in ((READ, READ), (WRITE, f"{READ} {WRITE}"))
        }
        again = (retry_after(_AGAIN_AFTER),)
        why = f"The Quilt stack at {host} could not be asked whose request this is. Try again in a moment."
        self._not_asked = Refusal(503, why, again)
        self._busy = Refusal(503, "Many users are let in at this moment. Try again in a moment.", again)
        self._wrong = Refusal(
            503,
            f"This server cannot ask the Quilt stack at {host} whose request this is. Whoever runs it finds the cause in its "
            "log.",
        )

    async def admit(self, given: Sequence[bytes]) -> Guest | Refusal:
        token = bearer_of(given)
        if token is None:
            return self._refused
        may_write = True
        try:
            if self._issuer is not None and not token.startswith("qk_"):
                scopes = await self._issuer.scopes(token)
                if READ not in scopes:
                    return self._lacks[READ]
                may_write = WRITE in scopes
            user = await self._known.find(token)
        except AuthenticationError:
            return self._refused
        except StorageBusy:
            return self._busy
        except QuiltError as error:
            return self._not_asked if error.retryable else self._wrong
        return Guest(Asker("http", token, user.name, user.role, may_write), user.name)

    def turn(self, guest: Guest) -> AbstractContextManager[Refusal | None]:
        return self._fair_use.turn(guest.name)

    def allow(self, guest: Guest, body: bytes) -> Refusal | None:
        """A client that may sign in for more is told so where it calls a tool that writes; any other is told by the tool."""
        if guest.asker.may_write or not self._allows_writes:
            return None
        return self._lacks[WRITE] if _writes(body) else None


def _writes(body: bytes) -> bool:
    """Whether a request calls a tool so that it writes."""
    try:
        asked: Any = json.loads(body)
        if asked["method"] != "tools/call":
            return False
        spec = find(asked["params"]["name"])
        understood, _ = spec.understand(asked["params"].get("arguments") or {})
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError, QuiltError):
        return False
    return spec.does_write(understood)
