"""YAML that comes from a registry, read within bounds: size, aliases, merged keys, numbers, nesting, expanded values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, cast

MAX_BYTES: Final = 256 * 1024
MAX_ALIASES: Final = 200
MAX_VALUES: Final = 50_000
"""Counted with every alias followed, as whoever walks the value will meet them."""
MAX_DEPTH: Final = 50
MAX_NUMBER: Final = 64
"""Characters of a number. A longer one may take seconds to compute ('1:1:1:...' counts by sixties) or to write."""
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_yaml(data: bytes, *, as_json: bool = False) -> Any:
    """The value of a YAML document by PyYAML's safe rules; ``as_json``: dates stay text, and no key may stand twice. Raises
    ValueError with a phrase that says what is wrong."""
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
            node = super().compose_node(parent, index)
            if node is not None and node.tag in _NUMBERS and len(node.value) > MAX_NUMBER:
                raise ValueError(f"it has a number of more than {MAX_NUMBER} characters")
            return node

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            if len(node.value) > MAX_VALUES:
                raise ValueError("its merge keys ('<<') multiply without end")

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if as_json and len({*names}) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"the key {twice!r} stands twice in one object")
            return super().construct_mapping(node, deep)

    if as_json:
        resolvers = cast("dict[str, list[tuple[str, Any]]]", yaml.SafeLoader.yaml_implicit_resolvers)
        BoundedLoader.yaml_implicit_resolvers = {
            first: [one for one in found if one[0] != _TIMESTAMP] for first, found in resolvers.items()
        }
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
    check_extent(value, MAX_DEPTH, MAX_VALUES)
    return value


def check_extent(value: Any, depth: int, values: int) -> None:
    """Raises ValueError, with a phrase, for a value nested more than ``depth`` deep or holding more than ``values``."""
    held = 0
    level: list[Any] = [value]
    for _ in range(depth):
        level = list(islice(_children(level), values - held + 1))
        held += len(level)
        if held > values:
            raise ValueError(f"it holds more than {values:,} values once its aliases are followed")
        if not level:
            return
    raise ValueError(f"it is nested more than {depth} deep")


def _children(level: Iterable[Any]) -> Iterator[Any]:
    for node in level:
        if isinstance(node, dict):
            yield from cast("dict[Any, Any]", node).values()
        elif isinstance(node, (list, tuple, set)):
            yield from cast("list[Any]", node)
