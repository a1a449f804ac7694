"""The GraphQL schema of each release: one text, in which ``@since`` and ``@until`` mark what not every release has."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLObjectType, GraphQLScalarType, GraphQLSchema, build_ast_schema
from graphql.language import DirectiveDefinitionNode, DirectiveNode, DocumentNode, Node, Visitor, parse, visit
from graphql.language.visitor import REMOVE

RELEASES = ("2025-summer", "2025-autumn", "1.65", "1.67", "1.69", "1.70", "26.8")
PROFILES = ("2025-autumn", "1.67", "1.69", "26.8")
"""Those that tests run. The rest are where something changed between two of them."""

STACK_VERSIONS = {
    "2025-summer": "1.63.0",
    "2025-autumn": "1.64.2",
    "1.67": "1.67.1",
    "1.69": "1.69.0",
    "26.8": "26.8.0",
}

_FOLDER = Path(__file__).with_name("schema")
_MARKS = ("since", "until")


class _Pruned(Visitor):
    def __init__(self, profile: str) -> None:
        super().__init__()
        self.now = RELEASES.index(profile)

    def enter(self, node: Node, *_: Any) -> Any:
        if isinstance(node, DirectiveNode | DirectiveDefinitionNode) and node.name.value in _MARKS:
            return REMOVE
        for directive in getattr(node, "directives", None) or ():
            name = directive.name.value
            if name not in _MARKS:
                continue
            release = RELEASES.index(directive.arguments[0].value.value)
            if (self.now < release) if name == "since" else (self.now >= release):
                return REMOVE
        return None


def document(profile: str, has_search: bool = True) -> DocumentNode:
    paths = [path for path in sorted(_FOLDER.glob("*.graphql")) if has_search or path.stem != "search"]
    text = "\n".join(path.read_text() for path in paths)
    return visit(parse(text, no_location=True), _Pruned(profile))


def _only_administrators(resolve: Any, name: str) -> Any:
    def resolved(source: Any, info: Any, **arguments: Any) -> Any:
        if not info.context.is_admin:
            raise GraphQLError(f"{name} is for administrators", extensions={"code": "FORBIDDEN"})
        return resolve(source, info, **arguments)

    return resolved


def _parse_record(value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        raise GraphQLError("JsonRecord must be an object")
    return value


@functools.cache
def schema(profile: str, has_search: bool = True) -> GraphQLSchema:
    """``@admin`` is enforced here, so that the text alone says who may see what. Without search: as before July 2025."""
    from graphql import default_field_resolver

    built = build_ast_schema(document(profile, has_search))
    for kind in built.type_map.values():
        if isinstance(kind, GraphQLScalarType) and kind.name == "JsonRecord":
            kind.coerce_input_value = kind.parse_value = _parse_record  # type: ignore[method-assign]
        if not isinstance(kind, GraphQLObjectType):
            continue
        for name, field in kind.fields.items():
            node = field.ast_node
            if node and any(directive.name.value == "admin" for directive in node.directives or ()):
                field.resolve = _only_administrators(field.resolve or default_field_resolver, name)
    return built
