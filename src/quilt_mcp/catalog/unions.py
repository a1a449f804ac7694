"""What a stack answers in place of a result, InvalidInput or OperationError: as errors of ours, its reason and place kept."""

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
    name, reason = _text(answer.get("name") or kind), _text(answer.get("message") or kind)
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
