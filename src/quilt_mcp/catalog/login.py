"""Login: a person signs in to a stack by a code, and out again. What it leaves in quilt3's files is what quilt3 itself would.

quilt3's ``config.yml`` names one stack; signing in to another changes that, as ``quilt3 config`` does. Its ``auth.json`` holds a
session for each stack, and ``credentials.json`` one set of AWS keys, of whichever signed in last.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from quilt_mcp.auth.bearer import LOGIN, GivenToken, SignIn
from quilt_mcp.auth.quilt3_files import AUTH, CONFIG, CREDENTIALS, Quilt3Files, Tokens
from quilt_mcp.auth.quilt3_session import keys_entry
from quilt_mcp.auth.registry_http import RegistryHttp
from quilt_mcp.auth.stack_http import StackHttp, check_url
from quilt_mcp.auth.token import claimed_user, is_api_key
from quilt_mcp.catalog.config import StackConfig
from quilt_mcp.catalog.site import Site
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import (
    AuthenticationError,
    InvalidArgument,
    Misconfigured,
    QuiltError,
    StorageUnavailable,
)

_LONGEST_CODE: Final = 16 << 10
_REGISTRY: Final = "registryUrl"
_OF_STACK: Final = frozenset(
    {
        "navigator_url",
        _REGISTRY,
        "region",
        "s3Proxy",
        "apiGatewayEndpoint",
        "binaryApiGatewayEndpoint",
        "default_remote_registry",
    }
)
"""Settings of quilt3 that belong to one stack. The others are the person's own and stay."""


@dataclass(frozen=True, slots=True)
class Opened:
    """``who`` None: the stack could not be asked. ``backup``: what quilt3 was configured for before, where that was another."""

    who: SignedIn | None
    backup: Path | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """``user``: whose session it was, as its token claimed; None: it claimed nobody."""

    user: str | None
    warnings: tuple[str, ...] = ()


class Login:
    """Blocks. ``config``: of the stack to sign in to."""

    def __init__(self, files: Quilt3Files, config: StackConfig, http: StackHttp) -> None:
        self._files = files
        self._config = config
        self._http = http
        self.page = f"{config.registry_url}/login"
        """Where a person gets a code."""
        self._sign_in = SignIn("the code", f"{LOGIN} {config.catalog_url}")

    def require_writable(self) -> None:
        """Before a person is sent for a code. Raises Misconfigured where quilt3's folder takes no file, StorageBusy."""
        with _writable(self._files), self._files.locked(), self._files.replacing(AUTH):
            pass

    def sign_in(self, code: str) -> Opened:
        """Spends the code and replaces the three files, each as a whole. Other stacks' sessions stay.

        quilt3 takes no lock: a session of another stack that it saves in the same moment may be lost, as between two quilt3.
        Raises InvalidArgument (that is no code), AuthenticationError (the stack refuses it), StorageUnavailable, Misconfigured
        (the files cannot be written; the code may then be spent), StorageBusy.
        """
        _check_code(code)
        with _writable(self._files), self._files.locked():
            before, backup = self._configured(), None
            others = self._other_sessions()
            after = _configuration(before, self._config)
            with (
                self._files.replacing(CONFIG) as configuration,
                self._files.replacing(AUTH) as auth,
                self._files.replacing(CREDENTIALS) as credentials,
            ):
                tokens = self._exchange(code)
                keys, warnings = self._keys(tokens)
                if after != before:
                    backup = self._files.back_up(CONFIG)
                    configuration.commit_text(_yaml(after))
                auth.commit({**others, self._config.registry_url: tokens.entry()})
                credentials.commit(keys)
        who, more = self._who(tokens)
        return Opened(
            who, backup if _is_other(before, self._config.registry_url) else None, (*warnings, *more)
        )

    def _configured(self) -> Mapping[str, Any]:
        try:
            return self._files.config()
        except AuthenticationError:
            return {}  # broken; a copy of it is kept

    def _other_sessions(self) -> Mapping[str, Any]:
        """Those that cannot be read are kept in a copy, as quilt3 cannot go on with them either."""
        try:
            auth = self._files.auth()
        except AuthenticationError:
            self._files.back_up(AUTH)
            return {}
        return {url: entry for url, entry in auth.items() if not _is_same(url, self._config.registry_url)}

    def _exchange(self, code: str) -> Tokens:
        try:
            return RegistryHttp(self._http, self._sign_in).exchange(self._config.registry_url, code)
        except AuthenticationError as error:
            raise AuthenticationError(
                f"The Quilt stack at {error.details.get('host')} does not take this code.",
                next_step=f"Get a new one at {self.page} (each works once, for some minutes) and run `{self._sign_in.command}`.",
                details=error.details,
            ) from None

    def _keys(self, tokens: Tokens) -> tuple[dict[str, Any], tuple[str, ...]]:
        """None of the stack's: then none at all, as those that stand there are of another session."""
        try:
            keys = RegistryHttp(self._http, self._sign_in).aws_keys(
                self._config.registry_url, tokens.access_token
            )
        except QuiltError as error:
            return {}, (f"no_keys: {error.message} {error.next_step}",)
        return keys_entry(keys), ()

    def _who(self, tokens: Tokens) -> tuple[SignedIn | None, tuple[str, ...]]:
        bearer = GivenToken(tokens.access_token, self._sign_in)
        try:
            site = Site(self._config.catalog_url, self._config.registry_url)
            return Stack(bearer, site).signed_in(), ()
        except QuiltError as error:
            return None, (f"stack_not_asked: {error.message}",)


