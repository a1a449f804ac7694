"""What a package may not put into a folder, and what a person is told of: a ``.git``, whose hooks git runs, and files that a
tool runs or obeys on its own. (Places of credentials are closed where paths become descriptors.)

Not named here is what a person starts by name: a Makefile, ``package.json``, ``setup.py``, scripts.
"""

from __future__ import annotations

import re
import unicodedata

from quilt_mcp.domain.printable import printable

_GIT = re.compile(r"(?:^|/)\.git(?:/|$)")
_RUN = re.compile(
    r"(?:^|/)(?:\.mcp\.json|\.envrc|\.env|conftest\.py|sitecustomize\.py|usercustomize\.py|\.vscode/[^/]+\.json|[^/]+\.code-workspace"
    r"|\.idea/.+|\.devcontainer(?:\.json|/.+)|\.pre-commit-config\.yaml|\.husky/.+|\.gitattributes|\.gitconfig|\.gitmodules"
    r"|\.(?:claude|cursor|gemini|codex|windsurf)/.+|\.cursorrules|\.windsurfrules|claude\.md|agents\.md|gemini\.md"
    r"|\.github/(?:copilot-instructions\.md|workflows/.+)|\.ipython/.+|\.jupyter/.+|\.npmrc|\.yarnrc(?:\.yml)?|\.pypirc|\.pdbrc"
    r"|\.gdbinit|\.lldbinit|\.exrc|\.n?vimrc|\.(?:bash|zsh)[^/]*|\.profile|\.inputrc|mise\.toml|\.mise\.toml)$"
)


def is_of_git(path: str) -> bool:
    """Whether the path is a ``.git``, or lies in one."""
    return _GIT.search(_plain(path)) is not None


def is_run(path: str) -> bool:
    """Whether a tool that opens the folder, or starts in it, runs or obeys the file at this path without being told to."""
    return _RUN.search(_plain(path)) is not None


def _plain(path: str) -> str:
    """As a file system that folds case, ignores what is invisible, or drops dots and blanks at the end of a name finds it."""
    if not path.isascii():
        path = unicodedata.normalize("NFKC", "".join(char for char in path if printable(char) == char))
    return re.sub(r"[. ]+(?=/|$)", "", path.casefold())
