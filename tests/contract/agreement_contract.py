"""What a plan accepts the write accepts, with the same counts and bytes: Review R16, claim C33."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ops_base import OpsContract, inline

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import (
    UNSET,
    Commit,
    CopyRequest,
    CreateRequest,
    InlineFile,
    PatchRequest,
    Plan,
    Rename,
    Source,
)
from quilt_mcp.errors import InvalidName, NotSupported, QuiltError

Request = CreateRequest | PatchRequest | CopyRequest
ROUNDS = 8
GOOD, BAD = 9, 1
"""How often a part of a request is as it should be, and how often not."""
LONG = "/".join(["n" * 200] * 5)
"""A logical key that a manifest takes, and S3 not with a package's name before it."""


class AgreementContract(OpsContract):
    @pytest.mark.parametrize("seed", range(8))
    async def test_what_the_plan_accepts_the_write_accepts_with_its_counts_and_bytes(self, seed: int) -> None:
        chance = random.Random(seed)
        await self.create("me/one", {"a": "1", "d/b": "2", "d/e/c": "3"}, metadata={"n": 1})
        other = PackageUri(self.other_registry, "me/other")
        await self.ops.create(CreateRequest(other, files=inline({"x": "other x", "y/z": "other z"})))
        accepted = refused = 0
        for number in range(ROUNDS):
            request, fresh = self._request(chance, f"{seed}-{number}")
            agreed = await self._agree(request, fresh)
            accepted, refused = accepted + agreed, refused + (not agreed)
        assert accepted + refused == ROUNDS
        assert accepted

    async def _agree(self, request: Request, fresh: bool) -> bool:
        """Whether plan and write, which say the same, accept. ``fresh``: nothing of it is stored anywhere yet."""
        planned = await self._answer(request, writes=False)
        written = await self._answer(request, writes=True)
        if isinstance(planned, QuiltError) or isinstance(written, QuiltError):
            assert type(planned) is type(written), (request, planned, written)
            assert str(planned) == str(written)
            return False
        assert isinstance(planned, Plan) and isinstance(written, Commit)
        assert _counts(planned) == _counts(written.plan), request
        assert written.plan.totals == planned.totals
        assert written.plan.fields == planned.fields
        if planned.parent is not None and not isinstance(request, CopyRequest):
            parent = replace(planned.package, top_hash=planned.parent)
            diff = await self.ops.diff(parent, replace(planned.package, top_hash=written.top_hash))
            assert planned.fields == diff.fields, request
        assert written.plan.bytes_to_copy == written.bytes_copied <= planned.bytes_to_copy
        if planned.top_hash is not None:
            assert replace(written.plan, warnings=()) == replace(planned, warnings=()), request
            assert written.top_hash == planned.top_hash
        else:
            assert not fresh, request
        return True

    async def _answer(self, request: Request, *, writes: bool) -> Plan | Commit | QuiltError:
        verbs: dict[type[Request], tuple[Callable[..., Any], Callable[..., Any]]] = {
            CreateRequest: (self.ops.plan_create, self.ops.create),
            PatchRequest: (self.ops.plan_patch, self.ops.patch),
            CopyRequest: (self.ops.plan_copy, self.ops.copy),
        }
        try:
            return await verbs[type(request)][writes](request)
        except QuiltError as error:
            return error

    def _request(self, chance: random.Random, unique: str) -> tuple[Request, bool]:
        def pick(good: list[Any], bad: list[Any]) -> Any:
            return chance.choice(chance.choices([good, bad], [GOOD, BAD])[0])

        folder = self.write_files({"p": f"p {unique}", "q/r": f"r {unique}"}, below=f"in-{unique}")
        local = [
            Source(str(folder), "in/"),
            Source(str(folder / "p"), "p"),
            Source(f"{folder}/**", "g/"),
            Source(str(folder), "only/", exclude=("p",)),
        ]
        packages = [
            Source(f"quilt+{self.other_registry}#package=me/other", "other/"),
            Source(f"quilt+{self.registry}#package=me/one&path=d/", "own/"),
        ]
        bad_sources = [
            Source(f"{folder}/nothing"),
            Source(str(self.outside)),
            Source(str(folder / "p"), "../up"),
            Source(str(folder), "double//slash"),
            Source(str(folder / "p"), LONG),
            Source(f"quilt+{self.registry}#package=me/none"),
            Source(str(folder), "none/", include=("*.none",)),
        ]
        sources = tuple(pick([*local, *packages], bad_sources) for _ in range(chance.randrange(3)))
        good_keys = [f"f{unique}", f"d/f{unique}", "a", f"é/{unique}"]
        bad_keys = ["/a", "a//b", "..", "", LONG, "d", "a/b/c", "\ud800", "x" * 300]
        metadata = [{"k": 1}, {}, UNSET]
        odd = [{"k": float("nan")}, {"k": "\udcff"}, {"k": "x" * (2 << 20)}]
        files = tuple(
            InlineFile(pick(good_keys, bad_keys), f"{unique} {place}".encode(), pick(metadata, odd))
            for place in range(chance.randrange(3))
        )
        fresh = not sources or (len(sources) == 1 and sources[0] in local)
        more: dict[str, Any] = {
            "metadata": pick(metadata, odd),
            "message": pick([None, "made"], ["\ud800"]),
            "copy": chance.random() < 0.7,
            "workflow": pick([UNSET], ["none"]),
        }
        name = self.uri(pick(["me/one", f"me/n{unique}", "me/two"], ["me", "me/x y"]))
        match chance.choice(["create", "patch", "patch", "copy"]):
            case "create":
                request: Request = CreateRequest(
                    name, sources, files, overwrite=chance.random() < 0.7, **more
                )
            case "patch":
                request = PatchRequest(
                    replace(name, name="me/one") if chance.random() < 0.8 else name,
                    pick([None], ["0" * 64, "abcdef"]),
                    sources,
                    files,
                    remove=tuple(
                        pick(["d/e/", "d/b", "d/*", "*b"], ["none", "d", "*.none"])
                        for _ in range(chance.randrange(2))
                    ),
                    rename=tuple(
                        pick(
                            [Rename("a", f"a{unique}"), Rename("d/", f"d{unique}/"), Rename("d/*", "m/")],
                            [Rename("none", "x"), Rename("d/*", "x")],
                        )
                        for _ in range(chance.randrange(2))
                    ),
                    entry_metadata=pick(
                        [{}, {"a": {"m": unique}}, {"d/**": {"m": unique}}], [{"none": {}}, {"d/b": odd[0]}]
                    ),
                    **more,
                )
            case _:
                del more["metadata"]
                source = PackageUri(
                    *pick(
                        [(self.registry, "me/one"), (self.other_registry, "me/other")],
                        [(self.registry, "me/no")],
                    )
                )
                request = CopyRequest(source, name, overwrite=chance.random() < 0.7, **more)
                fresh = False
        return request, fresh

    async def test_what_cannot_stand_in_the_registry_is_refused_by_the_plan_too_review_R16(self) -> None:
        folder = self.write_files({"p": "p"}, below="r16")
        for request in (
            CreateRequest(self.uri("me/long"), files=inline({LONG: "x"})),
            CreateRequest(self.uri("me/longer"), (Source(str(folder / "p"), LONG),)),
            CreateRequest(self.uri("me/place"), (Source(str(folder)),), copy=False),
        ):
            found = [await self._answer(request, writes=writes) for writes in (False, True)]
            assert [type(one) for one in found] in (
                [Plan, Commit],
                [InvalidName] * 2,
                [NotSupported] * 2,
            )


def _counts(plan: Plan) -> tuple[int, ...]:
    return plan.added, plan.removed, plan.renamed, plan.replaced + plan.kept
