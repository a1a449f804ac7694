"""From what an S3 server or its clients raise to ``quilt_mcp.errors``, in one table.

A missing permission is told apart from a missing thing wherever S3 tells them apart; where it does not (without
s3:ListBucket a missing key answers 403), the message says so.
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from quilt_mcp.errors import (
    AuthenticationError,
    InvalidName,
    Misconfigured,
    NotSupported,
    ObjectArchived,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
    RegistryNotFound,
    StorageFull,
    StorageUnavailable,
    TooLarge,
)
from quilt_mcp.storage.s3.network import lost_on_the_way

_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,64}")
"""What is shown of S3's code, which whoever answers may choose."""
_IN_BODY: Final = re.compile(r"<(Code|Message)>(.{1,2000}?)</\1>", re.DOTALL)
_ACTION: Final = re.compile(r"not authorized to perform: ([a-z0-9-]{1,32}:[A-Za-z0-9]{1,64})\b")
_SAID: Final = 500
"""The most that is told of S3's message."""
_STATUS: Final = re.compile(r"(?:status:? |Server returned non-2xx status code: )(\d{3})")
_CLIENTS: Final = {"obstore", "botocore", "boto3", "s3transfer"}
_NO_LOCATION: Final = "Received redirect without LOCATION"

_SIGN_IN: Final = "Sign in again (`aws sso login`, `quilt-mcp login`, or new keys)"
_REFUSED_KEYS: Final = {
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "TokenRefreshRequired": "the credentials have expired",
    "InvalidAccessKeyId": "the access key is not known",
    "InvalidToken": "the session token is not valid",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "UnauthorizedAccess": "the credentials are not accepted",
}


@dataclass(frozen=True, slots=True)
class _Failure:
    """What is raised for any of these signs: S3's error codes, names of its clients' exceptions, HTTP statuses. The texts may
    name the {thing}, its {bucket}, the {action}, the {code}, {why} keys are refused, and the {http} status."""

    error: type[QuiltError]
    signs: str
    message: str
    next_step: str

    def fits(self, code: str, status: int | None) -> bool:
        return not {code, str(status)}.isdisjoint(self.signs.split())


_CHANGED: Final = _Failure(
    PreconditionFailed,
    "PreconditionFailed ConditionalRequestConflict PreconditionError AlreadyExistsError 412",
    "{thing} changed since it was read.",
    "Read it again and decide anew.",
)
_PASSES: Final = _Failure(
    StorageUnavailable,
    "RequestTimeout BadDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch IncompleteBody OperationAborted NoSuchUpload "
    "408 409 425",
    "The S3 server failed for {thing} ({code}{http}).",
    "Make the same call again in a moment; what was finished is not done twice.",
)
_DENIED: Final = _Failure(
    PermissionDenied,
    "AccessDenied Forbidden AllAccessDisabled PermissionDeniedError 403",
    "{action} on {thing} is not allowed (or it does not exist: without s3:ListBucket, S3 does not say which).",
    "Ask for the IAM action {action} on it, or sign in as somebody who has it. If the bucket is "
    "requester-pays: start the server with --requester-pays.",
)
_DENIED_BY_NAME: Final = replace(
    _DENIED,
    message="{action}, which the request for {thing} takes, is not allowed.",
    next_step="Ask for the IAM action {action}, on what S3's message (details.said) names.",
)
_NO_BUCKET: Final = _Failure(
    RegistryNotFound,
    "NoSuchBucket",
    "There is no bucket {bucket}.",
    "Check the name; registry_list shows the buckets in reach.",
)
_NO_OBJECT: Final = _Failure(
    ObjectNotFound,
    "NoSuchKey NotFound 404",
    "There is no object {thing}.",
    "List what is there with object_list.",
)
_FAILURES: Final = (
    _CHANGED,
    _PASSES,
    _Failure(
        StorageFull,
        "QuotaExceeded InsufficientStorage XMinioStorageFull XMinioAdminBucketQuotaExceeded 507",
        "{thing} does not fit: the S3 server has no space left, or a quota is used up ({code}).",
        "Free space there or raise the quota, then make the same call again.",
    ),
    _Failure(
        TooLarge,
        "EntityTooLarge MetadataTooLarge MaxMessageLengthExceeded 413",
        "{thing} is larger than the S3 server takes ({code}).",
        "Split it into smaller files, or ask whoever runs the server to raise the limit.",
    ),
    _Failure(
        AuthenticationError,
        " ".join(_REFUSED_KEYS),
        "S3 refused the request for {thing}: {why} ({code}).",
        f"{_SIGN_IN}; `quilt-mcp doctor` says which are used.",
    ),
    _Failure(
        AuthenticationError,
        "RequestTimeTooSkewed",
        "S3 refused the request for {thing}: this machine's clock differs too much from the server's ({code}).",
        f"{_SIGN_IN}, and set this machine's clock.",
    ),
    _Failure(
        AuthenticationError,
        "NoCredentialsError PartialCredentialsError CredentialRetrievalError TokenRetrievalError "
        "SSOTokenLoadError UnauthorizedSSOTokenError UnauthenticatedError",
        "There are no usable AWS credentials for {thing} ({code}).",
        "Sign in (`aws sso login`, `quilt-mcp login`, or set AWS keys); `quilt-mcp doctor` says what was tried.",
    ),
    _NO_BUCKET,
    replace(_NO_OBJECT, signs="NoSuchVersion", message="There is no object {thing} in that version."),
    _NO_OBJECT,
    _Failure(
        ObjectArchived,
        "InvalidObjectState ObjectNotInActiveTierError",
        "{thing} is in the archive (Glacier), and its bytes cannot be read before it is restored.",
        "Call object_restore with uri='{thing}': it takes minutes to two days and is charged for. Make this call when "
        "object_read with mode='info' tells state restored.",
    ),
    _Failure(
        StorageUnavailable,
        "GlacierExpeditedRetrievalNotAvailable",
        "S3 has no room for an expedited restore of {thing} now.",
        "Make the same call with tier='standard', or again in some minutes.",
    ),
    _Failure(
        Misconfigured,
        # RecursionError is botocore's, led round in a circle.
        "PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException RecursionError 301 302 303 307 308",
        "The request for s3://{bucket} was sent away: the bucket is in another region, or this is not its server ({code}).",
        "Set AWS_REGION to the bucket's region, and check AWS_ENDPOINT_URL and HTTPS_PROXY.",
    ),
    _DENIED,
    _Failure(
        NotSupported,
        "NotImplemented MethodNotAllowed NotSupportedError 405 501",
        "The S3 server does not support what {action} on {thing} needs ({code}).",
        "Use another server, or leave the option out.",
    ),
    _Failure(
        Misconfigured,
        "ValueError UnknownEndpointError EndpointProviderError InvalidRegionError NoRegionError",
        "What should answer for s3://{bucket} is no S3 server ({code}).",
        "Check AWS_ENDPOINT_URL and AWS_REGION; `quilt-mcp doctor` says which are used.",
    ),
    _Failure(
        InvalidName,
        "KeyTooLongError InvalidURI InvalidBucketName InvalidPathError ParamValidationError 414",
        "{thing} is not a name that S3 allows ({code}).",
        "Bucket names have 3 to 63 of a-z, 0-9, '-' and '.'; keys have at most 1,024 bytes.",
    ),
    _Failure(
        StorageUnavailable,
        "SlowDown ServiceUnavailable Throttling ThrottlingException TooManyRequests RequestLimitExceeded 429 503",
        "The S3 server asks for fewer requests than this for {thing} ({code}), after several tries.",
        "Wait a minute, then make the same call again; what was finished is not done twice.",
    ),
)
"""The first that fits is raised, so a code that says more stands before the status that it comes with."""
_OTHER: Final = replace(_PASSES, signs="")
_REFUSED: Final = _Failure(
    NotSupported,
    "",
    "The S3 server does not take the request for {thing} ({code}{http}): {said}",
    "The same call will be refused again. `quilt-mcp doctor` says which server and settings are used.",
)
"""Of any other status from 400 to 499."""


