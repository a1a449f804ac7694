"""Deleting while others push: nothing that was acknowledged is deleted, and nothing that was refused has changed anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, reduce
from itertools import permutations

import pytest
from ops_base import OpsContract, inline

from parts.interposed import interposed
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, DeleteOutcome, PatchRequest
from quilt_mcp.errors import QuiltError
from quilt_mcp.ops import QuiltOps

POINTERS = ".quilt/named_packages/a/b/*"
Act = Callable[[QuiltOps], Awaitable[object]]


@dataclass(frozen=True)
class State:
    """Of the package: its log, oldest first, and what is latest."""

    log: tuple[str, ...]
    latest: str | None

    def after(self, done: object, victim: str | None) -> State:
        """A push (its top hash), or a deletion of ``victim`` (None: of all)."""
        if isinstance(done, str):
            return self if done == self.latest else State((*self.log, done), done)
        log = tuple(top_hash for top_hash in self.log if victim not in (None, top_hash))
        return State(log, self.latest if self.latest in log else next(reversed(log), None))

    def __eq__(self, other: object) -> bool:
        """A push may take over the line that one before it has left."""
        assert isinstance(other, State)
        return (set(self.log), self.latest) == (set(other.log), other.latest)

    __hash__ = None  # type: ignore[assignment]


class DeletionContract(OpsContract):
    async def _push_new(self, ops: QuiltOps) -> str:
        return (await ops.patch(PatchRequest(self.uri("a/b"), files=inline({"theirs": "t"})))).top_hash

    async def _push_whole(self, ops: QuiltOps) -> str:
        request = CreateRequest(self.uri("a/b"), files=inline({"theirs": "t"}), overwrite=True)
        return (await ops.create(request)).top_hash

    async def _push_latest_again(self, ops: QuiltOps) -> str:
        """The very revision that goes."""
        request = CreateRequest(self.uri("a/b"), files=inline({"f": "2"}), message="same", overwrite=True)
        return (await ops.create(request)).top_hash

    async def _push_first_again(self, ops: QuiltOps) -> str:
        first = PackageUri(self.registry, "a/b", top_hash=self.first)
        return (await ops.copy(CopyRequest(first, self.uri("a/b")))).top_hash

    async def _two_revisions(self) -> None:
        self.first = (await self.create("a/b", {"f": "1"}, message="same", overwrite=True)).top_hash
        self.second = (await self.create("a/b", {"f": "2"}, message="same", overwrite=True)).top_hash

    async def _race(self, outer: Act, inner: Act, which: str | None) -> None:
        """``inner`` ahead of each call of ``outer`` to the pointers, in turn. What was done must be what one after the other
        does, in either order; what was refused must have done nothing."""
        number = 0
        while True:
            for key in self.raw_keys(".quilt/named_packages/"):
                self.raw_delete(key)
            await self._two_revisions()
            before = State((self.first, self.second), self.second)
            done: list[tuple[Act, object]] = []

            async def attempt(act: Act, done: list[tuple[Act, object]] = done) -> None:
                with suppress(QuiltError):
                    done.append((act, await act(self.ops)))

            with interposed(self.ops, POINTERS, number, partial(attempt, inner)) as met:
                await attempt(outer)
            victim = {"first": self.first, "second": self.second}.get(which or "")
            assert done
            expected = [
                reduce(lambda state, one: state.after(one[1], victim), order, before)
                for order in permutations(done)
            ]
            assert self._state() in expected, (number, done, self.pointers("a/b"))
            if met.calls <= number:
                return
            number += 1

    def _state(self) -> State:
        found = self.pointers("a/b")
        latest = found.pop("latest", None)
        return State(tuple(found[tag] for tag in sorted(found)), latest)

    @pytest.mark.parametrize("which", [None, "second", "first"])
    @pytest.mark.parametrize("push", ["new", "whole", "latest_again", "first_again"])
    async def test_a_push_at_any_moment_of_a_deletion_is_kept_or_refused(
        self, push: str, which: str | None
    ) -> None:
        """C12, Review R4 and R5."""
        await self._race(self._delete(which), getattr(self, f"_push_{push}"), which)

    @pytest.mark.parametrize("which", [None, "second", "first"])
    @pytest.mark.parametrize("push", ["new", "whole", "latest_again", "first_again"])
    async def test_a_deletion_at_any_moment_of_a_push_takes_what_was_there_and_no_more(
        self, push: str, which: str | None
    ) -> None:
        """C12."""
        await self._race(getattr(self, f"_push_{push}"), self._delete(which), which)

    def _delete(self, which: str | None) -> Act:
        async def delete(ops: QuiltOps) -> DeleteOutcome:
            hashes = {None: None, "first": self.first, "second": self.second}
            return await ops.delete(self.uri("a/b", hashes[which]), whole=which is None)

        return delete
