"""Fields: what a query may name, by the scope of the search. The page of syntax is made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from quilt_mcp.domain.search.request import Scope

Holder = Literal["package", "file"]
Holds = Literal["path", "text", "word", "number", "size", "time", "json"]
"""``path``: names between slashes, which patterns are matched with as ``match`` matches them. ``text``: words are looked for in
it. ``word``: is compared as a whole. ``json``: metadata, a JSON pointer into it may follow. Letter case never counts."""


@dataclass(frozen=True, slots=True)
class Field:
    """``scopes``: of searches that know it. ``aliases``: what Quilt's own search calls it, and what people do."""

    name: str
    holder: Holder
    holds: Holds
    says: str
    scopes: tuple[Scope, ...] = ("packages", "entries")
    aliases: tuple[str, ...] = ()


Spot = tuple[Field, str]
"""A field, and a JSON pointer into it: '' for the whole."""

_FILES: Final[tuple[Scope, ...]] = ("packages", "entries", "objects")
_ROWS: Final[tuple[Scope, ...]] = ("entries", "objects")

FIELDS: Final = (
    Field("name", "package", "path", "the package's name", aliases=(
        "ptr_name", "ptr_name.text", "pkg_name", "package", "handle")),
    Field("message", "package", "text", "the revision's message", aliases=("mnfst_message", "comment")),
    Field("meta", "package", "json", "the package's metadata; meta./a/b is a field of it", aliases=(
        "mnfst_metadata", "metadata", "user_meta", "package_meta")),
    Field("readme", "package", "text", "README.md, .rst or .txt at the root"),
    Field("column", "package", "text", "columns of tables that object_read described before", scopes=("packages",),
          aliases=("columns",)),
    Field("workflow", "package", "word", "the workflow's id", aliases=("mnfst_workflow.id",)),
    Field("hash", "package", "word", "the top hash, or its beginning", aliases=("mnfst_hash", "top_hash")),
    Field("modified", "package", "time", "when the revision or the object was written", scopes=_FILES, aliases=(
        "ptr_last_modified", "mnfst_last_modified", "last_modified")),
    Field("entries", "package", "number", "files in the package", aliases=(
        "mnfst_stats.total_files", "total_files", "files")),
    Field("size", "package", "size", "bytes in the package", scopes=("packages",), aliases=(
        "mnfst_stats.total_bytes", "total_bytes", "package_size")),
    Field("package_size", "package", "size", "bytes in the package", scopes=("entries",), aliases=(
        "mnfst_stats.total_bytes", "total_bytes")),
    Field("path", "file", "path", "the file's path in its package", scopes=_FILES, aliases=(
        "entry_lk", "logical_key", "key", "key_text", "entry_lk.text")),
    Field("ext", "file", "word", "the end of the file's name, as csv or fastq.gz", scopes=_FILES, aliases=("extension",)),
    Field("file_size", "file", "size", "the file's bytes", scopes=("packages",), aliases=("entry_size",)),
    Field("size", "file", "size", "the file's bytes", scopes=_ROWS, aliases=("entry_size", "file_size")),
    Field("file_meta", "file", "json", "the file's metadata; file_meta./a/b is a field of it", aliases=(
        "entry_metadata", "entry_meta")),
    Field("file_hash", "file", "word", "the file's hash, or its beginning", aliases=("entry_hash", "entry_hash.value")),
    Field("physical_key", "file", "text", "where the file's bytes are", aliases=("entry_pk", "physical_keys", "entry_pk.text")),
)  # fmt: skip


def fields_of(scope: Scope) -> Sequence[Field]:
    return [one for one in FIELDS if scope in one.scopes]


def spelled(spot: Spot) -> str:
    """The field as it is written before a colon."""
    name = f"{spot[0].name}.{spot[1]}" if spot[1] else spot[0].name
    return '"' + re.sub(r'(["\\*])', r"\\\1", name) + '"' if re.search(r'[\s"\\*:()]', name) else name


def example_of(field: Field) -> str:
    """A term on the field, as it is written."""
    pointer = "./age" if field.holds == "json" else ""
    value = {"number": ">100", "json": ">3", "size": ">1MB", "time": ">2026-01-31", "path": "*R01*"}
    return f"{field.name}{pointer}:{value.get(field.holds, 'R01')}"


def named(scope: Scope) -> Mapping[str, Field]:
    """By name and alias, in lower case."""
    found = {alias: one for one in fields_of(scope) for alias in one.aliases}
    return found | {one.name: one for one in fields_of(scope)}
