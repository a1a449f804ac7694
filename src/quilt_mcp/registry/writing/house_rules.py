"""HouseRules: what a Quilt stack wants of the files of packages that are pushed to its buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from quilt_mcp.domain.checksums import SHA256_CHUNKED


@dataclass(frozen=True, slots=True)
class HouseRules:
    """``root``: the folder that files are placed below, before the package's name; '' for none. ``hash_type``: of new entries,
    where the bucket keeps versions. ``warnings``: what could not be found out of them."""

    root: str = ""
    hash_type: str = SHA256_CHUNKED
    warnings: tuple[str, ...] = ()

    def folder_of(self, name: str) -> str:
        """Where a package's files go, without a closing slash."""
        return f"{self.root}/{name}" if self.root else name


NO_RULES: Final = HouseRules()
