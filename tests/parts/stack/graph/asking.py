"""Who asks, of which stack: what every resolver is handed as its context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parts.stack.faults import Plan
from parts.stack.holdings import Failure, Holdings
from parts.stack.state import READ, READ_WRITE, State, User


@dataclass
class Asking:
    state: State
    holdings: Holdings
    plan: Plan
    user: User | None
    operation: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.user is not None and self.user.is_admin

    @property
    def permissions(self) -> dict[str, str]:
        return {} if self.user is None else self.state.permissions(self.user.role)

    def reads(self, bucket: str) -> bool:
        return bucket in self.permissions

    def writes(self, bucket: str) -> bool:
        return self.permissions.get(bucket) == READ_WRITE


def operation_error(error: Failure) -> dict[str, Any]:
    return {
        "__typename": "OperationError",
        "name": error.name,
        "message": error.message,
        "context": error.context,
    }


def invalid_input(path: str | None, name: str, message: str, **context: Any) -> dict[str, Any]:
    error = {"path": path, "name": name, "message": message, "context": context or None}
    return {"__typename": "InvalidInput", "errors": [error]}


OK = {"__typename": "Ok"}

__all__ = ["OK", "READ", "READ_WRITE", "Asking", "invalid_input", "operation_error"]
