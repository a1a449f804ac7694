"""What is asked in SQL, and what comes back: the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from quilt_mcp.domain.address import PackageUri

SqlEngine = Literal["auto", "duckdb", "athena"]
ENGINES: Final = ("auto", "duckdb", "athena")


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """``packages``: quilt+ URIs whose files may be named as tables, or patterns of packages' names; ``parameters``: for ``$name``
    or ``?`` in the text. ``to``: the file that a result is saved as."""

    sql: str
    packages: tuple[str, ...] = ()
    engine: SqlEngine = "auto"
    parameters: Mapping[str, Any] | Sequence[Any] = ()
    explain: bool = False
    all_revisions: bool = False
    to: PackageUri | None = None


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """``type`` as the engine spells it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class SqlTable:
    """``name`` as it is written in a FROM."""

    name: str
    columns: tuple[SqlColumn, ...] = ()
    rows: int | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A whole result as a file. ``inputs``: addresses of the revisions, objects and registries that it was made of; ``as_of``:
    the moment (ISO 8601) at which the tables over a registry's packages were as they were read."""

    content: bytes
    columns: tuple[SqlColumn, ...]
    inputs: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    as_of: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class SqlRows:
    """One page. Values are what JSON has: whole numbers beyond 2**53, decimals, times and what floats cannot say (NaN, infinity)
    are text, bytes are base64. ``total`` None: not counted. ``facts``: of the run, such as the bytes that Athena scanned."""

    columns: tuple[SqlColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    engine: str
    next_cursor: str | None = None
    total: int | None = None
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
