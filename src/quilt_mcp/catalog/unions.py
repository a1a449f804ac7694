"""What a stack answers in place of a result (InvalidInput, OperationError, a failure that it names): as errors of ours, reason
and place kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from quilt_mcp.catalog.shapes import object_of, objects_of
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import (
    PermissionDenied,
    QuiltError,
    StackFailed,
    StackRefused,
    StorageUnavailable,
    WorkflowFailed,
)

_LONGEST_REASON: Final = 2_000
_DENIED: Final = frozenset({"Forbidden", "AccessDenied", "InsufficientPermissions"})
_BUSY: Final = frozenset(
    {"SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException"}
)
_REASONS: Final = {
    "BucketAlreadyAdded": "the stack has this bucket already",
    "BucketDoesNotExist": "there is no such bucket on S3, or the stack cannot see it",
    "BucketFileExtensionsToIndexInvalid": "file_extensions_to_index holds what is no extension; each begins with a dot",
    "BucketIndexContentBytesInvalid": "index_content_bytes is out of the stack's bounds",
    "BucketNotFound": "the stack has no such bucket",
    "IndexingInProgress": "the bucket is being indexed; wait until that is done",
    "NotificationConfigurationError": "the bucket's notifications could not be configured",
    "NotificationTopicNotFound": "there is no such SNS topic",
    "RoleAssigned": "users have this role; give them another first",
    "RoleDoesNotExist": "there is no such role",
    "RoleHasTooManyPoliciesToAttach": "a role takes fewer policies than these",
    "RoleIsManaged": "it is a managed role",
    "RoleIsUnmanaged": "it is an unmanaged role",
    "RoleNameExists": "another role has this name",
    "RoleNameInvalid": "it is no name for a role",
    "RoleNameReserved": "the stack keeps this name for itself",
    "RoleNameUsedBySsoConfig": "the SSO configuration names this role; change that first",
    "SnsInvalid": "sns_notification_arn is no ARN of an SNS topic",
    "SsoConfigConflict": "the SSO configuration sets the default role; change that",
    "SubscriptionInvalid": "the subscription to the bucket's notifications is not confirmed",
    "Unavailable": "the stack does not tell this",
}
"""What is meant by a failure that a stack only names."""


def result(answer: object, *kinds: str) -> dict[str, Any]:
    """``answer`` where it is of one of ``kinds``. Raises what it says otherwise."""
    found = object_of(answer)
    if not found:
        raise StackFailed(
            "The Quilt stack answered with nothing.",
            next_step="Try once more; if it stays so, tell an administrator of the stack.",
        )
    if found.get("__typename") in kinds:
        return found
    raise _error(found)


def _error(answer: Mapping[str, Any]) -> QuiltError:
    kind = str(answer.get("__typename"))
    if kind == "InvalidInput":
        return _refused(objects_of(answer.get("errors")))
    name = _text(answer.get("name") or kind)
    reason = _text(answer.get("message") or _REASONS.get(kind) or kind)
    context = object_of(answer.get("context"))
    about: dict[str, Any] = {"name": name, "reason": reason}
    if context and len(json.dumps(context)) <= _LONGEST_REASON:
        about["context"] = context
    aws = context if name == "AWSError" else {}
    code = str(aws.get("error_code") or name)
    said = _text(aws.get("error_message") or reason)
    if code in _DENIED or aws.get("status_code") in (401, 403):
        return PermissionDenied(
            f"The Quilt stack may not do that for this user: {said}",
            next_step="Ask an administrator of the stack for a role that may, or call role_switch where status shows another.",
            details=about,
        )
    if code in _BUSY or aws.get("status_code") in (500, 503):
        return StorageUnavailable(
            f"S3 failed the Quilt stack: {said}", next_step="Wait a moment, then call again.", details=about
        )
    if name == "WorkflowValidationError":
        return WorkflowFailed(
            f"The registry's workflow rejects the revision: {said}",
            next_step="Call workflow_list for what it demands.",
            details=about,
        )
    return StackRefused(
        f"The Quilt stack refused: {said}",
        next_step="Mend what the reason names; it is the stack's own.",
        details=about,
    )


def _refused(errors: Sequence[Mapping[str, Any]]) -> StackRefused:
    told = [
        {"path": _text(one.get("path")), "name": _text(one.get("name")), "reason": _text(one.get("message"))}
        for one in errors[:20]
    ]
    reasons = "; ".join(f"{one['path']}: {one['reason']}" if one["path"] else one["reason"] for one in told)
    return StackRefused(
        f"The Quilt stack does not take this: {reasons or 'it names no reason.'}",
        next_step="Mend the argument that it names.",
        details={"errors": told},
    )


def _text(value: object) -> str:
    return printable(str(value or "")[:_LONGEST_REASON])
