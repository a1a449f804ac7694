"""S3's errors by their table: whatever a server or a client says becomes one typed error, whose texts are whole."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from obstore.exceptions import AlreadyExistsError, NotFoundError, PreconditionError

from quilt_mcp.errors import (
    AuthenticationError,
    InternalError,
    NotSupported,
    ObjectArchived,
    ObjectNotFound,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
    RegistryNotFound,
    StorageUnavailable,
)
from quilt_mcp.storage.s3 import errors
from quilt_mcp.storage.s3.errors import s3_errors


def told(error: Exception, key: str | None = "k{}") -> QuiltError:
    with pytest.raises(QuiltError) as caught, s3_errors("b", key, "s3:GetObject"):
        raise error
    return caught.value


def answer(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
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
        ("NeverHeardOf", 418, StorageUnavailable),
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
