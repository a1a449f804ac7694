"""GraphQL over HTTP: graphql-core validates and executes, so an unknown field or argument is refused by a library."""

from __future__ import annotations

from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLResolveInfo,
    NoSchemaIntrospectionCustomRule,
    execute_sync,
    parse,
    validate,
)
from graphql.language import DocumentNode, OperationDefinitionNode

from parts.stack.faults import Fault
from parts.stack.graph.asking import Asking
from parts.stack.graph.profiles import schema
from parts.stack.graph.root import ROOT

Answer = tuple[int, dict[str, Any]]


def answer(asking: Asking, request: Any, faults: list[Fault]) -> Answer:
    """The status, and what is answered as JSON: 400 for what cannot be executed."""
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        return _refused("must be an object with a query", "BAD_REQUEST")
    try:
        document = parse(request["query"])
    except GraphQLError as error:
        return 400, {"errors": [_coded(error, "GRAPHQL_PARSE_FAILED")]}
    current = schema(asking.state.profile, has_search=asking.state.graph_search)
    errors = validate(current, document)
    if any(fault.no_introspection for fault in faults):
        errors += validate(current, document, [NoSchemaIntrospectionCustomRule])
    if errors:
        return 400, {"errors": [_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in errors]}
    if not _is_operation(document, request.get("operationName")):
        return _refused("which operation?", "BAD_REQUEST")
    result = execute_sync(
        current,
        document,
        root_value=ROOT,
        context_value=asking,
        variable_values=request.get("variables"),
        operation_name=request.get("operationName"),
        middleware=[_struck(faults)],
    )
    assert isinstance(result, ExecutionResult)
    said: dict[str, Any] = {}
    if result.errors:
        said["errors"] = [_coded(error, "INTERNAL_SERVER_ERROR") for error in result.errors]
    if result.data is None and result.errors and not any(error.path for error in result.errors):
        return 400, {"errors": [_coded(error, "BAD_USER_INPUT") for error in result.errors]}
    return 200, said | {"data": result.data}


def _refused(message: str, code: str) -> Answer:
    return 400, {"errors": [{"message": message, "extensions": {"code": code}}]}


def _coded(error: GraphQLError, code: str) -> dict[str, Any]:
    said: dict[str, Any] = dict(error.formatted)
    said["extensions"] = {"code": code} | (said.get("extensions") or {})
    return said


def _is_operation(document: DocumentNode, name: str | None) -> bool:
    names = [
        one.name.value if one.name else None
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode)
    ]
    return name in names if name else len(names) == 1


def _struck(faults: list[Fault]) -> Any:
    """Gives the fields that faults name another value, or makes them fail."""
    by_field = {fault.field: fault for fault in faults if fault.field}

    def resolve(next_: Any, source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        fault = by_field.get(f"{info.parent_type.name}.{info.field_name}")
        if fault is None:
            return next_(source, info, **arguments)
        if fault.error is not None:
            raise GraphQLError(fault.error)
        return fault.value

    return resolve
