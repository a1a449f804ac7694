"""YAML that comes from a registry, read within bounds: size, aliases, merged keys, nesting, expanded nodes."""

from __future__ import annotations

from typing import Any, Final, cast

MAX_BYTES: Final = 256 * 1024
MAX_ALIASES: Final = 200
MAX_NODES: Final = 50_000
"""Counted with every alias followed, as whoever walks the value will meet them."""
MAX_DEPTH: Final = 50


def read_yaml(data: bytes) -> Any:
    """The value of a YAML document by PyYAML's safe rules. Raises ValueError with a phrase that says what is wrong."""
    import yaml

    if len(data) > MAX_BYTES:
        raise ValueError(f"it is {len(data):,} bytes long, and at most {MAX_BYTES:,} are read")

    class BoundedLoader(yaml.SafeLoader):
        aliases = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if cast("Any", self).check_event(yaml.AliasEvent):
                self.aliases += 1
                if self.aliases > MAX_ALIASES:
                    raise ValueError(f"it has more than {MAX_ALIASES} aliases")
            return super().compose_node(parent, index)

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            if len(node.value) > MAX_NODES:
                raise ValueError("its merge keys ('<<') multiply without end")

    try:
        value = yaml.load(data.decode(), Loader=BoundedLoader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" at line {error.problem_mark.line + 1}"
        raise ValueError(f"{error.problem or error.context or 'malformed'}{line}") from error
    except (KeyError, IndexError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(f"a value does not fit its YAML tag ({error})") from error
    except yaml.YAMLError as error:
        raise ValueError("malformed, or with a character that YAML does not allow") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _refuse_bomb(value)
    return value


def _refuse_bomb(value: Any) -> None:
    nodes = 0
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(cast("dict[Any, Any]", node).values())
            elif isinstance(node, (list, tuple, set)):
                below.extend(cast("list[Any]", node))
            if nodes + len(below) > MAX_NODES:
                raise ValueError(f"it holds more than {MAX_NODES:,} values once its aliases are followed")
        nodes += len(below)
        if not below:
            return
        level = below
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
