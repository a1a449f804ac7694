"""AwsCredentials: whether there are usable AWS credentials, precisely why not, and the keys themselves.

Variables are read here. Profiles, SSO, roles, web identity, processes and metadata services are botocore's, which is imported
when the variables or files say that there is something for it to do. An instance's metadata service is asked only on EC2 or
when the IAM backend was asked for by name, as asking for one that is not there takes a second.
"""

from __future__ import annotations

import configparser
import logging
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from quilt_mcp.auth.aws.errors import explain, sign_in
from quilt_mcp.auth.aws.files import PROFILE_VARIABLES, AwsFiles, Profile
from quilt_mcp.auth.aws.process import bound_process
from quilt_mcp.auth.finding import Finding
from quilt_mcp.auth.identity import S3Access
from quilt_mcp.auth.token import fingerprint
from quilt_mcp.environment import CA_BUNDLE, OTHER_CA_BUNDLES
from quilt_mcp.errors import AuthenticationError, QuiltError
from quilt_mcp.storage.s3.clients import AwsKeys, KeySource

_KNOWN_FOR: Final = 5.0
"""Seconds that an answer stands without being looked into again, unless variables or files change."""
_CONNECT_SECONDS: Final = 4
_READ_SECONDS: Final = 8
_METADATA_SECONDS: Final = 1
_REGION: Final = "us-east-1"
_DMI: Final = (Path("/sys/class/dmi/id/sys_vendor"), Path("/sys/hypervisor/uuid"))

_KEY_VARIABLES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_TOKEN_VARIABLES: Final = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_WEB_VARIABLES: Final = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_CONTAINER_VARIABLES: Final = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_METADATA_OFF: Final = "AWS_EC2_METADATA_DISABLED"
_METADATA_ENDPOINT: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
_ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_ENDPOINTS_OFF: Final = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
_REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
_WATCHED: Final = (
    *_KEY_VARIABLES,
    *_TOKEN_VARIABLES,
    *_WEB_VARIABLES,
    *_CONTAINER_VARIABLES,
    *PROFILE_VARIABLES,
    *_ENDPOINT_VARIABLES,
    *_REGION_VARIABLES,
    CA_BUNDLE,
    *OTHER_CA_BUNDLES,
    _ENDPOINTS_OFF,
    _METADATA_OFF,
    _METADATA_ENDPOINT,
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "HOME",
)


