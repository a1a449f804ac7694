"""StackKeys: the AWS keys that a stack gives a bearer, kept as long as they hold and the user's role stays the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from quilt_mcp.auth.registry_http import RegistryHttp
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.errors import AuthenticationError, Misconfigured, StackFailed, StorageUnavailable
from quilt_mcp.storage.s3.clients import AwsKeys, KeySource

ROLE_SECONDS: Final = 60.0
"""How long after a switch of the role elsewhere, or after a token was revoked, the old keys may still be used."""
_MARGIN: Final = timedelta(minutes=5)
_ASKED_AGAIN: Final = timedelta(minutes=4)
"""Keys are told to end so soon that clients ask here before each use, which costs nothing: so a change of the role is seen.
obstore keeps what ends in more than five minutes, botocore what ends in more than fifteen."""


def asked_before_each_use(source: KeySource) -> KeySource:
    """The same keys, told to end soon."""

    def keys() -> AwsKeys:
        found, soon = source(), datetime.now(UTC) + _ASKED_AGAIN
        return replace(found, expires=min(found.expires or soon, soon))

    return keys


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

    def keys(self) -> AwsKeys:
        """Raises AuthenticationError, PermissionDenied (the stack gives this user none), StorageUnavailable."""
        with self._lock:
            now = self._clock()
            if self._keys is None or self._left(self._keys) < _MARGIN:
                # The role first: keys of a role that was taken up in between only look older than they are.
                self._role = self._current_role()
                self._keys, self._looked = self._ask(), now
            elif now - self._looked >= ROLE_SECONDS:
                role = self._current_role()
                if role != self._role:
                    self._keys = None
                    self._keys, self._role = self._ask(), role
                self._looked = now
            return self._keys

    def forget(self) -> None:
        """After a switch of the role."""
        with self._lock:
            self._keys = None

    def _ask(self) -> AwsKeys:
        bearer = self._stack.bearer
        token = bearer.token()
        url = self._stack.registry_url()
        try:
            return self._registry.aws_keys(url, token)
        except AuthenticationError:
            return self._registry.aws_keys(url, bearer.renew(token, self._stack.host))

    def _current_role(self) -> str | None:
        try:
            return self._stack.signed_in().role
        except (StorageUnavailable, StackFailed, Misconfigured):
            return self._role  # the keys still hold, and S3 may be in reach when the stack is not

    def _left(self, keys: AwsKeys) -> timedelta:
        return timedelta.max if keys.expires is None else keys.expires - datetime.now(UTC)
