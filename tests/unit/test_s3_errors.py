"""S3's errors by their table: whatever a server or a client says becomes one typed error, whose texts are whole."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
)

from quilt_mcp.errors import (
    AuthenticationError,
    InternalError,
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
from quilt_mcp.storage.s3 import errors
from quilt_mcp.storage.s3.errors import s3_errors


def told(error: Exception, key: str | None = "k{}") -> QuiltError:
    with pytest.raises(QuiltError) as caught, s3_errors("b", key, "s3:GetObject"):
        raise error
    return caught.value


def answer(code: str, status: int, message: str = "") -> ClientError:
    about = {"Code": code, "Message": message}
    response = {"Error": about, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", errors._FAILURES, ids=lambda failure: failure.signs.split()[0])
def test_each_sign_stands_in_one_row_and_its_texts_are_whole(failure: errors._Failure) -> None:
    for sign in failure.signs.split():
        assert [one for one in errors._FAILURES if sign in one.signs.split()] == [failure], sign
        error = told(answer("", int(sign)) if sign.isdigit() else answer(sign, 400))
        assert type(error) is failure.error, sign
        assert error.next_step
        assert "None" not in error.message
        for text in (error.message.replace("k{}", ""), error.next_step.replace("k{}", "")):
            assert "{" not in text, sign


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("ExpiredToken", 400, AuthenticationError),
        ("SignatureDoesNotMatch", 403, AuthenticationError),
        ("InvalidObjectState", 403, ObjectArchived),
        ("AccessDenied", 403, PermissionDenied),
        ("", 403, PermissionDenied),
        ("NoSuchVersion", 404, ObjectNotFound),
        ("NoSuchBucket", 404, RegistryNotFound),
        ("MethodNotAllowed", 405, NotSupported),
        ("ConditionalRequestConflict", 409, PreconditionFailed),
        ("", 412, PreconditionFailed),
        ("InternalError", 500, StorageUnavailable),
        ("RequestTimeout", 400, StorageUnavailable),
        ("BadDigest", 400, StorageUnavailable),
        ("OperationAborted", 409, StorageUnavailable),
        ("NoSuchUpload", 404, StorageUnavailable),
        ("NeverHeardOf", 418, NotSupported),
        ("InvalidRequest", 400, NotSupported),
        ("KMS.DisabledException", 400, NotSupported),
        ("EntityTooLarge", 400, TooLarge),
        ("QuotaExceeded", 403, StorageFull),
        ("PermanentRedirect", 301, Misconfigured),
        ("", 308, Misconfigured),
    ],
)
def test_a_code_says_more_than_the_status_that_it_comes_with(
    code: str, status: int, expected: type[QuiltError]
) -> None:
    error = told(answer(code, status))
    assert type(error) is expected
    assert error.details["http_status"] == status


def test_what_obstore_raises_is_told_by_its_own_kind() -> None:
    assert type(told(PreconditionError("status: 412"))) is PreconditionFailed
    assert type(told(AlreadyExistsError("<Code>OperationAborted</Code> status: 409"))) is PreconditionFailed
    assert type(told(NotFoundError("<Code>NoSuchKey</Code>"))) is ObjectNotFound
    assert type(told(NotFoundError("<Code>NoSuchBucket</Code>"))) is RegistryNotFound


def test_what_is_not_there_without_a_key_is_the_bucket() -> None:
    assert type(told(answer("404", 404), key=None)) is RegistryNotFound


def test_an_error_of_ours_and_one_of_nobodys_pass_as_they_are() -> None:
    for error in (InternalError("x", next_step="y"), LookupError("a bug")):
        with pytest.raises(type(error)) as caught, s3_errors("b", None, "s3:ListBucket"):
            raise error
        assert caught.value is error


DENIED = (
    "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: kms:Decrypt on resource: "
    "arn:aws:kms:us-east-1:123456789012:key/1 because no identity-based policy allows the kms:Decrypt action"
)


@pytest.mark.parametrize("by", ["botocore", "obstore"])
def test_the_action_that_s3_itself_names_is_told_and_its_message_is_in_details(by: str) -> None:
    """case_E1"""
    body = f"<Error><Code>AccessDenied</Code><Message>{DENIED}</Message></Error>"
    error = told(
        answer("AccessDenied", 403, DENIED)
        if by == "botocore"
        else PermissionDeniedError(f"Server returned non-2xx status code: 403 Forbidden: {body}")
    )
    assert type(error) is PermissionDenied
    assert (error.details["action"], error.details["said"]) == ("kms:Decrypt", DENIED)
    assert "kms:Decrypt" in error.message and "kms:Decrypt" in error.next_step
    assert "s3:GetObject" not in error.message + error.next_step


@pytest.mark.parametrize("code", ["\x1b[31mred", "a b", "<b>", "x" * 65, "\u202eevil", ""])
def test_a_code_that_is_none_of_s3s_is_not_shown(code: str) -> None:
    """case_X1"""
    for error in (
        answer(code, 400),
        GenericError(f"status: 400 <Code>{code}</Code>"),
    ):
        found = told(error)
        assert not code or code not in found.message + found.next_step + str(found.details)
        assert re.fullmatch(r"[A-Za-z0-9.]{1,64}", found.details["s3_code"])


PERMANENT = (
    answer("InvalidRequest", 400, "The object was stored using a form of Server Side Encryption."),
    answer("InvalidArgument", 400),
    answer("KMS.NotFoundException", 400),
    answer("MalformedXML", 400),
    answer("AccessDenied", 403),
    answer("", 410),
    answer("PermanentRedirect", 301),
    answer("MethodNotAllowed", 405),
    ValueError("Invalid endpoint: x"),
)


@pytest.mark.parametrize("error", PERMANENT, ids=str)
def test_what_is_permanent_is_not_told_as_again_in_a_moment(error: Exception) -> None:
    found = told(error)
    assert not found.retryable
    assert "in a moment" not in found.next_step and "call again" not in found.next_step


def test_the_reason_that_s3_gives_for_a_refusal_is_told_and_bounded() -> None:
    found = told(answer("InvalidRequest", 400, "because {k} " + "x" * 5000))
    assert "because {k} x" in found.message
    assert len(found.message) < 700 and len(found.details["said"]) == 500
