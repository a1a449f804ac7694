"""AwsFiles: what AWS's configuration and credentials files say of a profile, read without botocore.

Enough to see at every start whether there is anything for botocore (0.2 s to import) to do, which region and endpoint are
configured, and what is wrong with a profile. Roles, SSO and processes are botocore's to carry out.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROFILE_VARIABLES: Final = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_MOST_ROLES: Final = 16

Stamp = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """``settings`` of both files, those of the credentials file first in rank."""

    name: str
    settings: Mapping[str, str]

    def way(self) -> str | None:
        """How its credentials come about, in the order that botocore tries; None: it says nothing of credentials."""
        for way, settings in _WAYS:
            if any(setting in self.settings for setting in settings):
                return way
        return None


_WAYS: Final = (
    ("role", ("role_arn",)),
    ("sso", ("sso_session", "sso_start_url", "sso_account_id", "sso_role_name")),
    ("keys", ("aws_access_key_id", "aws_secret_access_key")),
    ("login", ("login_session",)),
    ("process", ("credential_process",)),
)


class AwsFiles:
    """Read anew each time; ``stamp`` says cheaply whether that is needed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.config = _path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
        self.credentials = _path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
        self.profile_name = next(
            (environ[name] for name in PROFILE_VARIABLES if environ.get(name)), "default"
        )
        self.profile_is_asked_for = any(environ.get(name) for name in PROFILE_VARIABLES)

    def stamp(self) -> Stamp:
        return tuple(_stamp_of(path) for path in (self.config, self.credentials))

    def exist(self) -> bool:
        return any(path.is_file() for path in (self.config, self.credentials))

    def profile(self, name: str | None = None) -> Profile | None:
        """None: neither file has it. Raises ``configparser.Error``, UnicodeDecodeError or OSError for a file that is broken."""
        wanted = name or self.profile_name
        of_config = _sections(self.config)
        section = wanted if wanted == "default" and "default" in of_config else f"profile {wanted}"
        found = [
            sections[name]
            for sections, name in ((of_config, section), (_sections(self.credentials), wanted))
            if name in sections
        ]
        if not found:
            return None
        return Profile(wanted, {key: value for settings in found for key, value in settings.items()})

    def endpoint_url(self, profile: Profile) -> str | None:
        """Where the profile sends S3: its services' section first, then the profile itself."""
        services = profile.settings.get("services")
        if services:
            section = _sections(self.config).get(f"services {services}", {})
            nested = _nested(section.get("s3", ""))
            if nested.get("endpoint_url"):
                return nested["endpoint_url"]
        return profile.settings.get("endpoint_url")

    def asks_for_a_code(self, profile: Profile) -> str | None:
        """The name of the profile, here or among those it takes its role from, that wants an MFA code typed in."""
        seen = list[str]()
        current: Profile | None = profile
        while current is not None and current.name not in seen and len(seen) < _MOST_ROLES:
            seen.append(current.name)
            if "role_arn" not in current.settings or "web_identity_token_file" in current.settings:
                return None
            if current.settings.get("mfa_serial"):
                return current.name
            source = current.settings.get("source_profile")
            current = self.profile(source) if source and source != current.name else None
        return None


def _path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()


def _sections(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    return {_plain(name): dict(parser.items(name)) for name in parser.sections()}


def _plain(section: str) -> str:
    """``[profile "a b"]`` and ``[profile   a]`` as botocore takes them: the kind, one space, the name."""
    kind, _, name = section.strip().partition(" ")
    if not name:
        return kind
    return f"{kind} " + name.strip().strip("\"'")


def _nested(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
