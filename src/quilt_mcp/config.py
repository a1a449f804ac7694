"""Settings: what the environment and the command line say of each ``Option``, read once and never changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from quilt_mcp.errors import InvalidArgument
from quilt_mcp.option import BACKENDS, OPTIONS, BackendName, Option

_VARIABLE = re.compile(r"\$\{|\$[A-Za-z_]|%[A-Za-z_]{3,}%|\{\{")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
BYTES_PER_TOKEN = 4
"""The estimate of the response budget, which counts what a model reads: the text or the structured content."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default. Secrets never show in ``repr``. ``roots`` are absolute; empty: none was given."""

    default_registry: str | None = None
    allow_write: bool = False
    agent_context: bool = False
    roots: tuple[Path, ...] = ()
    backend: BackendName | None = None
    require_auth: bool = False
    disable_quilt3_session: bool = False
    anonymous: bool = False
    requester_pays: bool = False
    s3_proxy: bool = False
    allowed_buckets: tuple[str, ...] = ()
    catalog_url: str | None = None
    jwt_token: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_key_file: Path | None = None
    athena_workgroup: str | None = None
    athena_database: str | None = None
    athena_catalog: str | None = None
    athena_output: str | None = None
    tabulator: Path | None = None
    through_stack: bool = False
    cache_dir: Path | None = None
    cache_bytes: int = 2 << 30
    max_response_tokens: int = 16_000
    log_level: str = "warning"
    http: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    single_user: bool = False
    view: bool = False
    max_body_bytes: int = 4 << 20
    http_token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    user_rate: int = 20
    user_calls: int = 16
    call_seconds: int = 1800
    most_users: int = 1000
    drain_seconds: int = 25
    issuer: str | None = None
    issuer_keys: str | None = None
    issuer_algorithm: str = "RS256"
    audience: str | None = None
    audit: str | None = None
    metrics: str | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
        """Flags win over the environment; a flag of None (or an empty list) was not given. An empty variable is unset, and so
        is an empty flag; a list that names nothing, or a value of spaces, is an error, as it was meant for something.

        Raises InvalidArgument naming the flag or variable and what it may be.
        """
        given: dict[str, Any] = {}
        for option in OPTIONS:
            flag = (flags or {}).get(option.name)
            if flag is not None and flag not in ([], ""):
                given[option.name] = _read(option, flag, option.flag or option.name)
            elif option.variable and (text := environ.get(option.variable)):
                given[option.name] = _read(option, text, option.variable)
        if given.keys() >= {"api_key", "api_key_file"}:
            raise InvalidArgument(
                "QUILT_API_KEY and QUILT_API_KEY_FILE are both set, and only one can be meant.",
                next_step="Unset one of them.",
            )
        settings = cls(**given)
        _check_ranges(settings)
        return settings

    @property
    def serves_many(self) -> bool:
        """Whether each request is its own user's: nothing of this machine is then in anybody's reach."""
        return self.http and not self.single_user

    def local_roots(self) -> tuple[Path, ...]:
        """The folders that sources and install folders must lie in, the registry's own aside; none for many users.

        Without --root: the working folder, unless it is the home folder or holds it, or has vanished. Desktop clients start
        servers there or in '/', where everything private lies.
        """
        if self.roots or self.serves_many:
            return () if self.serves_many else self.roots
        try:
            here = Path(os.path.realpath(Path.cwd()))
        except OSError:  # it was removed
            return ()
        return () if any(home.is_relative_to(here) for home in _homes()) else (here,)

    def notices(self) -> tuple[str, ...]:
        """What of the folders is probably not as meant: told at start, by ``status`` and by ``doctor``. Many users have none."""
        if self.serves_many:
            return ()
        found = [
            f"unexpanded: {flag} is {text}; the client put no value in its place."
            for flag, text in self._unexpanded()
        ]
        missing = [root for root in self.roots if not _VARIABLE.search(str(root)) and not root.is_dir()]
        found += [f"missing_root: {root} is no folder on this machine." for root in missing]
        if not self.local_roots():
            found.append(
                "no_root: the working folder is the home folder, holds it or is gone, so no local file can be read or packaged, "
                "but those of registries. Start the server with --root DIR (or QUILT_ROOT) for each folder that it may use."
            )
        return tuple(found)

    def _unexpanded(self) -> Iterator[tuple[str, str]]:
        """Flags and their values that still hold a variable of the client's configuration, and name nothing that is there."""
        for option in OPTIONS:
            if option.kind in ("text", "file", "folder", "folders", "names"):
                value: Any = getattr(self, option.name)
                many: tuple[Any, ...] = value if option.kind in ("folders", "names") else (value,)
                for text in map(str, many):
                    if _VARIABLE.search(text) and not os.path.exists(text):
                        yield option.flag or option.variable or option.name, text

    def response_bytes(self) -> int:
        return self.max_response_tokens * BYTES_PER_TOKEN

    def cache_folder(self) -> Path:
        if self.cache_dir is not None:
            return self.cache_dir
        import platformdirs

        return Path(platformdirs.user_cache_dir("quilt-mcp", appauthor=False))


