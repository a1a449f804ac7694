"""Workflows: what a registry demands of its revisions. Configuration, choice, checks and the header's record of them.

The semantics are quilt3's: which workflow applies, the order of the checks, the first fault told, ``{}`` for absent and
``null`` for null metadata. Reading files is the caller's: ``WorkflowRules.schemas`` says which.

Configuration and schemas come from a registry and are not trusted: their size, nesting and aliases are bounded, and
patterns go through ``domain.workflows.patterns``. What exceeds a bound is refused, which quilt3 would have tried.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn, cast

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import SchemaListing, SuccessorListing, WorkflowListing
from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.plan import NO_WORKFLOW, UNSET, Unset, WorkflowFault
from quilt_mcp.domain.workflows.patterns import UnsafePattern, check_pattern, search
from quilt_mcp.domain.workflows.schemas import config_faults, load_schema, never, schema_faults
from quilt_mcp.domain.workflows.yaml import read_yaml
from quilt_mcp.errors import InvalidArgument, InvalidUri, WorkflowConfigInvalid, WorkflowFailed

SUPPORTED_VERSION: Final = (1, 1, 0)


_OTHERS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class WorkflowConfig:
    """A registry's ``.quilt/workflows/config.yml``, validated."""

    fields: Mapping[str, Any]

    @property
    def workflows(self) -> Mapping[str, Mapping[str, Any]]:
        return self.fields["workflows"]

    @property
    def default(self) -> str | None:
        return self.fields.get("default_workflow")

    @property
    def is_required(self) -> bool:
        return self.fields.get("is_workflow_required", True)

    @property
    def names(self) -> list[str]:
        """Those that can be asked for."""
        return [one for one in cast("Mapping[Any, Any]", self.workflows) if isinstance(one, str)]

    @property
    def nameless(self) -> str:
        """A sentence on ids that YAML reads as something else than text, as it does ``no:`` and ``1:``; no call can name them."""
        ids = [
            json.dumps(one, default=str)
            for one in cast("Mapping[Any, Any]", self.workflows)
            if not isinstance(one, str)
        ]
        if not ids:
            return ""
        return (
            f" YAML reads {len(ids)} of its ids as no text ({', '.join(ids[:5])}), so that no call can name them: the "
            "registry's owner puts them into quotes in .quilt/workflows/config.yml."
        )

    @property
    def choice(self) -> str:
        """The names, for a sentence."""
        if not self.names:
            return "none: it has no workflow that can be named"
        more = f" and {len(self.names) - 10} more" if len(self.names) > 10 else ""
        return ", ".join(map(repr, self.names[:10])) + more

    @property
    def schema_ids(self) -> list[str]:
        """Those of the workflows, in their order."""
        fields = (
            one.get(kind) for one in self.workflows.values() for kind in ("metadata_schema", "entries_schema")
        )
        return [*dict.fromkeys(schema_id for schema_id in fields if schema_id)]

    def listings(self, schemas: Mapping[str, SchemaListing]) -> tuple[WorkflowListing, ...]:
        """The workflows in the order of the file."""
        return tuple(
            WorkflowListing(
                id=str(workflow_id),
                name=fields["name"],
                description=fields.get("description"),
                is_default=workflow_id == self.default,
                is_message_required=fields.get("is_message_required", False),
                handle_pattern=fields.get("handle_pattern"),
                metadata_schema=schemas.get(fields.get("metadata_schema", "")),
                entries_schema=schemas.get(fields.get("entries_schema", "")),
            )
            for workflow_id, fields in self.workflows.items()
        )

    def successors(self) -> tuple[SuccessorListing, ...]:
        return tuple(
            SuccessorListing(url, fields["title"], fields.get("copy_data", True))
            for url, fields in self.fields.get("successors", {}).items()
        )


@dataclass(frozen=True, slots=True)
class WorkflowRules:
    """What one workflow demands. ``id`` None: explicitly no workflow, where the registry allows that.

    ``schemas`` are the (id, URL) to read before ``check``: the metadata schema first, each id once. ``others``: the other
    workflows of the registry that a call can name, with their patterns of names.
    """

    id: str | None
    handle_pattern: str | None = None
    is_message_required: bool = False
    metadata_schema: str | None = None
    entries_schema: str | None = None
    schemas: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, str | None], ...] = ()
    may_be_skipped: bool = False

    def ways_past_the_name(self, name: str) -> str:
        """What helps where the pattern refuses a name: another name, and workflows that take this one."""
        ways = ["Choose a name that matches the pattern"]
        if fitting := [repr(one) for one, pattern in self.others if _may_take(pattern, name)]:
            more = ", ..." if len(fitting) > _OTHERS_SHOWN else ""
            ways.append(
                f"pass workflow= one that takes this name: {', '.join(fitting[:_OTHERS_SHOWN])}{more}"
            )
        if self.may_be_skipped:
            ways.append(f"pass workflow={NO_WORKFLOW!r}, as the registry demands none")
        return f"{'; or '.join(ways)}.{' workflow_list tells of them.' if fitting else ''}"


