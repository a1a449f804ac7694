"""Where this machine's configuration says that credentials are, so that no tool opens them. Nothing is read here but names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from quilt_mcp.config import quilt3_folder

_SESSION_FILES: Final = ("auth.json", "credentials.json", "config.yml")
_VARIABLES: Final = (
    "QUILT_API_KEY_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "KUBECONFIG",
    "NETRC",
    "PGPASSFILE",
    "DOCKER_CONFIG",
    "GNUPGHOME",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
)


def credential_files() -> Iterator[Path]:
    """quilt3's session and configuration, and the files and folders that variables name."""
    yield from (quilt3_folder() / name for name in _SESSION_FILES)
    for variable in _VARIABLES:
        yield from (
            Path(path).expanduser() for path in os.environ.get(variable, "").split(os.pathsep) if path
        )
