"""KnownUsers: whom the stack takes bearers for.

A stack's token cannot be checked here, as a rule: its registry alone knows whether it holds (it may be revoked at any time). So
the registry is asked who the bearer is, once for all that wait for it, and believed for less than a minute.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio

from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import (
    AuthenticationError,
    PermissionDenied,
    QuiltError,
    StorageBusy,
    StorageUnavailable,
)
from quilt_mcp.storage.locks import Locks
from quilt_mcp.storage.workers import in_thread

KNOWN_SECONDS: Final = 45.0
"""How long a user is believed to be who the stack said, and so the longest that a revoked token is served."""
REFUSED_SECONDS: Final = 5.0
LOST_SECONDS: Final = 2.0
"""How long a token that was refused, or could not be asked about, is answered so without asking again."""
MOST_REFUSED: Final = 10_000
TOKENS_OF_A_USER: Final = 8
"""One user's tokens take so many places, and no other user's."""
ASK_SECONDS: Final = 20.0
_STRANGERS_AT_ONCE: Final = 16
_STRANGERS_WAITING: Final = 96
_WAITING_OF_A_STRANGER: Final = 16
_WAITING_OF_A_USER: Final = 32
_KNOWN_AT_ONCE: Final = 16
logger = logging.getLogger("quilt_mcp")


@dataclass(frozen=True, slots=True)
class User:
    """``digest``: of the whole token, which is what a user is known by; ``name``, which the stack tells, is shown."""

    digest: str
    name: str
    role: str | None


class KnownUsers:
    """Safe between tasks of one event loop. ``ask`` may block; ``gone`` is told the digest of a token that no longer holds, whose
    user's role changed, or that was not used for longer than ``most`` others."""

    def __init__(
        self,
        ask: Callable[[str], SignedIn],
        gone: Callable[[str], None],
        most: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._gone = gone
        self._most = most
        self._clock = clock
        self._users: OrderedDict[str, tuple[float, User]] = OrderedDict()
        self._failures: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        """When, and whether it was refused (or else could not be asked about)."""
        self._turns = Locks[str]()
        self._waiting: Counter[str] = Counter()
        self._strangers_waiting = 0
        self._strangers = anyio.CapacityLimiter(_STRANGERS_AT_ONCE)
        self._known = anyio.CapacityLimiter(_KNOWN_AT_ONCE)
        """Threads of their own, so that nobody who is known waits for a flood of those who are not."""

    def __len__(self) -> int:
        return len(self._users)

    async def find(self, token: str) -> User:
        """Raises AuthenticationError (the stack takes it for nobody), StorageUnavailable (it could not be asked), Misconfigured
        (and never can be as it is), StorageBusy (too many wait to be known)."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        if (known := self._held(digest)) is not None:
            return known
        with self._place(digest):
            async with self._turns.held(digest):
                return self._held(digest) or await self._asked(token, digest)

    @contextmanager
    def _place(self, digest: str) -> Generator[None]:
        """To wait in. Whoever waits holds a connection, so a stranger's token has few of them, and all strangers some."""
        is_known = digest in self._users
        if self._waiting[digest] >= (_WAITING_OF_A_USER if is_known else _WAITING_OF_A_STRANGER):
            raise _busy()
        if not is_known and self._strangers_waiting >= _STRANGERS_WAITING:
            raise _busy()
        self._waiting[digest] += 1
        self._strangers_waiting += not is_known
        try:
            yield
        finally:
            self._strangers_waiting -= not is_known
            self._waiting[digest] -= 1
            if not self._waiting[digest]:
                del self._waiting[digest]

    def _held(self, digest: str) -> User | None:
        now = self._clock()
        since, user = self._users.get(digest, (0.0, None))
        if user is not None and now - since < KNOWN_SECONDS:
            self._users.move_to_end(digest)
            return user
        if digest in self._failures:
            failed, is_refused = self._failures[digest]
            if now - failed < (REFUSED_SECONDS if is_refused else LOST_SECONDS):
                raise _refused() if is_refused else _lost()
        return None

    async def _asked(self, token: str, digest: str) -> User:
        before, asked_at = self._users.get(digest), self._clock()
        try:
            limiter = self._strangers if before is None else self._known
            with anyio.fail_after(ASK_SECONDS):
                me = await in_thread(partial(self._ask, token), limiter=limiter)
        except (AuthenticationError, PermissionDenied):
            self._forget(digest)
            self._fail(digest, is_refused=True)
            raise _refused() from None
        except (QuiltError, TimeoutError) as error:
            said = error.message if isinstance(error, QuiltError) else f"no answer in {ASK_SECONDS:.0f} s"
            logger.warning("the stack could not be asked whose a token is: %s", said)
            if isinstance(error, QuiltError) and not error.retryable:
                raise
            self._fail(digest, is_refused=False)
            raise _lost() from None
        user = User(digest, me.name or me.email or f"token #{digest[:10]}", me.role)
        if before is not None and before[1] != user:
            self._gone(digest)
        self._failures.pop(digest, None)
        self._users[digest] = (asked_at, user)
        self._users.move_to_end(digest)
        own = [one for one, (_, held) in self._users.items() if held.name == user.name]
        for one in own[:-TOKENS_OF_A_USER]:
            self._forget(one)
        while len(self._users) > self._most:
            self._gone(self._users.popitem(last=False)[0])
        return user

    def _forget(self, digest: str) -> None:
        if self._users.pop(digest, None) is not None:
            self._gone(digest)

    def _fail(self, digest: str, *, is_refused: bool) -> None:
        self._failures[digest] = (self._clock(), is_refused)
        self._failures.move_to_end(digest)
        while len(self._failures) > MOST_REFUSED:
            self._failures.popitem(last=False)


def _refused() -> AuthenticationError:
    return AuthenticationError("The stack takes this token for nobody.", next_step="Sign in again.")


def _busy() -> StorageBusy:
    return StorageBusy("Many users are let in at this moment.", next_step="Try again in a moment.")


def _lost() -> StorageUnavailable:
    return StorageUnavailable(
        "The stack could not be asked whose this token is.", next_step="Try again in a moment."
    )
