"""Quilt3Session: an access token and AWS keys from the session that ``quilt3 login`` saved, refreshed as quilt3 does.

A refresh token can be used once. So whoever refreshes holds the lock, has read the file again since it got the lock, and has
made the file that the new token goes to before the old one is spent. quilt3 takes no lock: when the registry refuses
a token, the file is read once more, as quilt3 may have been quicker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from quilt_mcp.auth.bearer import LOGIN, SignIn
from quilt_mcp.auth.quilt3_files import AUTH, CREDENTIALS, Quilt3Files, Stamp, Tokens
from quilt_mcp.auth.registry_http import SAVED_SESSION, RegistryHttp, when
from quilt_mcp.auth.token import claimed_user
from quilt_mcp.errors import AuthenticationError, StorageBusy, StorageUnavailable
from quilt_mcp.storage.s3.clients import AwsKeys

logger = logging.getLogger("quilt_mcp")

TOKEN_MARGIN: Final = 60.0
"""An access token that ends sooner than this (seconds) is refreshed first: quilt3's rule."""
KEYS_MARGIN: Final = timedelta(minutes=15)
"""The same for AWS keys: botocore's rule, and so quilt3's."""
KEYS_LAST_MOMENT: Final = timedelta(minutes=1)
_QUILT3_SAVES_WITHIN: Final = 20
_QUILT3_SAVES_STEP: Final = 0.05


@dataclass(frozen=True, slots=True)
class SavedSession:
    """What quilt3's files say, whether or not it has expired."""

    registry_url: str
    catalog_url: str | None
    region: str | None
    default_registry: str | None
    tokens: Tokens
    saved_keys: AwsKeys | None = field(repr=False)
    """The AWS keys of credentials.json, where they can only be this session's."""

    @property
    def user(self) -> str | None:
        """Who signed in, as the access token claims: a name to show, checked by nobody here."""
        return claimed_user(self.tokens.access_token)


@dataclass(frozen=True, slots=True)
class _Held:
    """AWS keys from the registry: when they came, and the refresh token of the session they belong to."""

    keys: AwsKeys
    session: str = field(repr=False)
    since: float


