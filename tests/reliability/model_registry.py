"""ModelRegistry: what a registry holds, as dictionaries. State machines hold the engine against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFile:
    content: bytes
    metadata: Any = None


@dataclass(frozen=True)
class ModelRevision:
    files: dict[str, ModelFile]
    metadata: Any
    message: str | None


@dataclass
class ModelPackage:
    """``log`` holds top hashes, oldest first; a hash stands in it as often as it was published."""

    log: list[str] = field(default_factory=list)
    latest: str = ""


class ModelRegistry:
    def __init__(self) -> None:
        self.revisions: dict[str, ModelRevision] = {}
        self.packages: dict[str, ModelPackage] = {}

    def publish(self, name: str, top_hash: str, revision: ModelRevision) -> bool:
        """Whether a line of the log was written."""
        known = self.revisions.setdefault(top_hash, revision)
        assert known == revision, "one top hash is one revision"
        package = self.packages.setdefault(name, ModelPackage())
        if package.latest == top_hash:
            return False
        package.log.append(top_hash)
        package.latest = top_hash
        return True

    def roll_back(self, name: str, top_hash: str) -> bool:
        """Whether latest moved."""
        package = self.packages[name]
        if package.latest == top_hash:
            return False
        assert top_hash in package.log
        package.latest = top_hash
        return True

    def latest(self, name: str) -> ModelRevision:
        return self.revisions[self.packages[name].latest]

    def delete(self, name: str, top_hash: str | None) -> None:
        package = self.packages[name]
        package.log = [line for line in package.log if top_hash is not None and line != top_hash]
        if (not package.log and package.latest in (top_hash, "")) or top_hash is None:
            del self.packages[name]
        elif package.latest == top_hash:
            package.latest = package.log[-1]


def clashes(keys: set[str]) -> bool:
    """Whether a file stands where another key needs a folder."""
    return any(key[:at] in keys for key in keys for at in range(len(key)) if key[at] == "/")