def sign_out(files: Quilt3Files, registry_url: str, http: StackHttp) -> Closed | None:
    """Revokes the session's tokens where the stack can be reached. In any case the session and the AWS keys go from quilt3's
    files. None: nobody was signed in there. Other stacks' sessions stay.

    Raises AuthenticationError (auth.json cannot be read), Misconfigured (it cannot be written), StorageBusy.
    """
    with _writable(files), files.locked():
        auth = files.auth()
        others = {url: entry for url, entry in auth.items() if not _is_same(url, registry_url)}
        closed, warnings = [entry for url, entry in auth.items() if url not in others], ()
        with files.replacing(AUTH) as sessions, files.replacing(CREDENTIALS) as credentials:
            tokens = [found for entry in closed if (found := Tokens.read(entry)) is not None]
            for one in tokens:
                warnings = _revoke(one, registry_url, http)
            sessions.commit(others)
            credentials.commit({})
    if not closed:
        return None
    return Closed(next((claimed_user(one.access_token) for one in tokens), None), warnings)


def _revoke(tokens: Tokens, registry_url: str, http: StackHttp) -> tuple[str, ...]:
    """A warning where it could not be done."""
    reason = None
    try:
        url = check_url(registry_url, "registryUrl of quilt3's config.yml")
        for token in dict.fromkeys((tokens.access_token, tokens.refresh_token)):
            answer = http.send("POST", f"{url}/api/logout", bearer=token)
            if answer.status != 401 and not 200 <= answer.status < 300:  # 401: it was no longer good
                reason = f"{answer.host} answered with status {answer.status}."
    except (StorageUnavailable, InvalidArgument) as error:
        reason = error.message
    if reason is None:
        return ()
    ends = datetime.fromtimestamp(min(tokens.expires_at, 4e9), UTC)
    return (f"not_revoked: {reason} The session's token is good until it ends ({ends:%Y-%m-%d}).",)


def _check_code(code: str) -> None:
    if is_api_key(code):
        raise InvalidArgument(
            "This is an API key, with which nobody signs in.",
            next_step="Put it into a file that only you can read (chmod 600) and set QUILT_API_KEY_FILE and QUILT_CATALOG_URL.",
        )
    if not code or len(code) > _LONGEST_CODE or not code.isascii() or not code.isprintable() or " " in code:
        raise InvalidArgument(
            f"{'What was given' if code else 'Nothing was given, which'} is no code.",
            next_step="Give the code that the page shows, in one line.",
        )


def _configuration(before: Mapping[str, Any], config: StackConfig) -> dict[str, Any]:
    is_other = _is_other(before, config.registry_url)
    kept = {name: value for name, value in before.items() if not (is_other and name in _OF_STACK)}
    ours = {
        "navigator_url": config.catalog_url,
        _REGISTRY: config.registry_url,
        "region": config.region,
        "s3Proxy": config.s3_proxy,
        "apiGatewayEndpoint": config.api_gateway,
    }
    return kept | {name: value for name, value in ours.items() if value is not None}


def _yaml(values: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(values))


def _is_other(before: Mapping[str, Any], registry_url: str) -> bool:
    url = before.get(_REGISTRY)
    return url is not None and not _is_same(str(url), registry_url)


def _is_same(url: str, registry_url: str) -> bool:
    """quilt3 keeps a closing slash."""
    return url.rstrip("/") == registry_url.rstrip("/")


@contextmanager
def _writable(files: Quilt3Files) -> Generator[None]:
    try:
        yield
    except OSError as error:
        folder = files.folder
        raise Misconfigured(
            f"quilt3's folder {folder}, where sessions are kept, cannot be written ({error.strerror}).",
            next_step=f"Permit it (chmod u+rwx {folder}), with space left, and type it again.",
            details={"folder": str(folder), "command": f"chmod u+rwx {folder}"},
        ) from error
