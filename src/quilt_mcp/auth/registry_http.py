"""RegistryHttp: the two calls to a Quilt registry that credentials come from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

from quilt_mcp.auth.bearer import LOGIN, SignIn
from quilt_mcp.auth.quilt3_files import Tokens
from quilt_mcp.auth.stack_http import Answer, StackHttp, check_url
from quilt_mcp.errors import PermissionDenied
from quilt_mcp.storage.s3.clients import AwsKeys

_LOOK: Final = "Try again; is a proxy in the way, or is this no Quilt registry?"


SAVED_SESSION: Final = SignIn("the saved session", LOGIN)


class NoKeys(PermissionDenied):
    """A stack knows who asks and gives them no AWS credentials, which says nothing of what else they may do."""


class RegistryHttp:
    """Safe to share between threads."""

    def __init__(self, http: StackHttp | None = None, sign_in: SignIn = SAVED_SESSION) -> None:
        self._http = http or StackHttp()
        self._sign_in = sign_in

    def exchange(self, registry_url: str, refresh_token: str) -> Tokens:
        """Trades a refresh token, which is used up by it, for a new pair. One request, never repeated.

        Raises AuthenticationError when the registry refuses the token, StorageUnavailable when it cannot be asked.
        """
        url = check_url(registry_url, "registryUrl of quilt3's config.yml")
        answer = self._http.send("POST", f"{url}/api/token", form={"refresh_token": refresh_token})
        if answer.status in {400, 401, 403, 422}:
            raise self._sign_in.refused(answer.host)
        value = answer.json(_LOOK)
        if value.get("error") is not None:
            raise self._sign_in.refused(answer.host)
        tokens = Tokens.read(value)
        if tokens is None:
            raise answer.strange("an answer without tokens", _LOOK)
        return tokens

    def aws_keys(self, registry_url: str, bearer: str) -> AwsKeys:
        """AWS credentials of the session's role. Raises as ``exchange``, and NoKeys."""
        url = check_url(registry_url, "registryUrl of quilt3's config.yml")
        answer = self._http.send("GET", f"{url}/api/auth/get_credentials", bearer=bearer)
        if answer.status in {400, 401, 422}:
            raise self._sign_in.refused(answer.host)
        if answer.status == 403:
            raise NoKeys(
                f"The Quilt registry {answer.host} gives no AWS credentials to this user.",
                next_step="Ask an administrator of the stack whether the account is active and which buckets its role has.",
                details={"host": answer.host},
            )
        value = answer.json(_LOOK)
        return _read_keys(answer, value)


def _read_keys(answer: Answer, value: dict[str, Any]) -> AwsKeys:
    values = [value.get(k) for k in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")]
    if not all(isinstance(value, str) and value for value in values):
        raise answer.strange("an answer without AWS credentials", _LOOK)
    access, secret, token, expiration = cast("list[str]", values)
    expires = when(expiration)
    if expires is None:
        raise answer.strange("AWS credentials that end at no time", _LOOK)
    return AwsKeys(access, secret, token, expires)


def when(text: object) -> datetime | None:
    """An ISO 8601 time, UTC where it names no zone."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
