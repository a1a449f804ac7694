"""StackKeys: the AWS keys that a stack gives a bearer, kept as long as they hold and the user's role stays the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from quilt_mcp.auth.registry_http import RegistryHttp
from quilt_mcp.catalog.failures import SharedFailure
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.errors import AuthenticationError, Misconfigured, QuiltError, StackFailed, StorageUnavailable
from quilt_mcp.storage.s3.clients import AwsKeys, KeySource

ROLE_SECONDS: Final = 60.0
"""How long after a switch of the role elsewhere, or after a token was revoked, the old keys may still be used."""
_MARGIN: Final = timedelta(minutes=5)
_AT_LEAST: Final = 30.0
_ASKED_AGAIN: Final = timedelta(minutes=4)
"""Keys are told to end so soon that clients ask here before each use, which costs nothing: so a change of the role is seen.
obstore keeps what ends in more than five minutes, botocore what ends in more than fifteen."""


def asked_before_each_use(source: KeySource) -> KeySource:
    """The same keys, told to end soon; not sooner, as the source vouches for them, whatever this machine's clock says."""

    def ask() -> AwsKeys:
        keys = source()
        return replace(keys, expires=datetime.now(UTC) + _ASKED_AGAIN, end=keys.end or keys.expires)

    return ask


class StackKeys:
    """A KeySource. Safe to share between threads; one request at a time, whatever waits for its answer."""

    def __init__(self, stack: Stack, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = stack
        self._registry = RegistryHttp(stack.http, stack.bearer.sign_in)
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: AwsKeys | None = None
        self._role: str | None = None
        self._looked = 0.0
        self._asked = 0.0
        self._failure = SharedFailure(clock)

    def keys(self) -> AwsKeys:
        """Raises AuthenticationError, PermissionDenied (the stack gives this user none), StorageUnavailable."""
        with self._lock:
            now = self._clock()
            if self._keys is None or self._ends(self._keys, now):
                return self._renewed()
            if now - self._looked < ROLE_SECONDS:
                return self._keys
            # Whoever comes meanwhile has the keys that are held, so that a stack which falls silent holds up one call alone.
            self._looked, held, before = now, self._keys, self._role
        try:
            role = self._current_role(before)
        except QuiltError:
            self._drop(held)  # the stack no longer knows this user: nobody goes on with these keys
            raise
        if role == before:
            return held
        self._drop(held)
        with self._lock:
            return self._keys or self._renewed()

    def _drop(self, held: AwsKeys) -> None:
        with self._lock:
            if self._keys is held:
                self._keys = None

    def _renewed(self) -> AwsKeys:
        self._keys = None
        with self._failure.attempt():
            # The role first: keys of a role that was taken up in between only look older than they are.
            self._role = self._current_role(self._role)
            self._keys = self._ask()
        self._asked = self._looked = self._clock()
        return self._keys

    def _ends(self, keys: AwsKeys, now: float) -> bool:
        """Keys that a stack gives for a few minutes only (or that this machine's clock takes for old) are not asked for anew at
        each use."""
        left = timedelta.max if keys.expires is None else keys.expires - datetime.now(UTC)
        return left < _MARGIN and now - self._asked >= _AT_LEAST

    def forget(self) -> None:
        """After a switch of the role."""
        with self._lock:
            self._keys = None
            self._failure.forget()

    def _ask(self) -> AwsKeys:
        bearer = self._stack.bearer
        token = bearer.token()
        url = self._stack.registry_url()
        try:
            return self._registry.aws_keys(url, token)
        except AuthenticationError:
            return self._registry.aws_keys(url, bearer.renew(token, self._stack.host))

    def _current_role(self, before: str | None) -> str | None:
        try:
            return self._stack.signed_in().role
        except (StorageUnavailable, StackFailed, Misconfigured):
            return before  # the keys still hold, and S3 may be in reach when the stack is not
