"""Run: one query from its start to its end, stopped in Athena when nobody waits for it any more."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import anyio

from quilt_mcp.athena.asking import Asking
from quilt_mcp.athena.failures import failure
from quilt_mcp.athena.places import Workgroup
from quilt_mcp.domain.plan import Progress
from quilt_mcp.errors import QuiltError, RetryableError

_FIRST_PAUSE: Final = 0.15
_LONGEST_PAUSE: Final = 2.0
_GROWTH: Final = 1.5
_STOP_SECONDS: Final = 10.0
_MOST_FAILED_LOOKS: Final = 5
_ENDED: Final = ("SUCCEEDED", "FAILED", "CANCELLED")


class Runs:
    """The queries of one caller. Two that ask the same within a minute share one execution; it is stopped when neither waits."""

    def __init__(
        self,
        asking: Asking,
        caller: str,
        *,
        clock: Callable[[], float] = time.time,
        pause: float = _FIRST_PAUSE,
    ) -> None:
        self._asking, self._caller, self._clock, self._pause = asking, caller, clock, pause
        self._waiting = Counter[str]()

    async def run(
        self, sql: str, workgroup: Workgroup, catalog: str, database: str | None, progress: Progress
    ) -> Mapping[str, Any]:
        """The execution, which succeeded. Raises why it did not. An execution that had ended badly before this call came to it is
        not this call's: the query is started anew."""
        context = {"Catalog": catalog} | ({} if database is None else {"Database": database})
        asked: dict[str, Any] = {
            "QueryString": sql,
            "QueryExecutionContext": context,
            "WorkGroup": workgroup.name,
        }
        if workgroup.output is not None:
            asked["ResultConfiguration"] = {"OutputLocation": workgroup.output}
        token = self._token(sql, workgroup.name, catalog, database or "")
        execution = await self._run(asked, token, progress, is_first=True)
        return execution or await self._run(asked, uuid4().hex, progress, is_first=False) or {}

    def _token(self, *parts: str) -> str:
        """The same for the same text within a minute, and no longer: results would be served again and again."""
        minute = str(int(self._clock() // 60))
        return hashlib.sha256(
            "\0".join([self._caller, minute, *parts]).encode("utf-8", "replace")
        ).hexdigest()

    async def _run(
        self, asked: Mapping[str, Any], token: str, progress: Progress, *, is_first: bool
    ) -> Mapping[str, Any] | None:
        """None: what was found under the token had been stopped or had failed before."""
        started: list[str] = []
        # A start that is cancelled half way would leave a query running that nobody knows of.
        with anyio.CancelScope(shield=True):
            answer = await self._asking.ask("StartQueryExecution", **asked, ClientRequestToken=token)
            started.append(answer["QueryExecutionId"])
        execution_id = started[0]
        self._waiting[execution_id] += 1
        ended = False
        try:
            execution = await self.look(execution_id)
            if execution["Status"]["State"] in ("FAILED", "CANCELLED") and is_first:
                ended = True
                if self._waiting[execution_id] == 1 and self._is_older(execution):
                    return None
            execution = await self._wait(execution, progress)
            ended = True
            return execution
        except QuiltError as error:
            ended = ended or bool(error.details.get("state"))
            raise
        finally:
            self._waiting[execution_id] -= 1
            if self._waiting[execution_id] <= 0:
                del self._waiting[execution_id]
                if not ended:
                    await self._stop(execution_id)

    def _is_older(self, execution: Mapping[str, Any]) -> bool:
        """Whether it was stopped, or may succeed another time."""
        return execution["Status"]["State"] == "CANCELLED" or isinstance(failure(execution), RetryableError)

    async def look(self, execution_id: str) -> Mapping[str, Any]:
        return (await self._asking.ask("GetQueryExecution", QueryExecutionId=execution_id))["QueryExecution"]

    async def _wait(self, execution: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        pause, failed, scanned = self._pause, 0, 0
        while (state := execution["Status"]["State"]) not in _ENDED:
            told = int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
            scanned = max(scanned, told)
            await progress(scanned, None, f"Athena: {str(state).lower()}, bytes scanned")
            await anyio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            try:
                execution, failed = await self.look(execution["QueryExecutionId"]), 0
            except RetryableError:
                failed += 1
                if failed >= _MOST_FAILED_LOOKS:
                    raise
        if state != "SUCCEEDED":
            raise failure(execution)
        return execution

    async def _stop(self, execution_id: str) -> None:
        """Whatever cancels the caller does not cancel this. Bounded; what fails here is not told, as nobody waits."""
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            try:
                await self._asking.ask("StopQueryExecution", QueryExecutionId=execution_id)
            except QuiltError:
                return
