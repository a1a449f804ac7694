"""Workflows of a registry: loads its configuration and schemas, and holds a revision against them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import WorkflowListing
from quilt_mcp.domain.plan import Unset
from quilt_mcp.domain.workflows.rules import (
    WorkflowConfig,
    WorkflowRules,
    check,
    header_value,
    parse_config,
    select,
)
from quilt_mcp.errors import InvalidUri, NotFound, OutsideRoots, WorkflowConfigInvalid
from quilt_mcp.registry.layout import WORKFLOW_CONFIG
from quilt_mcp.storage.store import Store, Stores

_MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Workflow:
    """A chosen workflow with its schemas loaded. ``header`` is what the manifest's header records of it."""

    rules: WorkflowRules
    schemas: dict[str, bytes]
    header: dict[str, Any]

    def check(self, *, name: str, message: str | None, user_meta: Any, entries: Iterable[Entry]) -> None:
        """Raises WorkflowFailed, saying which rule and where. May stop reading ``entries`` early."""
        check(
            self.rules, name=name, message=message, user_meta=user_meta, entries=entries, schemas=self.schemas
        )


class Workflows:
    """The workflows of one registry. Nothing is cached: a changed configuration holds from the next call on."""

    def __init__(self, store: Store, stores: Stores) -> None:
        self._store = store
        self._stores = stores

    async def config(self) -> tuple[WorkflowConfig, PhysicalKey] | None:
        """None when the registry has no configuration. Raises WorkflowConfigInvalid."""
        try:
            stat, data = await self._store.get(WORKFLOW_CONFIG, length=_MAX_CONFIG_BYTES + 1)
        except NotFound:
            return None
        if stat.size > _MAX_CONFIG_BYTES:
            raise WorkflowConfigInvalid(
                f"{self._store.url}/{WORKFLOW_CONFIG} has {stat.size} bytes; at most {_MAX_CONFIG_BYTES} are read.",
                next_step="Ask whoever owns the registry to mend its workflow configuration.",
            )
        return parse_config(data), self._store.physical_key(WORKFLOW_CONFIG, stat.version)

    async def choose(self, workflow: str | Unset | None) -> Workflow | None:
        """The workflow that a write falls under, by quilt3's rules: UNSET the default, None explicitly none.

        None: the registry has no workflows. Raises InvalidArgument (unknown, or asked for where there are none),
        WorkflowFailed (one is required), WorkflowConfigInvalid.
        """
        found = await self.config()
        config, config_key = found or (None, self._store.physical_key(WORKFLOW_CONFIG))
        rules = select(config, workflow, config_is_local=config_key.bucket is None)
        if rules is None:
            return None
        schemas: dict[str, bytes] = {}
        schema_keys: dict[str, str] = {}
        for schema_id, url in rules.schemas:
            schemas[schema_id], schema_keys[schema_id] = await self._schema(schema_id, url)
        return Workflow(rules, schemas, header_value(rules, str(config_key), schema_keys))

    async def _schema(self, schema_id: str, url: str) -> tuple[bytes, str]:
        try:
            key = PhysicalKey.parse(url)
            store, path = self._stores.locate(key)
            stat, data = await store.get(path, length=_MAX_CONFIG_BYTES + 1, version=key.version_id)
        except OutsideRoots:
            raise
        except (InvalidUri, NotFound) as error:
            raise WorkflowConfigInvalid(
                f"The workflow's schema {schema_id!r} cannot be loaded from {url}: {error.message}",
                next_step="Ask whoever owns the registry to mend its workflow configuration.",
            ) from error
        if stat.size > _MAX_CONFIG_BYTES:
            raise WorkflowConfigInvalid(
                f"The workflow's schema {schema_id!r} has {stat.size} bytes; at most {_MAX_CONFIG_BYTES} are read.",
                next_step="Ask whoever owns the registry to mend its workflow configuration.",
            )
        return data, str(store.physical_key(path, stat.version))

    async def list(self) -> tuple[WorkflowListing, ...]:
        found = await self.config()
        return () if found is None else found[0].listings()