def _homes() -> set[Path]:
    """The home folder as HOME says, and as the system's accounts do. '/' lies above both."""
    found = {Path("/"), Path(os.path.realpath(os.path.expanduser("~")))}
    with suppress(ImportError, KeyError):  # Windows has no such accounts, a container none of this number
        import pwd

        found.add(Path(os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)))
    return found


def quilt3_folder() -> Path:
    """Where quilt3 keeps its configuration, session and local packages (quilt3's own rule)."""
    import platformdirs

    return Path(platformdirs.user_data_dir("Quilt", "QuiltData"))


def quilt3_local_registry() -> str:
    """quilt3's local registry as a URL or path: ``default_local_registry`` of its config.yml, else its packages folder.

    A config.yml that is missing, unreadable or not YAML counts as not there, as a broken quilt3 set-up must not keep this
    server from starting; ``doctor`` shows the registry in use.
    """
    folder = quilt3_folder()
    try:
        text = (folder / "config.yml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return _local_registry_in(text) or str(folder / "packages")


@lru_cache(maxsize=4)
def _local_registry_in(config_yml: str) -> str | None:
    """Kept by content, as each call decides anew and YAML is slow to read."""
    if "default_local_registry" not in config_yml:
        return None
    import yaml

    try:
        config: Any = yaml.safe_load(config_yml)
    except yaml.YAMLError:
        return None
    value: Any = config.get("default_local_registry") if isinstance(config, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value.strip() or None if isinstance(value, str) else None


def _read(option: Option, value: Any, source: str) -> Any:
    if isinstance(value, str) and not value.strip():
        raise _names_nothing(source, value)
    match option.kind:
        case "switch":
            return _switch(value, source)
        case "integer":
            try:
                return int(value)
            except (TypeError, ValueError):
                raise InvalidArgument(
                    f"{source} is not a whole number: {value!r}.", next_step=f"Give {source} as digits."
                ) from None
        case "file" | "folder":
            return Path(value).expanduser().absolute()
        case "folders":
            many: Sequence[str] = value.split(":") if isinstance(value, str) else value
            return _some(
                tuple(Path(one).expanduser().absolute() for one in many if one.strip()), source, value
            )
        case "names":
            names = (name.strip() for name in str(value).split(","))
            return _some(tuple(name for name in names if name), source, value)
        case "backend":
            if value not in BACKENDS:
                raise InvalidArgument(
                    f"{source} names no backend: {value!r}.", next_step=f"Use one of {', '.join(BACKENDS)}."
                )
            return value
        case _:
            return str(value)


def _some(names: tuple[Any, ...], source: str, value: Any) -> tuple[Any, ...]:
    """A limit that names nothing must not be none."""
    if not names:
        raise _names_nothing(source, value)
    return names


def _names_nothing(source: str, value: Any) -> InvalidArgument:
    return InvalidArgument(
        f"{source} names nothing: {value!r}.", next_step=f"Name what is meant by {source}, or leave it out."
    )


_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})


def _switch(value: Any, source: str) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _ON:
        return True
    if word in _OFF:
        return False
    raise InvalidArgument(f"{source} is neither on nor off: {value!r}.", next_step=f"Set {source} to 1 or 0.")


LOG_LEVELS = ("debug", "info", "warning", "error")


def _check_ranges(settings: Settings) -> None:
    bounds: tuple[tuple[str, int, int, int], ...] = (
        ("max_response_tokens", settings.max_response_tokens, 1_000, 1_000_000),
        ("cache_bytes", settings.cache_bytes, 0, 1 << 50),
        ("port", settings.port, 0, 65_535),
        ("max_body_bytes", settings.max_body_bytes, 1_024, 1 << 30),
        ("user_rate", settings.user_rate, 1, 10_000),
        ("user_calls", settings.user_calls, 1, 1_000),
        ("call_seconds", settings.call_seconds, 1, 86_400),
        ("most_users", settings.most_users, 1, 100_000),
        ("drain_seconds", settings.drain_seconds, 0, 3_600),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            option = next(one for one in OPTIONS if one.name == name)
            raise InvalidArgument(
                f"{option.flag or option.variable} is out of range: {value}.",
                next_step=f"Give a number from {low} to {high}.",
            )
    token = settings.http_token
    if token is not None and not (
        16 <= len(token) <= 1_000 and token.isascii() and token.isprintable() and " " not in token
    ):
        raise InvalidArgument(
            "QUILT_MCP_HTTP_TOKEN is too short or has characters that a header cannot carry.",
            next_step="Give 16 to 1,000 letters and digits, or leave it unset for one that is made at each start.",
        )
    if settings.log_level not in LOG_LEVELS:
        raise InvalidArgument(
            f"--log-level is not known: {settings.log_level!r}.",
            next_step=f"Use one of {', '.join(LOG_LEVELS)}.",
        )