@contextmanager
def s3_errors(bucket: str, key: str | None, action: str) -> Generator[None]:
    """Around requests for one bucket (and key). ``action`` is the IAM action that the request needs, as 's3:GetObject'."""
    try:
        yield
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if library not in _CLIENTS and not isinstance(error, OSError | RuntimeError | ValueError | EOFError):
            raise
        raise _typed(error, bucket, key, action) from error


def _typed(error: Exception, bucket: str, key: str | None, action: str) -> QuiltError:
    name = type(error).__name__
    code, status, said = _answer_of(error)
    if code is None or _CHANGED.fits(name, None):
        code = name
    failure = next((one for one in _FAILURES if one.fits(code, status)), _OTHER)
    if failure not in (_CHANGED, _PASSES) and not isinstance(error, FileNotFoundError):
        lost = lost_on_the_way(error, status, bucket)
        if lost is not None:
            return lost
    if failure is _OTHER and status is not None and 400 <= status < 500:
        failure = _REFUSED
    if failure.error is ObjectNotFound and key is None:
        failure = _NO_BUCKET
    if failure is _DENIED and (named := _ACTION.search(said)):
        failure, action = _DENIED_BY_NAME, named[1]
    words = {
        "thing": f"s3://{bucket}" if key is None else f"s3://{bucket}/{key}",
        "bucket": bucket,
        "action": action,
        "code": code,
        "why": _REFUSED_KEYS.get(code),
        "http": f", HTTP {status}" if status else "",
        "said": said or "it does not say why.",
    }
    details = {"bucket": bucket, "key": key, "s3_code": code, "action": action, "http_status": status}
    return failure.error(
        failure.message.format_map(words),
        next_step=failure.next_step.format_map(words),
        details=details | ({"said": said} if said else {}),
    )


def _answer_of(error: Exception) -> tuple[str | None, int | None, str]:
    """S3's code, the HTTP status, and S3's message ('' for none)."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's ClientError
        about = response.get("Error", {})  # pyright: ignore
        code, said = str(about.get("Code", "")), str(about.get("Message", ""))  # pyright: ignore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # pyright: ignore
        return _shown(code), status if isinstance(status, int) else None, said[:_SAID]
    text = str(error)
    if _NO_LOCATION in text:
        return "PermanentRedirect", 301, ""
    found = {name: html.unescape(value) for name, value in _IN_BODY.findall(text)}
    status = 404 if isinstance(error, FileNotFoundError) else _STATUS.search(text)
    number = int(status[1]) if isinstance(status, re.Match) else status
    return _shown(found.get("Code", "")), number, found.get("Message", "")[:_SAID]


def _shown(code: str) -> str | None:
    return code if _CODE.fullmatch(code) else None
