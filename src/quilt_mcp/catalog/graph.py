"""Graph: a stack's GraphQL, asked with documents that stand in files of their own.

Releases differ in what they take, and introspection may be off. So a call names its documents newest first, and one that the
stack's validation refuses gives way to the next; what a stack takes is remembered until it no longer does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, cast

from quilt_mcp.auth.bearer import Bearer
from quilt_mcp.auth.stack_http import Answer, StackHttp
from quilt_mcp.catalog.shapes import object_of, objects_of
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import (
    NotSupported,
    PermissionDenied,
    QuiltError,
    StackFailed,
    StackRefused,
    StorageUnavailable,
)

_ANSWER_BYTES: Final = 64 << 20
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.3
_LONGEST_PAUSE: Final = 5.0
_AGAIN: Final = frozenset({429, 502, 503, 504})
_LOOK: Final = "Try again; if it stays so, is a proxy in the way, or is this no Quilt registry?"
_REFUSED: Final = re.compile(
    r"Cannot query field|Unknown (?:argument|type|field|directive)|is not defined by type"
)
_ODD_VALUE: Final = re.compile(r"Variable '?\$")
_LONGEST_REASON: Final = 500
_SPREAD: Final = re.compile(r"\.\.\.([A-Z]\w*)")
_DENIED: Final = frozenset({"FORBIDDEN", "UNAUTHORIZED", "UNAUTHENTICATED"})


class Graph:
    """Safe to share between threads. Blocks. ``taken``: which of some documents the stack takes, shared by its users."""

    def __init__(
        self,
        http: StackHttp,
        url: Callable[[], str],
        bearer: Bearer,
        taken: dict[tuple[str, ...], str] | None = None,
    ) -> None:
        self._http = http
        self._url = url
        self._bearer = bearer
        self._taken = {} if taken is None else taken

    def query(self, *documents: str, **variables: Any) -> dict[str, Any]:
        """``data`` of the first of some documents (newest first) that this stack takes. Tried again where that may help.

        Data that came with errors is an error: nothing is built on part of an answer. Raises AuthenticationError,
        PermissionDenied, NotSupported (this stack takes none of the documents), StackFailed, StorageUnavailable.
        """
        return self._ask(documents, variables, _ATTEMPTS)

    def once(self, *documents: str, seconds: float | None = None, **variables: Any) -> dict[str, Any]:
        """As ``query``, for what changes something and for what nobody waits for: sent again only where the stack has said that
        nothing was done. ``seconds``: how long its answer may take, where that is longer than others'."""
        return self._ask(documents, variables, 1, seconds)

    def _ask(
        self,
        documents: Sequence[str],
        variables: Mapping[str, Any],
        attempts: int,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        known = self._taken.get(tuple(documents))
        for name in sorted(documents, key=lambda one: one != known):
            value = self._answer(name, variables, attempts, seconds)
            errors = value.get("errors")
            if errors and value.get("data") is None and _is_refused(errors):
                continue
            self._taken[tuple(documents)] = name
            if errors:
                raise _failed(errors)
            data = value.get("data")
            if not isinstance(data, dict):
                raise _failed([{"message": "no data"}])
            return cast("dict[str, Any]", data)
        raise NotSupported(
            f"This stack's release has nothing that answers {documents[0]}.",
            next_step="Call status with detail=true for the stack's version; ask its administrator to upgrade it.",
            details={"document": documents[0]},
        )

    def get(self, path: str) -> Answer:
        """What the registry answers beside GraphQL, whatever the status but 401 and 403: with the same bearer, and asked
        again as ``query`` is. Raises AuthenticationError, PermissionDenied, StorageUnavailable."""
        return self._sent("GET", path, None, _ATTEMPTS)

    def _answer(
        self, name: str, variables: Mapping[str, Any], attempts: int, seconds: float | None
    ) -> dict[str, Any]:
        body = {"query": document(name), "operationName": name, "variables": dict(variables)}
        return _value(self._sent("POST", "/graphql", body, attempts, seconds))

    def _sent(
        self, method: str, path: str, body: object, attempts: int, seconds: float | None = None
    ) -> Answer:
        token = self._bearer.token()
        is_renewed = False
        while True:
            try:
                answer = self._http.send(
                    method,
                    f"{self._url()}{path}",
                    bearer=token,
                    body=body,
                    most=_ANSWER_BYTES,
                    seconds=seconds,
                )
            except StorageUnavailable:
                attempts -= 1
                if attempts < 1:
                    raise
                time.sleep(_PAUSE)
                continue
            if answer.status == 401:
                if is_renewed:
                    raise self._bearer.sign_in.refused(answer.host)
                token, is_renewed = self._bearer.renew(token, answer.host), True
            elif answer.status in _AGAIN and attempts > 1:
                attempts -= 1
                time.sleep(min(_LONGEST_PAUSE, answer.retry_after or _PAUSE))
            elif answer.status == 403:
                raise PermissionDenied(
                    f"The Quilt registry {answer.host} knows this user and refuses the request.",
                    next_step="Ask an administrator of the stack whether the account is active.",
                    details={"host": answer.host},
                )
            else:
                # What a stack repeats of a request must not bring the token before a model.
                return replace(answer, body=answer.body.replace(token.encode(), b"[token]"))


def _value(answer: Answer) -> dict[str, Any]:
    if answer.status == 400:  # where some servers put errors of validation
        answer = Answer(answer.host, 200, answer.body)
    return answer.json(_LOOK)


def _is_refused(errors: object) -> bool:
    """Whether the document itself was refused, so that nothing was carried out."""
    return any(
        one.get("path") is None
        and (
            object_of(one.get("extensions")).get("code") == "GRAPHQL_VALIDATION_FAILED"
            or _REFUSED.search(str(one.get("message")))
        )
        for one in objects_of(errors)
    )


def _failed(errors: object) -> QuiltError:
    said = object_of(next(iter(objects_of(errors)), None))
    path = said.get("path")
    where = printable(".".join(map(str, cast("list[Any]", path)))[:200]) if isinstance(path, list) else None
    reason = printable(str(said.get("message", "no reason"))[:_LONGEST_REASON])
    if object_of(said.get("extensions")).get("code") in _DENIED:
        return PermissionDenied(
            f"The Quilt stack does not do that for this user: {reason}",
            next_step="Ask an administrator of the stack, or call role_switch where status shows another role.",
            details={"reason": reason},
        )
    if where is None and _ODD_VALUE.match(reason):
        return StackRefused(
            f"The Quilt stack does not take this: {reason}",
            next_step="Mend the value that it names.",
            details={"reason": reason},
        )
    return StackFailed(
        f"The Quilt stack could not answer{f' ({where})' if where else ''}: {reason}",
        next_step="Try once more; if it stays so, tell an administrator of the stack.",
        details={"reason": reason} | ({"path": where} if where else {}),
    )


@cache
def document(name: str) -> str:
    """The text of a document, with the fragment that it spreads, which stands in a file of its own."""
    text = documents()[name].read_text()
    fragments = dict.fromkeys(_SPREAD.findall(text))
    return "\n".join([text, *(document(fragment) for fragment in fragments)])


@cache
def documents() -> dict[str, Traversable]:
    """By the name of their operation, which is their file's."""
    found = [files("quilt_mcp.catalog").joinpath("documents")]
    for one in found:  # folders come in as they are met
        found += one.iterdir() if one.is_dir() else ()
    return {one.name.removesuffix(".graphql"): one for one in found if one.is_file()}
