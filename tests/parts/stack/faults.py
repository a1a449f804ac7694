"""What goes wrong, when, and how often: plain values that a test sends to the stack."""

from __future__ import annotations

import dataclasses
import fnmatch
import threading
from dataclasses import dataclass
from typing import Any

NOT_AUTHENTICATED = (
    "Not logged in",
    "Token invalid.",
    "Outdated access token: please log in again",
    "Failed to refresh SSO access token",
    "Token could not be deserialized",
)
"""The texts with which the registry answers 401."""


@dataclass(frozen=True)
class Fault:
    """Strikes requests whose path fits ``path`` and, of GraphQL, whose operationName fits ``operation``: ``times`` of them
    (``None``: all) after the first ``after``. What is left out of the rest stays as it is."""

    path: str = "*"
    operation: str = "*"
    after: int = 0
    times: int | None = None
    status: int | None = None
    body: str = ""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    cut: int | None = None
    """The answer's length is told rightly, and ends after so many bytes."""
    silence: float = 0.0
    """Seconds before the answer begins."""
    field: str | None = None
    """``Type.field`` that is ``value`` then, or, with ``error``, fails: the data is partial."""
    value: Any = None
    error: str | None = None
    no_introspection: bool = False
    profile: str | None = None
    """The stack is upgraded to it (or back) before the answer, and stays so."""
    removed_bucket: str | None = None
    """Is taken from the stack before the answer, and stays so."""


def unauthorized(text: str, path: str = "*", times: int | None = None) -> Fault:
    return Fault(path, times=times, status=401, body=f'{{"message": "{text}"}}')


def no_credentials() -> Fault:
    """Authenticated, but not allowed to have AWS credentials."""
    return Fault("/api/auth/get_credentials", status=403, body='{"message": "Forbidden"}')


def nobody() -> Fault:
    """A dead session that is answered with 200."""
    return Fault("/graphql", field="Query.me")


def no_listing(error: str | None = None) -> Fault:
    """``contentsFlatMap`` is null; with ``error`` because it failed."""
    return Fault("/graphql", field="PackageRevision.contentsFlatMap", error=error)


def too_many(seconds: int, times: int | None = 1, path: str = "*") -> Fault:
    headers = {"Retry-After": str(seconds)}
    return Fault(path, times=times, status=429, body='{"message": "Too many requests"}', headers=headers)


def bad_gateway(times: int | None = 1, path: str = "*") -> Fault:
    page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
    return Fault(path, times=times, status=502, body=page, headers={"Content-Type": "text/html"})


class Plan:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, list[int]]] = []

    def add(self, given: dict[str, Any]) -> None:
        with self._lock:
            self._faults.append((Fault(**given), [0]))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, path: str, operation: str | None) -> list[Fault]:
        struck = []
        with self._lock:
            for fault, count in self._faults:
                if not fnmatch.fnmatchcase(path, fault.path):
                    continue
                if fault.operation != "*" and not fnmatch.fnmatchcase(operation or "", fault.operation):
                    continue
                count[0] += 1
                number = count[0] - fault.after
                if number > 0 and (fault.times is None or number <= fault.times):
                    struck.append(fault)
        return struck
