"""NoFolders: the LocalStores of a server of many users, none of whom has files on its machine."""

from __future__ import annotations

from pathlib import Path

from quilt_mcp.errors import NotSupported, OutsideRoots
from quilt_mcp.storage.local.secret_file import SecretFile
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.store import FoundFiles


class NoFolders(LocalStores):
    """Every path is refused in the same words, before anything is looked for: an answer tells nothing of the machine."""

    def __init__(self) -> None:
        super().__init__((), create=False)

    async def find(self, origin: str) -> FoundFiles:
        raise _refused()

    def new_secret(self, path: str) -> SecretFile:
        raise NotSupported(
            "A new key's secret goes into a file that no model reads, and a server that many users share has no files.",
            next_step="Make the key in the Quilt catalog, which shows its secret once; it is listed and revoked here, too.",
        )

    def _below_root(self, path: str) -> tuple[Path, str]:
        raise _refused()

    def _resolved(self, path: str) -> Path:
        raise _refused()


def _refused() -> OutsideRoots:
    return OutsideRoots(
        "This server is shared by many users, and reaches no files of any machine: neither its own nor yours.",
        next_step="Name an object (s3://bucket/key) or a file of a package instead. To bring a file of yours: small text goes as "
        "content; for any other, object_link with upload=true gives a link to send it to.",
    )
