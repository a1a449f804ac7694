"""Sources: the places credentials are looked for, and what stands there: quilt3's session, a token, AWS.

Nothing costly is imported or asked before there is a sign that it is worth it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quilt_mcp.auth.bearer import LOGIN, LOGIN_AT, GivenToken, SignIn
from quilt_mcp.auth.finding import Finding
from quilt_mcp.auth.identity import QuiltAccess, S3Access, TokenAccess
from quilt_mcp.config import Settings, quilt3_folder
from quilt_mcp.errors import AuthenticationError, QuiltError

if TYPE_CHECKING:
    from quilt_mcp.auth.aws.credentials import AwsCredentials
    from quilt_mcp.auth.quilt3_session import Quilt3Session, SavedSession

_UNREACHABLE_FOR: Final = 5.0
_REFUSED_FOR: Final = 300.0
"""Seconds before a session that could not be refreshed is tried again, unless quilt3's files change."""
_NO_SESSION: Final = "No saved quilt3 session was found."


@dataclass(frozen=True, slots=True)
class QuiltSession:
    """A session of ``quilt3 login``: whose it is, and the registry that quilt3 is configured to use, where it says so."""

    access: QuiltAccess
    user: str | None
    default_registry: str | None


@dataclass(frozen=True, slots=True)
class Token:
    """``user``: a name to show. ``digest``: of the token, different for any two."""

    access: TokenAccess
    user: str
    digest: str


