"""Administration: what a stack's administrators look after, and what each of its users may: own API keys, tabulator tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final

from quilt_mcp.catalog.admin.buckets import Buckets
from quilt_mcp.catalog.admin.changing import Kind, carry_out
from quilt_mcp.catalog.admin.keys import Keys
from quilt_mcp.catalog.admin.policies import Policies
from quilt_mcp.catalog.admin.roles import Roles
from quilt_mcp.catalog.admin.settings import EventRules, SingleSignOn, StackStatus
from quilt_mcp.catalog.admin.tabulator import OpenQuery, Tables
from quilt_mcp.catalog.admin.users import Users
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.domain.plan import AdminChange, AdminOutcome, Record
from quilt_mcp.errors import InvalidArgument, QuiltError
from quilt_mcp.storage.local.secret_file import SecretFile
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.workers import in_thread

_PATIENCE: Final = 5.0
"""Seconds that a cancelled change is waited for, so that what was sent has its answer."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What this server may do, whatever its user may. ``writes``, given what is about to be done, raises ReadOnly; ``bucket``,
    given a name, raises PermissionDenied for one that is not among those it may use, InvalidUri for what is none."""

    writes: Callable[[str], None]
    bucket: Callable[[str], object]


class Administration:
    """See ``ops.SupportsAdministration``."""

    def __init__(self, kinds: Mapping[str, Kind], bounds: Bounds) -> None:
        self._kinds = kinds
        self._bounds = bounds

    async def list(self, kind: str, narrowed: Record = _NOTHING) -> Sequence[Record]:
        self._require_bucket(kind, "", narrowed)
        one_of = self._kinds[kind]
        found = await in_thread(partial(one_of.rows, narrowed))
        return [one for one in found if self._may(one_of.bucket(str(one[one_of.called]), narrowed))]

    async def get(self, kind: str, name: str, given: Record = _NOTHING) -> Record:
        self._require_bucket(kind, name, given)
        return await in_thread(partial(self._kinds[kind].look, name, given))

    async def change(self, request: AdminChange, *, dry_run: bool = False) -> AdminOutcome:
        self._require_bucket(request.kind, request.name, request.given)
        if not dry_run:
            self._bounds.writes(f"{request.action} of a {self._kinds[request.kind].noun}")
        act = partial(carry_out, self._kinds[request.kind], request, dry_run=dry_run)
        return await in_thread(act, patience=_PATIENCE)

    def _require_bucket(self, kind: str, name: str, given: Record) -> None:
        bucket = self._kinds[kind].bucket(name, given)
        if bucket:
            self._bounds.bucket(bucket)

    def _may(self, bucket: str | None) -> bool:
        try:
            return bucket is None or self._bounds.bucket(bucket) is not None
        except QuiltError:
            return False


def of_administrators(stack: Stack, bounds: Bounds) -> Administration:
    graph = stack.graph
    kinds: dict[str, Kind] = {
        "user": Users(graph),
        "role": Roles(graph),
        "policy": Policies(graph),
        "bucket": Buckets(graph),
        "sso": SingleSignOn(graph),
        "open_query": OpenQuery(graph),
        "key": Keys(stack),
        "event_rule": EventRules(graph),
        "status": StackStatus(graph),
    }
    return Administration(kinds, bounds)


def of_own_keys(stack: Stack, local: LocalStores, bounds: Bounds) -> Administration:
    return Administration({"key": Keys(stack, partial(_vault, local))}, bounds)


def of_tables(stack: Stack, bounds: Bounds) -> Administration:
    return Administration({"table": Tables(stack.graph)}, bounds)


def declared_tables(stack: Stack, bucket: str) -> Mapping[str, str]:
    """Configurations of the Tabulator tables of a bucket, by name. Blocks. Raises RegistryNotFound."""
    return {str(one["name"]): str(one["config"]) for one in Tables(stack.graph).rows({"bucket": bucket})}


def _vault(local: LocalStores, path: str) -> SecretFile:
    place = local.new_secret(path)
    if ".quilt" in PurePath(place.path).parts:
        raise InvalidArgument(
            f"{place.path} lies in a registry's own folder (.quilt), which only package tools write.",
            next_step="Choose another dest.",
        )
    return place