def parse_config(data: bytes) -> WorkflowConfig:
    """Raises WorkflowConfigInvalid."""
    try:
        fields = read_yaml(data)
        fault = next(config_faults(fields), None)
    except ValueError as error:
        _config_invalid(f"it cannot be read as YAML: {error}")
    if fault is not None:
        _config_invalid(f"at {fault.pointer or '/'}: {fault.message}", details=fault.details())
    version = fields["version"]
    text: str = version if isinstance(version, str) else version["base"]
    if (*map(int, text.split(".")), 0, 0)[:3] > SUPPORTED_VERSION:
        supported = ".".join(map(str, SUPPORTED_VERSION))
        _config_invalid(f"its version {text} is newer than {supported}, the newest that is understood")
    return WorkflowConfig(fields)


def select(
    config: WorkflowConfig | None, workflow: str | Unset | None, *, config_is_local: bool = True
) -> WorkflowRules | None:
    """The rules that apply. ``config`` None: the registry has no configuration. UNSET asks for the default workflow.

    None means that nothing is demanded and nothing is noted in the header. A remote configuration may not name local
    schemas. Raises InvalidArgument (no such workflow), WorkflowFailed (one is required), WorkflowConfigInvalid.
    """
    if config is None:
        if workflow is UNSET:
            return None
        raise InvalidArgument(
            f"The workflow {workflow!r} was asked for, and the registry has no workflows.",
            next_step="Leave out the argument 'workflow'.",
            details={"workflow": workflow},
        )
    chosen = config.default if isinstance(workflow, Unset) else workflow
    if chosen is None:
        if config.is_required:
            raise WorkflowFailed(
                "The registry demands a workflow, and none was given.",
                next_step=f"Pass workflow= one of {config.choice}.{config.nameless}",
                details={"workflows": config.names[:50]},
            )
        return WorkflowRules(None)
    if chosen not in config.workflows:
        if workflow is UNSET:
            _config_invalid(f"its default_workflow {chosen!r} is not among its workflows ({config.choice})")
        near = suggest(chosen, config.names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise InvalidArgument(
            f"The registry has no workflow {chosen[:100]!r}{hint}{config.nameless}",
            next_step=f"Pass workflow= one of {config.choice}."
            if config.names
            else f"Leave out the argument 'workflow'.{config.nameless}",
            details={"workflow": chosen[:100], "workflows": config.names[:50]},
        )
    return _rules(config, chosen, config_is_local)


def find_faults(
    rules: WorkflowRules,
    *,
    name: str,
    message: str | None,
    user_meta: Any,
    entries: Iterable[Entry],
    schemas: Mapping[str, bytes],
    checkpoint: Callable[[], None] = never,
) -> tuple[WorkflowFault, ...]:
    """All that a workflow has against a revision, quilt3's one at the head: by message, name, metadata, entries. Of one schema
    ``MAX_FAULTS`` at most. ``user_meta`` UNSET: the package has none, which counts as ``{}``.

    ``entries`` in walk order; they are gathered in memory, but only for a workflow that has an entries schema.
    ``schemas`` holds the bytes of all of ``rules.schemas``.
    ``checkpoint`` is called again and again, and may raise. Blocks: schemas and metadata decide for how long.
    Raises WorkflowConfigInvalid.
    """
    loaded = {schema_id: load_schema(schema_id, schemas[schema_id]) for schema_id, _ in rules.schemas}
    found: list[WorkflowFault] = []
    if rules.is_message_required and not message:
        found.append(WorkflowFault("is_message_required", "it demands a commit message, and none was given"))
    if rules.handle_pattern and not _matches(rules.handle_pattern, name):
        why = f"the package name {name!r} does not match the pattern {rules.handle_pattern!r}"
        found.append(WorkflowFault("handle_pattern", why))

    def check_value(what: str, schema_id: str, value: Any) -> None:
        for fault in schema_faults(schema_id, loaded[schema_id], value, checkpoint):
            is_entry = what == "entries" and fault.path and isinstance(fault.path[0], int)
            path = value[fault.path[0]]["logical_key"] if is_entry else None
            url = dict(rules.schemas)[schema_id]
            rule = f"{what}_schema"
            found.append(WorkflowFault(rule, fault.message, fault.pointer, path, schema_id, url, fault.rule))

    if rules.metadata_schema:
        check_value("metadata", rules.metadata_schema, {} if user_meta is UNSET else user_meta)
    if rules.entries_schema:
        values = [
            {"logical_key": entry.logical_key, "size": entry.size, "meta": entry.meta.get("user_meta", {})}
            for entry in entries
        ]
        check_value("entries", rules.entries_schema, values)
    return tuple(found)


def rejection(rules: WorkflowRules, name: str, faults: tuple[WorkflowFault, ...]) -> WorkflowFailed:
    """The error for a revision that a write refuses. What is wrong stands once: of the first fault in the message, of the others
    in ``details.faults``, which has the place of each, the first one's too."""
    first, workflow = faults[0], rules.id
    why = first.message
    next_step = rules.ways_past_the_name(name) if first.rule == "handle_pattern" else "Pass a message."
    if first.schema is not None:
        what = first.rule.removesuffix("_schema")
        where = (first.pointer or "/") + (f" (the entry {first.path!r})" if first.path else "")
        why = f"its schema {first.schema!r} refuses the {what} at {where}: {first.message} (rule {first.keyword})"
        next_step = f"Correct the {what} there, or choose another workflow."
    if len(faults) > 1:
        why += f"; and {len(faults) - 1} more (details.faults)"
    told = [{key: value for key, value in asdict(one).items() if value is not None} for one in faults]
    del told[0]["message"]
    return WorkflowFailed(
        f"The workflow {workflow!r} rejects the revision: {why}.",
        next_step=next_step,
        details={"workflow": workflow, "faults": told},
    )


def header_value(
    rules: WorkflowRules, config_physical_key: str, schema_physical_keys: Mapping[str, str]
) -> dict[str, Any]:
    """What the header's ``workflow`` field says. The physical keys are of the versions actually read.

    It is part of the top hash; the order of its keys is quilt3's.
    """
    value: dict[str, Any] = {"id": rules.id, "config": config_physical_key}
    if rules.schemas:
        value["schemas"] = {schema_id: schema_physical_keys[schema_id] for schema_id, _ in rules.schemas}
    return value


def _rules(config: WorkflowConfig, workflow: str, config_is_local: bool) -> WorkflowRules:
    fields = config.workflows[workflow]
    pattern = fields.get("handle_pattern") or None
    if pattern is not None:
        try:
            check_pattern(pattern)
        except UnsafePattern as error:
            _config_invalid(f"the handle_pattern of {workflow!r} is not used: {error}")
    metadata_schema = fields.get("metadata_schema") or None
    entries_schema = fields.get("entries_schema") or None
    wanted = dict.fromkeys(schema_id for schema_id in (metadata_schema, entries_schema) if schema_id)
    return WorkflowRules(
        id=workflow,
        handle_pattern=pattern,
        is_message_required=fields.get("is_message_required", False),
        metadata_schema=metadata_schema,
        entries_schema=entries_schema,
        schemas=tuple((schema_id, schema_url(config, schema_id, config_is_local)) for schema_id in wanted),
        others=tuple(
            (one, config.workflows[one].get("handle_pattern")) for one in config.names if one != workflow
        ),
        may_be_skipped=not config.is_required,
    )


def schema_url(config: WorkflowConfig, schema_id: str, config_is_local: bool) -> str:
    """Raises WorkflowConfigInvalid."""
    schemas: Mapping[str, Any] = config.fields.get("schemas", {})
    if schema_id not in schemas:
        _config_invalid(f"it has no schema {schema_id!r}")
    url: str = schemas[schema_id]["url"]
    try:
        key = PhysicalKey.parse(url)
    except InvalidUri as error:
        _config_invalid(f"the URL of the schema {schema_id!r} cannot be used: {error.message}")
    if key.bucket is None and not config_is_local:
        _config_invalid(f"the schema {schema_id!r} is a local file, and the registry is not")
    return url


def _may_take(pattern: str | None, name: str) -> bool:
    try:
        return not pattern or search(pattern, name)
    except UnsafePattern:
        return False


def _matches(pattern: str, name: str) -> bool:
    try:
        return search(pattern, name)
    except UnsafePattern as error:
        _config_invalid(f"the handle_pattern {pattern[:200]!r} is not used: {error}")


def _config_invalid(why: str, *, details: Mapping[str, Any] | None = None) -> NoReturn:
    raise WorkflowConfigInvalid(
        f"The registry's workflow configuration cannot be used: {why}.",
        next_step="Ask the registry's owner to correct .quilt/workflows/config.yml.",
        details=details,
    )
