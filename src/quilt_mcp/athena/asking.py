"""Asking: one request to Athena's API, and what its refusals mean."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from quilt_mcp.errors import (
    AuthenticationError,
    InvalidArgument,
    Misconfigured,
    NotFound,
    PermissionDenied,
    QuiltError,
    StorageUnavailable,
)
from quilt_mcp.storage.workers import in_thread

_DOCTOR: Final = "`quilt-mcp doctor` says which credentials are used"
_SAID: Final = 500


@dataclass(frozen=True, slots=True)
class _Refusal:
    """``codes`` of Athena's errors or names of botocore's, and what the message has to have in it. The texts may name the
    {operation}, the {code} and what was {said}."""

    error: type[QuiltError]
    codes: str
    message: str
    next_step: str
    says: str = ""


NO_OUTPUT: Final = (
    "The workgroup has no place for results, and none is configured.",
    "Have its administrator set a query result location, or set QUILT_MCP_ATHENA_OUTPUT to s3://bucket/prefix/; "
    "or set QUILT_MCP_ATHENA_WORKGROUP to a workgroup that has one.",
)
_REFUSALS: Final = (
    _Refusal(
        AuthenticationError,
        "ExpiredToken ExpiredTokenException UnrecognizedClientException InvalidSignatureException InvalidClientTokenId "
        "MissingAuthenticationToken NoCredentialsError PartialCredentialsError CredentialRetrievalError "
        "UnauthorizedSSOTokenError SSOTokenLoadError TokenRetrievalError",
        "Athena does not accept the credentials ({code}).",
        f"Sign in again (`aws sso login`, `quilt-mcp login`, or new keys); {_DOCTOR}.",
    ),
    _Refusal(
        PermissionDenied,
        "AccessDeniedException AccessDenied UnauthorizedOperation",
        "athena:{operation} is not allowed: {said}",
        "Ask for the IAM action athena:{operation}, on what Athena's message names; or ask with engine='duckdb'.",
    ),
    _Refusal(
        StorageUnavailable,
        "ThrottlingException Throttling TooManyRequestsException RequestLimitExceeded 429",
        "Athena asks for fewer requests or queries than this ({code}): {said}",
        "Wait a minute, then make the same call again.",
    ),
    _Refusal(Misconfigured, "InvalidRequestException", NO_OUTPUT[0], NO_OUTPUT[1], says="output location"),
    _Refusal(
        Misconfigured,
        "InvalidRequestException",
        "The place for results cannot be used: {said}",
        "Have the workgroup's result location set to a bucket in its region that these credentials may write to.",
        says="output bucket",
    ),
    _Refusal(
        Misconfigured,
        "InvalidRequestException ResourceNotFoundException",
        "There is no such workgroup, or it is switched off: {said}",
        "Set QUILT_MCP_ATHENA_WORKGROUP to one that is there, or leave it unset to have one found.",
        says="workgroup",
    ),
    _Refusal(
        InvalidArgument,
        "InvalidRequestException",
        "The results of that query are not kept any more: {said}",
        "Call again without cursor: the query runs anew.",
        says="queryexecution",
    ),
    _Refusal(
        NotFound,
        "MetadataException ResourceNotFoundException EntityNotFoundException",
        "Athena's catalog does not have it: {said}",
        "sql_query's tables lists what is there.",
    ),
    _Refusal(
        InvalidArgument,
        "InvalidRequestException ValidationException ParamValidationError",
        "Athena does not take the request: {said}",
        "Change the query; the same will be refused again.",
    ),
    _Refusal(
        Misconfigured,
        "NoRegionError UnknownEndpointError SSLError InvalidRegionError ProxyConnectionError",
        "Athena cannot be reached ({code}).",
        "Check AWS_REGION, the network and HTTPS_PROXY.",
    ),
)
_OTHER: Final = _Refusal(
    StorageUnavailable,
    "",
    "Athena failed or cannot be reached ({operation}, {code}): {said}",
    "Check the network and AWS_REGION, then make the same call again.",
)
_LIBRARIES: Final = ("botocore", "boto3", "urllib3")


class Asking:
    """``make`` answers the client; it may block, and is called anew for each request, so that keys of another role are seen."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    async def ask(self, operation: str, /, **given: Any) -> dict[str, Any]:
        """``operation`` as the API calls it, as 'StartQueryExecution'."""

        def act() -> dict[str, Any]:
            try:
                return getattr(self._make(), _snake(operation))(**given)
            except QuiltError:
                raise
            except Exception as error:
                if type(error).__module__.partition(".")[0] not in _LIBRARIES and not isinstance(
                    error, OSError
                ):
                    raise
                raise told(error, operation) from error

        return await in_thread(act)

    async def pages(self, operation: str, items: str, /, **given: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of every page. A page may be empty and not be the last."""
        token: str | None = None
        seen = set[str]()
        while True:
            page = await self.ask(operation, **given, **({} if token is None else {"NextToken": token}))
            for one in page.get(items, ()):
                yield one
            token = page.get("NextToken")
            if not token or token in seen:
                return
            seen.add(token)


def told(error: Exception, operation: str) -> QuiltError:
    response: Any = getattr(error, "response", None)
    about: dict[str, Any] = (
        cast("dict[str, Any]", response).get("Error", {}) if isinstance(response, dict) else {}
    )
    code = str(about.get("Code") or type(error).__name__)
    said = str(about.get("Message") or error)[:_SAID]
    found = next((one for one in _REFUSALS if code in one.codes.split() and one.says in said.lower()), _OTHER)
    words = {
        "operation": operation,
        "code": code if re.fullmatch(r"[A-Za-z0-9.]{1,64}", code) else "?",
        "said": said,
    }
    return found.error(
        found.message.format_map(words),
        next_step=found.next_step.format_map(words),
        details={"operation": operation, "code": words["code"], "said": said},
    )


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
