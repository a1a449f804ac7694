"""Widening: which folders a next step may name for a server to be opened to. Nobody opens the system's, or a whole home, by
pasting what an error said.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SYSTEM: Final = frozenset(
    "bin boot dev etc lib lib32 lib64 libx32 proc run sbin sys usr var Applications Library System".split()  # noqa: SIM905
)
_TEMPORARY: Final = frozenset(("folders", "tmp"))
"""Below /var."""
_OF_HOMES: Final = frozenset(("home", "Users", "Volumes", "mnt", "media", "private"))
"""Folders of homes and of disks."""


def may_be_opened(folder: Path) -> bool:
    """Whether it is neither of the system nor the home of this account, nor holds one. ``folder`` is absolute."""
    parts = [*folder.parts[1:]]
    if len(parts) > 1 and parts[0] == "private":  # macOS
        del parts[0]
    if not parts or (len(parts) == 1 and parts[0] in _OF_HOMES):
        return False
    if len(parts) > 1 and parts[0] == "var" and parts[1] in _TEMPORARY:
        return len(parts) > 2
    try:
        is_home = Path.home().is_relative_to(folder)
    except RuntimeError:  # the account has none
        is_home = False
    return parts[0] not in _SYSTEM and not is_home
