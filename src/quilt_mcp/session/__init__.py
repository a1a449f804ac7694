"""A session: from a request to its identity, to the QuiltOps that serves it, to the reply of a tool.

The MCP server and the command line call tools here and nowhere else, so both give the same JSON.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from quilt_mcp.auth.decision import Decider
from quilt_mcp.auth.identity import Asker, Identity
from quilt_mcp.config import Settings
from quilt_mcp.domain.plan import Progress, no_progress
from quilt_mcp.domain.remembered import Remembered
from quilt_mcp.errors import InternalError, PermissionDenied, QuiltError, TooCostly
from quilt_mcp.ops import ABILITIES, QuiltOps
from quilt_mcp.session.pool import Pool
from quilt_mcp.storage.workers import Share, in_thread, share
from quilt_mcp.tools import find
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Reply, error_reply

if TYPE_CHECKING:
    from quilt_mcp.backends.common import Common

logger = logging.getLogger("quilt_mcp")

LISTING_SECONDS = 5.0
"""How long a listing of tools waits for a backend that may have more of them."""
CLOSING_SECONDS = 5.0
_ROLES_NAMED = 5
OpenBackend = Callable[[Identity, Settings], QuiltOps]


class Session:
    """Settings and the backends opened under them. Safe to share between concurrent requests, also of many users (then with
    what is ``common`` to them)."""

    def __init__(
        self,
        settings: Settings,
        *,
        open_backend: OpenBackend | None = None,
        common: Common | None = None,
    ) -> None:
        self.settings = settings
        self._read_only = replace(settings, allow_write=False)
        self._decider = Decider(settings)
        self._open_backend = open_backend
        self._common = common
        self.pool = Pool(settings.most_users)
        self._identities = Remembered[Asker, Identity](settings.most_users)
        self._shares = Remembered[str, Share](settings.most_users)

    def identity(self, asker: Asker = Asker()) -> Identity:  # noqa: B008 - frozen and without state
        """Decided anew for each request: a session saved or a variable set since is seen. Blocks and raises as
        ``Decider.decide``."""
        return self._decider.decide(asker)

    def may_write(self, asker: Asker) -> bool:
        """Whether anything may be written: what the stack or S3 allow is for them to say."""
        return self.settings.allow_write and asker.may_write

    async def ops(self, identity: Identity) -> QuiltOps:
        """The backend of this identity, opened at its first use."""
        key = (identity.kind, identity.principal, identity.registry, identity.scope, identity.may_write)
        async with self.pool.turn(key):
            opened = self.pool.get(key)
            if opened is not None:
                await opened.look_again()
            if opened is None or opened.is_outdated:
                self.pool.begin(key)
                opened = await in_thread(partial(self._open, identity), limiter=self.pool.limiter)
                self.pool.put(key, opened)
            return opened

    async def open_call(
        self,
        progress: Progress = no_progress,
        *,
        asker: Asker = Asker(),  # noqa: B008 - frozen and without state
    ) -> Call:
        """What a tool or resource works with. Raises as ``decide`` and as opening the backend does."""
        identity = await self._decided(asker)
        return Call(await self.ops(identity), self._settings(identity), identity, progress)

    async def _decided(self, asker: Asker) -> Identity:
        if not self.settings.serves_many:
            return await in_thread(partial(self.identity, asker))
        # Of the request alone: nothing is read or asked for it, so it stays what it is.
        found = self._identities.get(asker)
        return found or self._identities.set(asker, self.identity(asker))

    async def close(self) -> None:
        """Ends what waits for the next call, when there is none any more. Bounded in time, also where this is cancelled."""
        with anyio.move_on_after(CLOSING_SECONDS, shield=True):
            for one in self.pool.opened():
                await one.sql.close()

    def forget(self, digest: str) -> None:
        """What is held of a token, by its hash: it ended, or its user's role changed."""
        for asker in [one for one, held in self._identities.items() if digest in held.scope.split(" ")]:
            self._identities.forget(asker)
        self.pool.drop(digest)

    def _settings(self, identity: Identity) -> Settings:
        return self.settings if identity.may_write else self._read_only

    async def abilities(self, *, asker: Asker = Asker()) -> tuple[frozenset[str], bool]:  # noqa: B008 - frozen and without state
        """What the asker's backend can do beside what all can, and whether that is all; nothing while it cannot be had. One that
        can do no more is not opened for it."""
        from quilt_mcp.backends import WITH_ABILITIES

        ops: QuiltOps | None = None
        are_known = False
        with suppress(QuiltError, TimeoutError):
            async with asyncio.timeout(LISTING_SECONDS):
                identity = await self._decided(asker)
                if identity.kind in WITH_ABILITIES:
                    ops = await self.ops(identity)
                    await ops.learn()
                are_known = True
        return frozenset(one for one in ABILITIES if getattr(ops, one, None) is not None), are_known

    def _open(self, identity: Identity) -> QuiltOps:
        settings = self._settings(identity)
        if self._open_backend is not None:
            return self._open_backend(identity, settings)
        from quilt_mcp import backends

        return backends.open(identity, settings, self._common)

    async def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        progress: Progress = no_progress,
        *,
        asker: Asker = Asker(),  # noqa: B008 - frozen and without state
    ) -> Reply:
        """Runs a tool, among many users no longer than one may. Every failure comes back as a Reply with ``is_error``; only
        cancellation is raised.

        An unknown tool is an error reply too; the MCP server refuses that earlier, as the protocol asks.
        """
        made: Reply | None = None
        with anyio.move_on_after(self.most_seconds), self.shared_out(asker):
            made = await self._call(name, arguments, progress, asker)
        return made or error_reply(self.too_long(), self.settings.response_bytes())

    @contextmanager
    def shared_out(self, asker: Asker) -> Generator[None]:
        """Around a call: among many users, each has a share of what all of them wait for."""
        if not self.settings.serves_many or asker.user is None:
            yield
            return
        token = share.set(self._shares.get(asker.user) or self._shares.set(asker.user, Share()))
        try:
            yield
        finally:
            share.reset(token)

    @property
    def most_seconds(self) -> float:
        return float(self.settings.call_seconds) if self.settings.serves_many else math.inf

    def too_long(self) -> TooCostly:
        return TooCostly(
            f"The call took longer than the {self.settings.call_seconds} s that one may take on this server, and was cancelled.",
            next_step="Ask for less at once: a folder, fewer rows, fewer files. What was to be written is there as a whole or "
            "not at all: package_log tells.",
            details={"seconds": self.settings.call_seconds},
        )

    async def _call(self, name: str, arguments: Mapping[str, Any], progress: Progress, asker: Asker) -> Reply:
        budget = self.settings.response_bytes()
        opened: Call | None = None
        try:
            spec = find(name)
            understood, warnings = spec.understand(arguments, writes=self.may_write(asker))
            spec.check_place(is_shared=self.settings.serves_many)
            spec.check_writes(self.may_write(asker), understood)
            opened = await self.open_call(progress, asker=asker)
            await spec.check_needs(opened)
            return await spec.answer(opened, understood, warnings)
        except PermissionDenied as error:
            return error_reply(await _with_roles(error, opened), budget)
        except QuiltError as error:
            return error_reply(error, budget)
        except Exception as error:  # noqa: BLE001 - the edge: what nobody foresaw must not end the server
            return error_reply(unforeseen(error, name), budget)


async def _with_roles(error: PermissionDenied, call: Call | None) -> PermissionDenied:
    """What S3 refused a stack's user is for a role to open, and for nobody's start of a server."""
    action = error.details.get("action")
    if call is None or call.ops.roles is None or not isinstance(action, str):
        return error
    with suppress(QuiltError):
        user = await call.ops.roles.signed_in()
        others = [one for one in user.roles if one != user.role][:_ROLES_NAMED]
        switch = f" This user's other roles: {', '.join(others)} (role_switch)." if others else ""
        error.next_step = (
            f"The role {user.role or '(none)'} does not allow it ({action}). registry_list shows the buckets of the role."
            f"{switch} An administrator of the stack may allow it."
        )
    return error


def unforeseen(error: BaseException, doing: str) -> InternalError:
    """An error to show, without the exception's text (which may hold paths or secrets of this machine): that goes to the
    log of the server, under the number that the client is given."""
    number = secrets.token_hex(4)
    logger.error("internal error %s in %s", number, doing, exc_info=error)
    return InternalError(
        f"Something unforeseen went wrong (error {number}).",
        next_step=f"Report it with the lines about {number} from the server's standard error.",
        details={"error_id": number},
    )