class AwsCredentials:
    """Follows variables and files: what changes is seen at the next call. Safe to share between threads.

    botocore reads the process's own environment, so ``environ`` is that or agrees with it. ``process_seconds`` bounds the
    credential_process of a profile.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.monotonic,
        process_seconds: float = 30.0,
    ) -> None:
        self._environ = environ
        self._process_seconds = process_seconds
        self._clock = clock
        self._lock = threading.RLock()
        self._known: tuple[Any, float, Finding[str]] | None = None
        self._source: KeySource | None = None
        self._place: tuple[Any, S3Access] | None = None
        self._asked_by_name = False

    def find(self, *, by_name: bool = False) -> Finding[str]:
        """The principal. Blocks: on botocore's import (once) and, for roles and SSO, on requests to AWS, bounded in time.

        ``by_name``: the IAM backend was asked for, so an instance's metadata service is worth asking anywhere.
        """
        with self._lock:
            self._forget_empty()
            self._asked_by_name = self._asked_by_name or by_name
            state = (self._asked_by_name, tuple(map(self._environ.get, _WATCHED)), self._files().stamp())
            now = self._clock()
            if self._known is not None and self._known[0] == state:
                _, since, finding = self._known
                if now - since < _KNOWN_FOR:
                    return finding
                if finding.found is not None and self._source is not None:
                    # The same credentials as before: do they still hold? (They refresh themselves when asked.)
                    finding = self._tried(self._source, finding)
                    self._known = (state, now, finding)
                    return finding
            self._source = None
            finding = self._find()
            self._known = (state, self._clock(), finding)
            return finding

    def keys(self) -> AwsKeys:
        """Keys that are good now. Raises AuthenticationError, or StorageUnavailable when whoever gives them is out of reach."""
        with self._lock:
            finding = self.find()
            if finding.found is None or self._source is None:
                raise finding.error or AuthenticationError(
                    f"There are no AWS credentials any more. {finding.reason}",
                    next_step=f"Run `{finding.fix}`.",
                    details={"command": finding.fix},
                )
            source = self._source
        return source()

    def access(self, *, anonymous: bool = False) -> S3Access:
        """Where S3 is and how it is reached; ``anonymous``: unsigned."""
        with self._lock:
            self._forget_empty()
            state = (tuple(map(self._environ.get, _WATCHED)), self._files().stamp())
            if self._place is None or self._place[0] != state:
                self._place = (state, self._find_place())
            place = self._place[1]
        return place if anonymous else replace(place, keys=self.keys)

    def _forget_empty(self) -> None:
        """Takes variables that are empty out of the environment, where botocore goes by them as if they said something: a profile
        without a name, no configuration file, no number of attempts. Forms of clients leave many so."""
        if isinstance(self._environ, MutableMapping):
            for name in [one for one, value in self._environ.items() if one.startswith("AWS_") and not value]:
                self._environ.pop(name, None)

    def _find_place(self) -> S3Access:
        """As the variables say, else the profile. Files that are broken count as none here."""
        files = self._files()
        profile: Profile | None = None
        configured: str | None = None
        with suppress(configparser.Error, UnicodeDecodeError, OSError):
            profile = files.profile()
            configured = files.endpoint_url(profile) if profile else None
        settings: Mapping[str, str] = profile.settings if profile else {}
        region = self._first(_REGION_VARIABLES) or settings.get("region")
        authorities = self._first((CA_BUNDLE,)) or settings.get("ca_bundle") or self._first(OTHER_CA_BUNDLES)
        endpoint = self._first(_ENDPOINT_VARIABLES) or configured
        if self._environ.get(_ENDPOINTS_OFF, "").lower() == "true":
            endpoint = None
        return S3Access(None, region, endpoint.rstrip("/") if endpoint else None, authorities)

    def _first(self, names: tuple[str, ...]) -> str | None:
        return next((self._environ[name] for name in names if self._environ.get(name)), None)

    def _files(self) -> AwsFiles:
        return AwsFiles(self._environ)

    def _find(self) -> Finding[str]:
        files = self._files()
        name = files.profile_name
        try:
            profile = files.profile()
            wants_code = files.asks_for_a_code(profile) if profile else None
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            return _failing(
                f"AWS's configuration files cannot be read ({type(error).__name__}): {files.config} or "
                f"{files.credentials}.",
                "aws configure list",
            )
        if profile is None and files.profile_is_asked_for:
            variable = next(one for one in PROFILE_VARIABLES if self._environ.get(one))
            return _failing(
                f"{variable} names the profile {name}, which is in neither {files.config} nor {files.credentials}.",
                f"aws configure --profile {name}",
            )
        if any(self._environ.get(one) for one in _KEY_VARIABLES):
            return self._from_variables()
        web = all(self._environ.get(one) for one in _WEB_VARIABLES)
        container = any(self._environ.get(one) for one in _CONTAINER_VARIABLES)
        way = profile.way() if profile else None
        if way == "role" and wants_code:
            return _failing(
                f"The AWS profile {wants_code} asks for an MFA code at each sign-in, which a server cannot type.",
                "aws sts get-session-token",
            )
        metadata = self._metadata_is_worth_asking()
        if way is None and not (web or container or metadata):
            return self._nothing(files, profile)
        return self._from_botocore(name, profile, metadata)

    def _nothing(self, files: AwsFiles, profile: Profile | None) -> Finding[str]:
        configure = (
            "aws configure"
            if files.profile_name == "default"
            else f"aws configure --profile {files.profile_name}"
        )
        if profile is not None:
            return Finding(
                f"No AWS credentials: no variables, and the profile {profile.name} has none.", configure
            )
        return Finding(f"No AWS credentials: no variables, and no profile in {files.config}.", configure)

    def _from_variables(self) -> Finding[str]:
        missing = next((name for name in _KEY_VARIABLES if not self._environ.get(name)), None)
        if missing is not None:
            other = next(name for name in _KEY_VARIABLES if name != missing)
            return _failing(f"{other} is set, but not {missing}.", f"export {missing}=...")
        self._source = self._variable_keys
        return Finding(
            "AWS_ACCESS_KEY_ID is set.",
            found=f"AWS access key {_shown(self._environ[_KEY_VARIABLES[0]])}",
        )

    def _variable_keys(self) -> AwsKeys:
        access, secret = (self._environ.get(name, "") for name in _KEY_VARIABLES)
        return AwsKeys(access, secret, self._first(_TOKEN_VARIABLES))

    def _from_botocore(self, name: str, profile: Profile | None, metadata: bool) -> Finding[str]:
        import botocore.session  # pyright: ignore[reportMissingTypeStubs]
        from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
        from botocore.exceptions import BotoCoreError, ClientError  # pyright: ignore[reportMissingTypeStubs]

        # botocore logs a failed refresh with all that a credential process printed; what matters of it is in our errors.
        logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)
        session: Any = botocore.session.Session()
        session.set_config_variable("metadata_service_timeout", _METADATA_SECONDS)
        session.set_config_variable("metadata_service_num_attempts", 1)
        session.set_config_variable(
            "region",
            self._first(_REGION_VARIABLES) or (profile and profile.settings.get("region")) or _REGION,
        )
        session.set_default_client_config(
            Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": 2},
            )
        )

        def ask() -> AwsKeys:
            try:
                frozen = credentials.get_frozen_credentials()
            except (BotoCoreError, ClientError, RuntimeError, OSError, ValueError, KeyError) as error:
                raise explain(error, name) from None  # its words may hold what a process printed
            expires: Any = getattr(credentials, "_expiry_time", None)
            return AwsKeys(
                frozen.access_key,
                frozen.secret_key,
                frozen.token,
                expires.astimezone(UTC) if isinstance(expires, datetime) else None,
            )

        try:
            if not metadata:
                session.get_component("credential_provider").remove("iam-role")
            bound_process(session, name, self._process_seconds)
            credentials: Any = session.get_credentials()
        except (BotoCoreError, ClientError, RuntimeError, OSError, ValueError, KeyError) as error:
            failure = explain(error, name)
            return Finding(failure.message, _command(failure), error=failure)
        if credentials is None:
            finding = self._nothing(self._files(), profile)
            if metadata:
                return Finding(
                    f"{finding.reason} The instance's metadata service gives no role.", finding.fix
                )
            return finding
        self._source = ask
        method = str(credentials.method)
        return self._tried(ask, Finding(_reason(method, name), found=self._principal(method, name, profile)))

    def _tried(self, source: KeySource, finding: Finding[str]) -> Finding[str]:
        try:
            source()
        except QuiltError as failure:
            self._source = None
            return Finding(failure.message, _command(failure), error=failure)
        return finding

    def _principal(self, method: str, name: str, profile: Profile | None) -> str:
        if method == "container-role":
            return "AWS container role"
        if method == "iam-role":
            return "AWS instance role"
        settings: Mapping[str, str] = profile.settings if profile else {}
        if method == "assume-role-with-web-identity":
            role = settings.get("role_arn") or self._environ.get("AWS_ROLE_ARN", "")
            return f"AWS role {role} by web identity"
        if method == "assume-role" and "role_arn" in settings:
            return f"AWS role {settings['role_arn']} by profile {name}"
        if method in {"shared-credentials-file", "config-file"}:
            return f"AWS access key {_shown(settings.get('aws_access_key_id', ''))} of profile {name}"
        return f"AWS profile {name}"

    def _metadata_is_worth_asking(self) -> bool:
        if self._environ.get(_METADATA_OFF, "").lower() == "true":
            return False
        return self._asked_by_name or bool(self._environ.get(_METADATA_ENDPOINT)) or self._on_ec2()

    def _on_ec2(self) -> bool:
        if self._environ.get(_METADATA_OFF, "").lower() == "true":
            return False
        return is_ec2()


def is_ec2() -> bool:
    """As the firmware says, without asking the network."""
    for path in _DMI:
        try:
            text = path.read_text(encoding="ascii", errors="replace").strip().lower()
        except OSError:
            continue
        if text == "amazon ec2" or (path.name == "uuid" and text.startswith("ec2")):
            return True
    return False


def _failing(reason: str, command: str) -> Finding[str]:
    return Finding(reason, command, error=sign_in(reason, command))


def _command(error: QuiltError) -> str:
    return str(error.details.get("command", ""))


def _reason(method: str, profile: str) -> str:
    match method:
        case "container-role":
            return "A container's metadata service gives a role."
        case "iam-role":
            return "The instance's metadata service gives a role."
        case "assume-role-with-web-identity":
            return "A web identity token gives a role."
        case "assume-role":
            return f"The AWS profile {profile} gives a role."
        case "sso" | "login":
            return f"The AWS profile {profile} is signed in."
        case _:
            return f"The AWS profile {profile} has keys."


def _shown(access_key: str) -> str:
    """Enough of an access key's id to know it again."""
    if len(access_key) >= 16:
        return f"{access_key[:4]}...{access_key[-4:]}"
    return f"#{fingerprint(access_key)}"
