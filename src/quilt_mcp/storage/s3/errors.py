"""From what an S3 server or its clients raise to ``quilt_mcp.errors``, in one place.

A missing permission is told apart from a missing thing wherever S3 tells them apart; where it does not (without
s3:ListBucket a missing key answers 403), the message says so.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from quilt_mcp.errors import (
    AuthenticationError,
    InvalidName,
    NotSupported,
    ObjectArchived,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
    RegistryNotFound,
    StorageUnavailable,
)
from quilt_mcp.storage.s3.network import lost_on_the_way

_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]+)</Code>")
_STATUS: Final = re.compile(r"(?:status:? |Server returned non-2xx status code: )(\d{3})")
_NO_LOCATION: Final = "Received redirect without LOCATION"

_SIGN_IN: Final = {
    "ExpiredToken": "the credentials have expired",
    "ExpiredTokenException": "the credentials have expired",
    "TokenRefreshRequired": "the credentials have expired",
    "InvalidAccessKeyId": "the access key is not known",
    "InvalidToken": "the session token is not valid",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the server's",
    "UnauthorizedAccess": "the credentials are not accepted",
}
_WRONG_REGION: Final = {
    "RecursionError",  # botocore, led round in a circle
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}
_THROTTLED: Final = {
    "SlowDown",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "RequestLimitExceeded",
}


@contextmanager
def s3_errors(bucket: str, key: str | None, action: str) -> Generator[None]:
    """Around requests for one bucket (and key). ``action`` is the IAM action that the request needs, as 's3:GetObject'."""
    try:
        yield
    except QuiltError:
        raise
    except FileNotFoundError as error:
        raise _not_found(bucket, key, _code_of(str(error))) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise _other(error, bucket, key, action) from error
    except Exception as error:
        if not _is_client_error(error):
            raise
        raise _other(error, bucket, key, action) from error


def _is_client_error(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {"obstore", "botocore", "boto3", "s3transfer"}


def _other(error: Exception, bucket: str, key: str | None, action: str) -> QuiltError:
    name = type(error).__name__
    code, status = _code_and_status(error)
    if (
        name in {"PreconditionError", "AlreadyExistsError"}
        or status == 412
        or code
        in {
            "PreconditionFailed",
            "ConditionalRequestConflict",
        }
    ):
        return PreconditionFailed(
            f"{_thing(bucket, key)} changed since it was read.",
            next_step="Read it again and decide anew.",
            details={"bucket": bucket, "key": key, "found": None},
        )
    if (lost := lost_on_the_way(error, status, bucket)) is not None:
        return lost
    return from_code(code or name, status, bucket, key, action)


def from_code(code: str, status: int | None, bucket: str, key: str | None, action: str) -> QuiltError:
    """By S3's error code where there is one, else by HTTP status."""
    thing = _thing(bucket, key)
    details = {"bucket": bucket, "key": key, "s3_code": code, "action": action, "http_status": status}
    if code in _SIGN_IN:
        return AuthenticationError(
            f"S3 refused the request for {thing}: {_SIGN_IN[code]} ({code}).",
            next_step="Sign in again (`aws sso login`, `quilt3 login`, or new keys)"
            + (
                ", and set this machine's clock."
                if code == "RequestTimeTooSkewed"
                else "; `quilt-mcp doctor` says which are used."
            ),
            details=details,
        )
    if code in {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "UnauthenticatedError",
    }:
        return AuthenticationError(
            f"There are no usable AWS credentials for {thing} ({code}).",
            next_step="Sign in (`aws sso login`, `quilt3 login`, or set AWS keys); `quilt-mcp doctor` says what was tried.",
            details=details,
        )
    if code in {"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotFound", "404"} or status == 404:
        return _not_found(bucket, key, code)
    if code == "InvalidObjectState":
        return ObjectArchived(
            f"{thing} is in an archive storage class (Glacier) and has not been restored.",
            next_step="Restore it first (aws s3api restore-object, or the catalog's Restore), then make the same call again.",
            details=details,
        )
    if code in _WRONG_REGION or status in {301, 302, 307}:
        return StorageUnavailable(
            f"The request for s3://{bucket} was sent away: the bucket is in another region, or this is not its server ({code}).",
            next_step="Set AWS_REGION to the bucket's region, and check AWS_ENDPOINT_URL and HTTPS_PROXY.",
            details=details,
        )
    if (
        code in {"AccessDenied", "Forbidden", "AllAccessDisabled", "403", "PermissionDeniedError"}
        or status == 403
    ):
        return PermissionDenied(
            f"{action} on {thing} is not allowed (or it does not exist: without s3:ListBucket, S3 does not say which).",
            next_step=f"Ask for the IAM action {action} on it, or sign in as somebody who has it. If the bucket is "
            "requester-pays: start the server with --requester-pays.",
            details=details,
        )
    if code in {"NotImplemented", "MethodNotAllowed", "NotSupportedError"} or status in {405, 501}:
        return NotSupported(
            f"The S3 server does not support what {action} on {thing} needs ({code}).",
            next_step="Use another server, or leave the option out.",
            details=details,
        )
    if code in {"KeyTooLongError", "InvalidURI", "InvalidBucketName", "ParamValidationError"}:
        return InvalidName(
            f"{thing} is not a name that S3 allows ({code}).",
            next_step="Bucket names have 3 to 63 of a-z, 0-9, '-' and '.'; keys have at most 1,024 bytes.",
            details=details,
        )
    if code in _THROTTLED or status in {429, 503}:
        return StorageUnavailable(
            f"The S3 server asks for fewer requests than this for {thing} ({code}), after several tries.",
            next_step="Wait a minute, then make the same call again; what was finished is not done twice.",
            details=details,
        )
    return StorageUnavailable(
        f"The S3 server failed for {thing} ({code}{f', HTTP {status}' if status else ''}).",
        next_step="Make the same call again in a moment; what was finished is not done twice.",
        details=details,
    )


def _not_found(bucket: str, key: str | None, code: str | None) -> QuiltError:
    details = {"bucket": bucket, "key": key}
    if code == "NoSuchBucket" or key is None:
        return RegistryNotFound(
            f"There is no bucket {bucket}.",
            next_step="Check the name; bucket_list shows the buckets in reach.",
            details=details,
        )
    return ObjectNotFound(
        f"There is no object {_thing(bucket, key)}"
        + (" in that version." if code == "NoSuchVersion" else "."),
        next_step="List what is there with object_list.",
        details=details,
    )


def _thing(bucket: str, key: str | None) -> str:
    return f"s3://{bucket}" if key is None else f"s3://{bucket}/{key}"


def _code_and_status(error: Exception) -> tuple[str | None, int | None]:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's ClientError
        code = str(response.get("Error", {}).get("Code", "")) or None  # pyright: ignore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")  # pyright: ignore
        return code, status if isinstance(status, int) else None
    text = str(error)
    if _NO_LOCATION in text:
        return "PermanentRedirect", 301
    found = _STATUS.search(text)
    return _code_of(text), int(found.group(1)) if found else None


def _code_of(text: str) -> str | None:
    found = _CODE.search(text)
    return found.group(1) if found else None
