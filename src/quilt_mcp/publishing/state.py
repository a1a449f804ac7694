"""Publication: which files of ``.quilt/tables/`` hold, as one small object that is replaced as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from quilt_mcp.domain.publication import NAMES
from quilt_mcp.errors import NotSupported

FORMAT: Final = 1
PARTS: Final = "_parts"
_MOST_SEQUENCE: Final = 10**12
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_OURS: Final = re.compile(rf"(?:{'|'.join(NAMES)}|{PARTS})/(\d{{8,}})-[0-9a-f]{{16}}-\d+\.(?:parquet|hashes)")


def sequence_of(key: str) -> int | None:
    """Of the publication that a file was written for, by its key below ``.quilt/tables/``. None for what we never wrote."""
    found = _OURS.fullmatch(key)
    return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """``key``: below ``.quilt/tables/``. ``etag``: what a bucket said of it when it was written; None in a folder, and of files
    of earlier versions."""

    key: str
    rows: int
    bytes: int
    sha256: str
    etag: str | None = None

    def is_sound(self, folder: str) -> bool:
        """Whether it may be a file of ours in that folder. Raises TypeError for what is of another type."""
        return (
            self.key.startswith(f"{folder}/")
            and (sequence_of(self.key) or -1) in range(_MOST_SEQUENCE + 1)
            and (int(self.rows), int(self.bytes)) == (self.rows, self.bytes)
            and min(self.rows, self.bytes) >= 0
            and _SHA256.fullmatch(self.sha256) is not None
        )


@dataclass(frozen=True, slots=True)
class PublishedPart:
    """Revisions that were written together: their rows of ``package_manifest`` and of ``package_entry`` (None: no files at all)
    and, in ``hashes``, which they are. ``weight``: bytes of their messages and metadata."""

    manifests: PublishedFile
    entries: PublishedFile | None
    hashes: PublishedFile
    weight: int

    @property
    def revisions(self) -> int:
        return self.manifests.rows

    @property
    def rows(self) -> int:
        return self.entries.rows if self.entries else 0

    def files(self) -> Iterator[PublishedFile]:
        if self.entries is not None:
            yield self.entries
        yield self.manifests
        yield self.hashes


@dataclass(frozen=True, slots=True)
class Publication:
    """``whole``: the files of tables that are written as a whole each time, and of those without rows. ``digests``: of the rows
    of the former, to see whether they changed. ``run``: whose write this is."""

    registry: str
    sequence: int = 0
    run: str = ""
    published: str = ""
    packages: int = 0
    parts: tuple[PublishedPart, ...] = ()
    whole: Mapping[str, PublishedFile] = field(default_factory=dict[str, PublishedFile])
    digests: Mapping[str, str] = field(default_factory=dict[str, str])

    def files(self) -> Mapping[str, PublishedFile]:
        """All that hold, by their keys."""
        found = {one.key: one for part in self.parts for one in part.files()}
        return found | {one.key: one for one in self.whole.values()}

    def tables(self) -> Mapping[str, list[str]]:
        """The keys of each table's files. Each has one at least, so that an engine finds the columns."""
        found: dict[str, list[str]] = {name: [] for name in NAMES}
        for part in self.parts:
            found["package_manifest"].append(part.manifests.key)
            if part.entries is not None:
                found["package_entry"].append(part.entries.key)
        for name, file in self.whole.items():
            found[name].append(file.key)
        return found

    def dump(self) -> bytes:
        whole = {name: asdict(file) for name, file in self.whole.items()}
        body = {
            "format": FORMAT,
            "registry": self.registry,
            "sequence": self.sequence,
            "run": self.run,
            "published": self.published,
            "packages": self.packages,
            "tables": self.tables(),
            "parts": [asdict(one) for one in self.parts],
            "whole": whole,
            "digests": dict(self.digests),
        }
        return json.dumps(body, indent=1, sort_keys=True).encode()

    @classmethod
    def load(cls, dumped: bytes) -> Publication | None:
        """None for what is damaged: it is published anew. Raises NotSupported for one of a later version."""
        try:
            found: dict[str, Any] = json.loads(dumped)
            version = int(found["format"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        if version > FORMAT:
            raise NotSupported(
                f"The published tables were written by a later version (format {version}).",
                next_step="Update quilt-mcp, or publish where the later version runs.",
            )
        try:
            parts = tuple(
                PublishedPart(
                    _file(one["manifests"]),
                    _file(one["entries"]) if one["entries"] else None,
                    _file(one["hashes"]),
                    int(one["weight"]),
                )
                for one in found["parts"]
            )
            whole = {name: _file(one) for name, one in found["whole"].items() if name in NAMES}
            made = cls(
                str(found["registry"]),
                int(found["sequence"]),
                str(found["run"]),
                str(found["published"]),
                int(found["packages"]),
                parts,
                whole,
                dict(found["digests"]),
            )
            return made if made._is_sound() and found["tables"] == made.tables() else None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None

    def _is_sound(self) -> bool:
        """Whether it may be ours, whoever wrote it: nothing in it is out of its place, doubled, or of another type."""
        placed = [(name, file) for name, file in self.whole.items()]
        for one in self.parts:
            placed += [("package_manifest", one.manifests), (PARTS, one.hashes)]
            placed += [("package_entry", one.entries)] if one.entries is not None else []
        keys = [file.key for _, file in placed]
        return (
            0 <= self.sequence <= _MOST_SEQUENCE
            and self.whole.keys() <= set(NAMES)
            and len(set(keys)) == len(keys)
            and all(file.is_sound(folder) for folder, file in placed)
        )


def _file(found: Mapping[str, Any]) -> PublishedFile:
    """Whoever may write to the registry may have written it. Raises KeyError, TypeError, ValueError."""
    etag = found.get("etag")
    return PublishedFile(
        str(found["key"]),
        int(found["rows"]),
        int(found["bytes"]),
        str(found["sha256"]),
        etag if isinstance(etag, str) else None,
    )