class Sources:
    """Safe to share between threads. ``folder`` is where quilt3 keeps its files."""

    def __init__(self, environ: Mapping[str, str], *, folder: Path | None = None) -> None:
        self._environ = environ
        self._folder = folder
        self._lock = threading.Lock()
        self._failed: tuple[object, float, Finding[QuiltSession]] | None = None

    @cached_property
    def aws(self) -> AwsCredentials:
        from quilt_mcp.auth.aws.credentials import AwsCredentials

        return AwsCredentials(self._environ)

    @cached_property
    def _session(self) -> Quilt3Session:
        from quilt_mcp.auth.quilt3_files import Quilt3Files
        from quilt_mcp.auth.quilt3_session import Quilt3Session
        from quilt_mcp.auth.registry_http import RegistryHttp

        return Quilt3Session(Quilt3Files(self._session_folder()), RegistryHttp())

    def _session_folder(self) -> Path:
        if self._folder is None:
            self._folder = quilt3_folder()
        return self._folder

    def _has_session_file(self) -> bool:
        return (self._session_folder() / "auth.json").is_file()

    def quilt3(self) -> Finding[QuiltSession]:
        """quilt3's session, refreshed if it has expired."""
        if not self._has_session_file():
            return Finding(_NO_SESSION, LOGIN_AT)
        with self._lock:
            session = self._session
            stamp = session.stamp()
            if self._failed is not None:
                failed_at, since, finding = self._failed
                retryable = finding.error is not None and finding.error.retryable
                lasts = _UNREACHABLE_FOR if retryable else _REFUSED_FOR
                if failed_at == stamp and time.monotonic() - since < lasts:
                    return finding
            try:
                finding = self._look_at(session)
            except QuiltError as error:
                fix = str(error.details.get("command") or ("" if error.retryable else LOGIN))
                failed: Finding[QuiltSession] = Finding(error.message, fix, error=error)
                # The stamp after, as a refused refresh may have touched the files.
                self._failed = (session.stamp(), time.monotonic(), failed)
                return failed
            self._failed = None
            return finding

    def _look_at(self, session: Quilt3Session) -> Finding[QuiltSession]:
        saved = session.saved()
        if saved is None:
            return Finding(_NO_SESSION, LOGIN_AT)
        from quilt_mcp.auth.stack_http import check_url

        check_url(saved.registry_url, "registryUrl of quilt3's config.yml")
        if not session.is_fresh(saved):
            session.token()
        # quilt3's own boto3 goes by these variables and profiles, too.
        place = self.aws.access(anonymous=True)
        s3 = S3Access(session.keys, saved.region or place.region, place.endpoint_url, place.ca_bundle)
        access = QuiltAccess(s3, saved.registry_url, saved.catalog_url, session, session.renew_keys)
        return Finding("", found=QuiltSession(access, saved.user, saved.default_registry))

    def saved_session(self) -> SavedSession | None:
        """What quilt3's files say, without network. None where they say nothing or cannot be read."""
        if not self._has_session_file():
            return None
        with self._lock:
            session = self._session
        try:
            return session.saved()
        except QuiltError:
            return None

    def two_users(self, settings: Settings) -> tuple[str, str] | None:
        """Whom the settings' token and the saved session of the same catalog claim, where that differs. Nobody is asked: an API
        key claims nobody."""
        if not settings.jwt_token or not settings.catalog_url or settings.disable_quilt3_session:
            return None
        from quilt_mcp.auth.stack_http import is_same_url
        from quilt_mcp.auth.token import claimed_apart

        saved = self.saved_session()
        if saved is None or not saved.catalog_url or not is_same_url(saved.catalog_url, settings.catalog_url):
            return None
        return claimed_apart(settings.jwt_token, saved.tokens.access_token)

    def token(self, settings: Settings) -> Finding[Token]:
        """A token of the settings. Whether its registry takes it is for the registry to say."""
        if not (settings.jwt_token or settings.api_key or settings.api_key_file):
            return Finding(
                "Neither QUILT_JWT_TOKEN nor QUILT_API_KEY is set, nor is QUILT_API_KEY_FILE.",
                "export QUILT_API_KEY=qk_...",
            )
        if not settings.catalog_url:
            return _unusable(
                "A token is set, but not QUILT_CATALOG_URL, which says where it belongs.",
                "export QUILT_CATALOG_URL=https://your-catalog",
            )
        catalog = _catalog(settings.catalog_url)
        if isinstance(catalog, Finding):
            return catalog
        if settings.jwt_token:
            return self._jwt(catalog, settings.jwt_token, "QUILT_JWT_TOKEN")
        if settings.api_key_file is not None:
            return self._key_file(catalog, settings.api_key_file)
        return self._api_key(catalog, settings.api_key or "", "QUILT_API_KEY")

    def request_token(self, settings: Settings, token: str | None) -> Finding[Token]:
        """The token of an HTTP request, and of nobody else."""
        if not settings.catalog_url:
            return Finding("This server names no catalog (QUILT_CATALOG_URL), so it can check no token.")
        catalog = _catalog(settings.catalog_url)
        if isinstance(catalog, Finding):
            return catalog
        if token is None:
            return Finding("This server asks each request for a token.")
        what = "the token of this request"
        found = (
            self._api_key(catalog, token, what)
            if token.startswith("qk_")
            else self._jwt(catalog, token, what)
        )
        if (held := found.found) is None:
            return found
        bearer = GivenToken(token, SignIn(what, None))
        return replace(found, found=replace(held, access=replace(held.access, bearer=bearer)))

    def _jwt(self, catalog: str, token: str, what: str) -> Finding[Token]:
        from quilt_mcp.auth.token import claimed_user, fingerprint, is_token, jwt_claims

        fix = "export QUILT_JWT_TOKEN=..."
        claims = jwt_claims(token) if is_token(token) else None
        if claims is None:
            return _unusable(f"{what} is not a JWT.", fix)
        expires = claims.get("exp")
        if isinstance(expires, int | float) and expires <= time.time():
            return _unusable(f"{what} has expired.", fix)
        # Two tokens that claim the same user may differ in all that counts, so the name tells them apart.
        user = f"{claimed_user(token) or 'token'} #{fingerprint(token)}"
        return Finding(f"{what} is a JWT.", found=self._token(catalog, token, user, SignIn(what, fix)))

    def _key_file(self, catalog: str, file: Path) -> Finding[Token]:
        """Read at each decision: whoever replaces the key in it is that user from the next call on."""
        from quilt_mcp.auth.key_file import edit_command, read_key

        try:
            key = read_key(file)
        except AuthenticationError as error:
            return Finding(error.message, str(error.details["command"]), error=error)
        return self._api_key(catalog, key, f"QUILT_API_KEY_FILE ({file})", edit_command(file))

    def _api_key(
        self, catalog: str, key: str, what: str, fix: str = "export QUILT_API_KEY=qk_..."
    ) -> Finding[Token]:
        from quilt_mcp.auth.token import fingerprint, is_api_key

        if not is_api_key(key):
            return _unusable(f"{what} is not an API key (qk_...).", fix)
        user = f"API key #{fingerprint(key)}"
        return Finding(f"{what} is an API key.", found=self._token(catalog, key, user, SignIn(what, fix)))

    def _token(self, catalog: str, token: str, user: str, sign_in: SignIn) -> Token:
        place = self.aws.access(anonymous=True)
        digest = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        return Token(TokenAccess(catalog, GivenToken(token, sign_in), place), user, digest)


def _catalog(url: str) -> str | Finding[Token]:
    from quilt_mcp.auth.stack_http import check_url

    try:
        return check_url(url, "QUILT_CATALOG_URL")
    except QuiltError as error:
        return _unusable(error.message, "export QUILT_CATALOG_URL=https://your-catalog")


def _unusable(reason: str, fix: str) -> Finding[Token]:
    """A token that was given and cannot be used: an error, as whoever gave it meant to be that user and nobody else."""
    error = AuthenticationError(reason, next_step=f"Run `{fix}`.", details={"command": fix})
    return Finding(reason, fix, error=error)