class Quilt3Session:
    """Follows the files: a login, a logout or a refresh by quilt3 is seen at the next call. Safe to share between threads.

    ``clock`` is unix time.
    """

    def __init__(
        self, files: Quilt3Files, registry: RegistryHttp, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._files = files
        self._registry = registry
        self._clock = clock
        self._lock = threading.RLock()
        self._read: tuple[Stamp, SavedSession | None] | None = None
        self._held: _Held | None = None
        self._unsaved: tuple[str, Tokens] | None = None
        """A pair that could not be saved, and the refresh token it replaces."""
        self._obtained: tuple[str, float] | None = None
        """The latest access token from the registry and when it came, by a clock that nobody sets."""

    def saved(self) -> SavedSession | None:
        """Without network. None: nobody is signed in. Raises AuthenticationError for files that are broken."""
        with self._lock:
            stamp = self._files.stamp()
            if self._read is None or self._read[0] != stamp:
                self._read = (stamp, self._load())
            return self._read[1]

    def stamp(self) -> Stamp:
        """Equal stamps: nobody wrote quilt3's files in between."""
        return self._files.stamp()

    def is_fresh(self, session: SavedSession) -> bool:
        """Whether its access token can be used as it is."""
        return self._fresh(self._tokens(session))

    @property
    def sign_in(self) -> SignIn:
        return SAVED_SESSION

    def token(self) -> str:
        """An access token that is good for a minute at least.

        Raises AuthenticationError (signed out, or the registry refuses to refresh), StorageUnavailable.
        """
        with self._lock:
            tokens = self._tokens(self._present())
            return (tokens if self._fresh(tokens) else self._refresh(None)).access_token

    def renew(self, refused: str, host: str) -> str:
        """Another access token than ``refused``, which the stack no longer takes. Raises as ``token``."""
        with self._lock:
            return self._refresh(refused).access_token

    def keys(self) -> AwsKeys:
        """AWS keys of the session's role. Raises as ``token``."""
        with self._lock:
            session = self._present()
            known = self._known_keys(session)
            if known is not None and self._keep(known):
                return known
            try:
                return self._ask_keys(session)
            except StorageUnavailable:
                if known is not None and self._left(known) >= KEYS_LAST_MOMENT:
                    return known
                raise

    def renew_keys(self) -> AwsKeys:
        """New ones, for quilt3 too, as the role that the ones before were of is no longer taken. Raises as ``token``."""
        with self._lock:
            return self._ask_keys(self._present())

    def _known_keys(self, session: SavedSession) -> AwsKeys | None:
        known = [session.saved_keys] if session.saved_keys is not None else []
        if self._held is not None and self._held.session == self._tokens(session).refresh_token:
            known.append(self._held.keys)
        return max(known, key=self._left, default=None)

    def _keep(self, keys: AwsKeys) -> bool:
        if self._left(keys) >= KEYS_MARGIN:
            return True
        # A registry that gives keys for a few minutes only is not asked at every call.
        held = self._held
        return (
            held is not None
            and held.keys is keys
            and time.monotonic() - held.since < TOKEN_MARGIN
            and self._left(keys) >= KEYS_LAST_MOMENT
        )

    def _ask_keys(self, session: SavedSession) -> AwsKeys:
        bearer = self.token()
        try:
            keys = self._registry.aws_keys(session.registry_url, bearer)
        except AuthenticationError:
            # The token looked good by our clock: refreshed once, and the answer to that is final.
            bearer = self._refresh(bearer).access_token
            keys = self._registry.aws_keys(session.registry_url, bearer)
        self._held = _Held(keys, self._tokens(self._present()).refresh_token, time.monotonic())
        self._save_keys(keys)
        return keys

    def _refresh(self, refused: str | None) -> Tokens:
        """``refused``: an access token that the registry no longer takes, however long it would last."""
        try:
            with self._files.locked():
                return self._refresh_locked(refused)
        except OSError as error:
            raise self._unwritable(error) from error

    def _refresh_locked(self, refused: str | None) -> Tokens:
        for _ in range(3):
            session = self._present()
            tokens = self._tokens(session)
            if tokens.access_token != refused and self._fresh(tokens):
                return tokens
            try:
                return self._trade(session, tokens)
            except AuthenticationError:
                if not self._changes_from(tokens):
                    raise
        raise AuthenticationError(
            "The quilt3 session changes faster than it can be refreshed.",
            next_step=f"Run `{LOGIN}`, with no other program using the session.",
            details={"command": LOGIN},
        )

    def _changes_from(self, tokens: Tokens) -> bool:
        """Whether the file holds another refresh token than the one refused; quilt3 may be just about to write it."""
        for _ in range(_QUILT3_SAVES_WITHIN):
            if self._tokens(self._present()).refresh_token != tokens.refresh_token:
                return True
            time.sleep(_QUILT3_SAVES_STEP)
        return False

    def _trade(self, session: SavedSession, tokens: Tokens) -> Tokens:
        new: Tokens | None = None
        before = self._files.auth()
        try:
            with self._files.replacing(AUTH) as replacement:
                new = self._registry.exchange(session.registry_url, tokens.refresh_token)
                self._obtained = (new.access_token, time.monotonic())
                self._unsaved = (session.tokens.refresh_token, new)
                replacement.commit({**self._others(before), session.registry_url: new.entry()})
                self._unsaved = None
        except OSError as error:
            if new is None:
                raise self._unwritable(error) from error
            logger.warning(
                "the refreshed quilt3 session could not be saved (%s): it ends with this process",
                error.strerror,
            )
        self._follow_held_keys(tokens, new)
        return new

    def _others(self, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """auth.json as it is now, as quilt3 may have written it since; whatever stands there, the new token is saved."""
        try:
            return self._files.auth()
        except AuthenticationError:
            return before

    def _unwritable(self, error: OSError) -> AuthenticationError:
        folder = self._files.folder
        return AuthenticationError(
            f"The quilt3 session has to be refreshed, and its new token could not be saved ({error.strerror}).",
            next_step=f"Make {folder} writable, with space left.",
            details={"folder": str(folder), "command": f"chmod u+rwx {folder}"},
        )

    def _follow_held_keys(self, old: Tokens, new: Tokens) -> None:
        if self._held is not None and self._held.session == old.refresh_token:
            self._held = replace(self._held, session=new.refresh_token)

    def _save_keys(self, keys: AwsKeys) -> None:
        """Where quilt3 keeps them, for it and for our other processes; a folder that takes no file is no reason to fail."""
        try:
            with self._files.locked(), self._files.replacing(CREDENTIALS) as replacement:
                replacement.commit(keys_entry(keys))
        except (OSError, StorageBusy) as error:
            logger.info("AWS keys of the quilt3 session are not saved (%s)", type(error).__name__)

    def _present(self) -> SavedSession:
        session = self.saved()
        if session is None:
            raise AuthenticationError(
                "The quilt3 session has ended: quilt3 is signed out.",
                next_step=f"Run `{LOGIN}`.",
                details={"command": LOGIN},
            )
        return session

    def _tokens(self, session: SavedSession) -> Tokens:
        """Those of the file, unless newer ones could not be saved there."""
        if self._unsaved is not None and self._unsaved[0] == session.tokens.refresh_token:
            return self._unsaved[1]
        return session.tokens

    def _fresh(self, tokens: Tokens) -> bool:
        if tokens.expires_at >= self._clock() + TOKEN_MARGIN:
            return True
        # Straight from the registry and yet expired: this machine's clock is ahead. Do not ask for another each time.
        return (
            self._obtained is not None
            and self._obtained[0] == tokens.access_token
            and time.monotonic() - self._obtained[1] < TOKEN_MARGIN
        )

    def _left(self, keys: AwsKeys) -> timedelta:
        if keys.expires is None:
            return timedelta.max
        return keys.expires - datetime.fromtimestamp(self._clock(), UTC)

    def _load(self) -> SavedSession | None:
        auth = self._files.auth()
        if not auth:
            return None
        config = self._files.config()
        registry = self._files.registry_url()
        if registry is None:
            return None
        tokens = self._files.tokens(registry)
        if tokens is None:
            return None

        def text(name: str) -> str | None:
            value = config.get(name)
            return value.strip() or None if isinstance(value, str) else None

        # One set of keys for all registries: with two of them signed in, nobody knows whose keys these are.
        keys = _read_keys(self._files.credentials()) if len(auth) == 1 else None
        catalog = text("navigator_url")
        return SavedSession(
            registry,
            catalog.rstrip("/") if catalog else None,
            text("region"),
            text("default_remote_registry"),
            tokens,
            keys,
        )


def keys_entry(keys: AwsKeys) -> dict[str, Any]:
    """What credentials.json holds."""
    return {
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
        "token": keys.token,
        "expiry_time": (keys.expires or datetime.now(UTC)).isoformat(),
    }


def _read_keys(content: dict[str, Any]) -> AwsKeys | None:
    values = [content.get(name) for name in ("access_key", "secret_key", "token")]
    expires = when(content.get("expiry_time"))
    if expires is None or not all(isinstance(value, str) and value for value in values):
        return None
    access, secret, token = cast("list[str]", values)
    return AwsKeys(access, secret, token, expires)
