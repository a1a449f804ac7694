"""Publication: the four tables of a registry as Parquet in the registry itself, for engines that know nothing of manifests.

.quilt/tables/_publication.json                  which files hold; replaced by one write, which is the publication
.quilt/tables/<table>/<sequence>-<run>-<n>.parquet  rows, never changed
.quilt/tables/_parts/<sequence>-<run>-<n>.hashes    the revisions of a part, 32 bytes each
.quilt/tables/_lists/<table>/files               the same files by their URIs, a line each, for Athena and Trino (buckets)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from quilt_mcp.domain.plan import Progress, no_progress

TABLES: Final = ".quilt/tables/"
STATE: Final = f"{TABLES}_publication.json"
NAMES: Final = ("package_entry", "package_manifest", "package_revision", "package_tag")
"""In the order in which they are published: what is referred to comes first."""


def lists_folder(table: str) -> str:
    """The key of the folder that Athena and Trino are given as a table's place."""
    return f"{TABLES}_lists/{table}/"


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """``is_done`` False: of a plan, whose ``bytes_written`` are an estimate. ``is_current``: there was nothing to do. ``added``
    and ``removed`` count revisions; of a change of tables alone, as when a package has another latest, both are 0."""

    registry: str
    is_done: bool
    is_current: bool
    sequence: int
    """Of the publication that holds now; 0 before the first."""
    packages: int
    revisions: int
    entries: int
    added: int
    removed: int
    files_written: int
    bytes_written: int
    files_deleted: int
    warnings: tuple[str, ...] = ()


class SupportsPublishing(Protocol):
    """Of one registry each. Only what this process reads itself can be published."""

    async def plan(self, registry: str, progress: Progress = no_progress) -> PublishOutcome:
        """What would be written. Brings the catalog of all revisions up to date first, which may read every manifest."""
        ...

    async def publish(self, registry: str, progress: Progress = no_progress) -> PublishOutcome:
        """Atomic. Killed at any point, what was published before holds, and the next call finishes. Raises ReadOnly,
        ChangedMeanwhile where another publication came first, StorageBusy where another process reads the registry."""
        ...

    def statements(self, registry: str, database: str | None = None) -> Sequence[str]:
        """That make the tables known, once: those of a bucket to Athena, of a folder to DuckDB. Raises InvalidArgument."""
        ...

    async def define(
        self, registry: str, database: str | None = None, progress: Progress = no_progress
    ) -> Sequence[Mapping[str, Any]]:
        """Runs the ``statements`` on Athena, and answers each with the facts of its execution. Tables that are there stay as they
        are. Raises ReadOnly, NotSupported for a folder or without AWS keys, and as a query does."""
        ...
