"""The fields that a query may name. A stack's index finds nothing by a field that it has not, and does not say so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from quilt_mcp.domain.names import suggest
from quilt_mcp.domain.search.request import Scope

FIELDS: Final[Mapping[Scope, tuple[str, ...]]] = {
    "packages": (
        "ptr_name", "ptr_name.text", "ptr_tag", "ptr_last_modified", "mnfst_hash", "mnfst_message", "mnfst_metadata",
        "mnfst_stats.total_bytes", "mnfst_stats.total_files", "mnfst_workflow.id", "entry_lk", "entry_lk.text", "entry_pk",
        "entry_pk.text", "entry_size", "entry_hash.value", "entry_metadata", "entry_contents",
    ),
    "objects": ("key", "key_text", "ext", "size", "last_modified", "content", "version_id", "delete_marker", "s3_tags"),
}  # fmt: skip
"""Those that Quilt documents, and what its indexer writes beside them."""
_MEANT: Final[Mapping[Scope, Mapping[str, str]]] = {
    "packages": {
        "name": "ptr_name",
        "package": "ptr_name",
        "handle": "ptr_name",
        "message": "mnfst_message",
        "comment": "mnfst_message",
        "metadata": "mnfst_metadata",
        "meta": "mnfst_metadata",
        "hash": "mnfst_hash",
        "workflow": "mnfst_workflow.id",
        "modified": "ptr_last_modified",
        "path": "entry_lk",
        "key": "entry_pk",
        "size": "mnfst_stats.total_bytes",
        "entries": "mnfst_stats.total_files",
        "content": "entry_contents",
    },
    "objects": {
        "name": "key",
        "path": "key",
        "extension": "ext",
        "modified": "last_modified",
        "version": "version_id",
        "deleted": "delete_marker",
    },
}
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAMED: Final = re.compile(r"(?<![\\\w.*])([A-Za-z][\w.]*):(?=[^\s])")
_MOST: Final = 3


def unknown_fields(text: str, scope: Scope) -> list[str]:
    """Warnings of fields that a query names and the index has not."""
    known = FIELDS[scope]
    named = dict.fromkeys(_NAMED.findall(_QUOTED.sub('""', text)))
    unknown = [
        one for one in named if one not in known and not any(field.startswith(f"{one}.") for field in known)
    ]
    return [
        f"no_field: the stack's index of {scope} has no field {one[:60]}{_hint(one, scope)}."
        for one in unknown[:_MOST]
    ]


def _hint(field: str, scope: Scope) -> str:
    meant = _MEANT[scope].get(field.lower())
    near = [meant] if meant else suggest(field, FIELDS[scope])
    if near:
        return f"; write {' or '.join(near)}"
    return f"; it has {', '.join(FIELDS[scope])}; a text with a colon stands in quotation marks"
