"""What a stack tells of packages, and what it is told to make: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Header
from quilt_mcp.domain.listing import Totals


@dataclass(frozen=True, slots=True)
class ToldPackage:
    """A package and its latest revision. ``message``, ``metadata`` and ``totals`` where asked for."""

    name: str
    modified: datetime | None
    top_hash: str | None
    message: str | None = None
    metadata: Any = None
    totals: Totals | None = None


@dataclass(frozen=True, slots=True)
class ToldRevision:
    """``header`` None: not asked for. ``entries`` None: the stack does not count them."""

    name: str
    top_hash: str
    modified: datetime
    header: Header | None
    entries: int | None


@dataclass(frozen=True, slots=True)
class ToldLog:
    """All revisions of a package, newest first, and the one among them that latest names. Both empty where there is no such
    package."""

    revisions: tuple[ToldRevision, ...]
    latest: ToldRevision | None


@dataclass(frozen=True, slots=True)
class ToldContents:
    """All entries of a revision, and the metadata of its folders down to ``packages.LEVELS``."""

    header: Header
    entries: tuple[Entry, ...]
    folders: tuple[DirectoryMeta, ...]


@dataclass(frozen=True, slots=True)
class ToldFile:
    path: str
    size: int
    physical_key: str
    metadata: Any


@dataclass(frozen=True, slots=True)
class ToldFolder:
    path: str
    size: int
    metadata: Any


@dataclass(frozen=True, slots=True)
class Inside:
    """A file or a folder of a revision; ``children`` of a folder, in the stack's order."""

    revision: ToldRevision
    totals: Totals
    item: ToldFile | ToldFolder
    children: tuple[ToldFile | ToldFolder, ...] = ()


@dataclass(frozen=True, slots=True)
class PushParams:
    """What a stack is told of a revision beside its files. ``workflow``: None the bucket's default, "" none."""

    bucket: str
    name: str
    message: str | None
    metadata: Any
    workflow: str | None

    def told(self) -> dict[str, Any]:
        return {
            "bucket": self.bucket,
            "name": self.name,
            "message": self.message,
            "userMeta": self.metadata,
            "workflow": self.workflow,
        }
