"""What a manifest holds: a header, entries, and the metadata of directories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hash:
    """A checksum as a manifest stores it. ``type`` is open: an unknown type is kept, and fails only on verify."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a revision.

    ``physical_key`` is the URL exactly as the manifest has it. ``meta`` is the full meta object as stored
    (user metadata under ``user_meta``, serializer hints beside it), ``{}`` when empty. ``size`` is in bytes.
    ``hash`` and ``size`` are None only while a plan has not read the bytes yet; a manifest always has both.
    """

    logical_key: str
    physical_key: str
    size: int | None
    hash: Hash | None
    meta: JsonObject = field(default_factory=dict[str, Any])

    @property
    def user_meta(self) -> Any:
        return self.meta.get("user_meta")


@dataclass(frozen=True, slots=True)
class DirectoryMeta:
    """User metadata of a sub-directory; ``logical_key`` ends in '/'. Not part of the top hash.

    ``meta`` is any JSON value, as quilt3 takes any; mostly an object.
    """

    logical_key: str
    meta: Any


@dataclass(frozen=True, slots=True)
class Header:
    """Line 1 of a manifest: the JSON object as stored, key order kept, unknown keys kept.

    ``user_meta`` null and ``user_meta`` absent are different packages (different top hashes).
    """

    fields: JsonObject = field(default_factory=lambda: {"version": "v0"})

    @property
    def message(self) -> str | None:
        return self.fields.get("message")

    @property
    def user_meta(self) -> Any:
        """The package metadata; None both for null and for absent."""
        return self.fields.get("user_meta")

    @property
    def workflow(self) -> JsonObject | None:
        return self.fields.get("workflow")


Record = Entry | DirectoryMeta
