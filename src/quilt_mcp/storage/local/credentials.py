"""CredentialPlaces: files and folders that no tool reads, lists or writes, even inside a root.

A place is known by its resolved path, compared without regard to case, Unicode form and invisible characters, since some file
systems open a file by any of its spellings. A hard link to such a file under another name is not known.
"""

from __future__ import annotations

import functools
import glob
import os
import re
import unicodedata
from collections.abc import Iterable
from fnmatch import translate
from pathlib import Path
from typing import Final

from quilt_mcp.errors import CredentialPlace
from quilt_mcp.storage.private import OURS

_EVERYWHERE: Final = """
    .ssh id_rsa id_dsa id_ecdsa id_ed25519 .gnupg .password-store .pki .netrc _netrc .git-credentials .config/git/credentials
    .aws .boto .s3cfg .azure .oci .config/gcloud .config/doctl .config/rclone .config/gh .config/hub .config/op .vault-token
    .kube .docker .dockercfg containers/auth.json .terraform.d .terraformrc .databrickscfg .snowflake .kaggle
    .pgpass .my.cnf .npmrc .pypirc .gem/credentials .cargo/credentials .cargo/credentials.toml
    .cache/huggingface/token .cache/huggingface/stored_tokens .huggingface/token
    .local/share/keyrings library/keychains .mozilla .config/google-chrome .config/chromium
"""
"""Paths that end so, in any folder."""
_ON_THIS_MACHINE: Final = (
    "/proc/*/environ",
    "/etc/shadow",
    "/etc/gshadow",
    "/run/secrets",
    "/var/run/secrets",
)


class CredentialPlaces:
    """``more``: places of this machine beside those that every machine has."""

    def __init__(self, more: Iterable[Path] = ()) -> None:
        self._by_name = _by_name(glob.escape(_folded(os.path.realpath(path))) for path in more)
        for name, patterns in _of_every_machine().items():
            self._by_name.setdefault(name, []).extend(patterns)

    def holds(self, folder: str, name: str) -> bool:
        """Whether ``name`` in an absolute ``folder`` is such a place. Of what lies below one the folder alone tells."""
        folded = _folded(name)
        patterns = self._by_name.get(folded, ())
        if not patterns:
            return folded.endswith(OURS)
        path = f"{_folded(folder).rstrip('/')}/{folded}"
        return any(pattern.match(path) for pattern in patterns)

    def require_outside(self, path: Path) -> None:
        """Raises CredentialPlace for a resolved path that is such a place, or lies in one."""
        for one in (path, *path.parents):
            if one.name and self.holds(str(one.parent), one.name):
                raise refusal(str(path), str(one))


@functools.cache
def _of_every_machine() -> dict[str, list[re.Pattern[str]]]:
    """Once a process: as much work as the rest of opening a backend."""
    return _by_name([*(f"*/{ending}" for ending in _EVERYWHERE.split()), *_ON_THIS_MACHINE])


def _by_name(patterns: Iterable[str]) -> dict[str, list[re.Pattern[str]]]:
    found: dict[str, list[re.Pattern[str]]] = {}
    for pattern in patterns:
        name = pattern.rpartition("/")[2]
        found.setdefault(_plain(name), []).append(re.compile(translate(pattern)))
    return found


def refusal(path: str, place: str) -> CredentialPlace:
    return CredentialPlace(
        f"{path} is not used: {place} is a place of credentials, which no setting opens.",
        next_step="Name another file or folder. What is no secret can be copied out of there first.",
        details={"path": ascii(path), "place": ascii(place)},
    )


def _folded(text: str) -> str:
    """What is equal for all spellings that some file system takes for one name."""
    if not text.isascii():
        shown = (one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) != "Cf")
        text = "".join(shown)
    return "/".join(part.rstrip(". ") for part in text.casefold().split("/"))


def _plain(name: str) -> str:
    """A pattern's last name, which has no wildcards, without its escapes."""
    return re.sub(r"\[(.)\]", r"\1", name)
