"""Workflows of a registry: loads its configuration and schemas, and holds a revision against them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.listing import RegistryWorkflows, SchemaListing
from quilt_mcp.domain.plan import UNSET, Unset
from quilt_mcp.domain.workflows.rules import (
    WorkflowConfig,
    WorkflowRules,
    header_value,
    parse_config,
    schema_url,
    select,
)
from quilt_mcp.domain.workflows.schemas import load_schema
from quilt_mcp.errors import InvalidUri, NotFound, QuiltError, WorkflowConfigInvalid
from quilt_mcp.registry.layout import WORKFLOW_CONFIG
from quilt_mcp.storage.store import Store, Stores

_MAX_BYTES = 1 << 20
_SHOWN = 8 << 10
"""Bytes of a schema that a listing shows as it is; of a larger one its address."""
_SHOWN_IN_ALL = 32 << 10
_READ = 20
"""Schemas that a listing reads."""
_OWNER_MENDS = "Ask whoever owns the registry to mend its workflow configuration."


@dataclass(frozen=True, slots=True)
class Workflow:
    """A chosen workflow with its schemas loaded. ``header`` is what the manifest's header records of it."""

    rules: WorkflowRules
    schemas: dict[str, bytes]
    header: dict[str, Any]


class Workflows:
    """The workflows of one registry. Nothing is cached: a changed configuration holds from the next call on."""

    def __init__(self, store: Store, stores: Stores) -> None:
        self._store = store
        self._stores = stores

    async def config(self) -> tuple[WorkflowConfig, PhysicalKey] | None:
        """None when the registry has no configuration. Raises WorkflowConfigInvalid."""
        url = f"{self._store.url}/{WORKFLOW_CONFIG}"
        try:
            content, version = await _read(self._store, WORKFLOW_CONFIG, None, url)
        except NotFound:
            return None
        config = await to_thread.run_sync(parse_config, content)
        return config, self._store.physical_key(WORKFLOW_CONFIG, version)

    async def choose(self, workflow: str | Unset | None, kept: str | Unset | None = UNSET) -> Workflow | None:
        """The workflow that a write falls under. UNSET: ``kept``, that of the revision it builds on, where the registry still has
        it, and else the default; None explicitly none.

        None: the registry has no workflows. Raises InvalidArgument (unknown, or asked for where there are none),
        WorkflowFailed (one is required), WorkflowConfigInvalid.
        """
        found = await self.config()
        config, config_key = found or (None, self._store.physical_key(WORKFLOW_CONFIG))
        if workflow is UNSET and config is not None:
            is_there = not config.is_required if kept is None else kept in config.workflows
            workflow = kept if is_there else workflow
        rules = select(config, workflow, config_is_local=config_key.bucket is None)
        if rules is None:
            return None
        read = {schema_id: await self._schema(schema_id, url) for schema_id, url in rules.schemas}
        schemas = {schema_id: content for schema_id, (content, _) in read.items()}
        schema_keys = {schema_id: key for schema_id, (_, key) in read.items()}
        return Workflow(rules, schemas, header_value(rules, str(config_key), schema_keys))

    async def _schema(self, schema_id: str, url: str) -> tuple[bytes, str]:
        try:
            key = PhysicalKey.parse(url)
            store, path = self._stores.locate(key)
            content, version = await _read(
                store, path, key.version_id, f"The workflow's schema {schema_id!r}"
            )
        except (InvalidUri, NotFound) as error:
            raise WorkflowConfigInvalid(
                f"The workflow's schema {schema_id!r} cannot be loaded from {url}: {error.message}",
                next_step=_OWNER_MENDS,
            ) from error
        return content, str(store.physical_key(path, version))

    async def list(self) -> RegistryWorkflows:
        """Raises WorkflowConfigInvalid. What is wrong with a schema stands in its listing."""
        found = await self.config()
        if found is None:
            return RegistryWorkflows(
                None,
                warnings=(
                    f"no_workflows: {self._store.url} has no {WORKFLOW_CONFIG}, so it demands nothing.",
                ),
            )
        config, config_key = found
        schemas: dict[str, SchemaListing] = {}
        room = _SHOWN_IN_ALL
        for number, schema_id in enumerate(config.schema_ids):
            listed, size = await self._listed(config, schema_id, config_key.bucket is None, number < _READ)
            if size > room:
                listed, size = replace(listed, content=None), 0
            schemas[schema_id] = listed
            room -= size
        return RegistryWorkflows(
            str(config_key), config.listings(schemas), config.is_required, config.successors()
        )

    async def _listed(
        self, config: WorkflowConfig, schema_id: str, is_local: bool, read: bool
    ) -> tuple[SchemaListing, int]:
        """And how many bytes it shows."""
        url = None
        try:
            url = schema_url(config, schema_id, is_local)
            if not read:
                return SchemaListing(schema_id, url), 0
            content, address = await self._schema(schema_id, url)
            schema = await to_thread.run_sync(load_schema, schema_id, content)
        except QuiltError as error:
            return SchemaListing(schema_id, url, problem=error.message), 0
        if len(content) > _SHOWN:
            return SchemaListing(schema_id, address), 0
        return SchemaListing(schema_id, address, schema), len(content)


async def _read(store: Store, key: str, version: str | None, what: str) -> tuple[bytes, str | None]:
    """The object's bytes, and which version they are."""
    stat, content = await store.get(key, length=_MAX_BYTES + 1, version=version)
    if stat.size > _MAX_BYTES:
        raise WorkflowConfigInvalid(
            f"{what} has {stat.size} bytes; at most {_MAX_BYTES} are read.", next_step=_OWNER_MENDS
        )
    return content, stat.version
