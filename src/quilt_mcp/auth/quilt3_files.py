"""Quilt3Files: the session that ``quilt3 login`` or ``quilt-mcp login`` keeps, read from and saved to quilt3's own files.

    config.yml        registryUrl, navigator_url (the catalog), region, default_remote_registry
    auth.json         {registryUrl: {refresh_token, access_token, expires_at}}
    credentials.json  {access_key, secret_key, token, expiry_time}, one set, of whichever registry gave it last

quilt3 writes them in place and without a lock. So a file that cannot be parsed is read again before it counts as broken,
and what is saved here replaces a file whole, under a lock that only our own processes know.
"""

from __future__ import annotations

import json
import math
import os
import stat
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from quilt_mcp.auth.bearer import LOGIN, LOGIN_AT
from quilt_mcp.errors import AuthenticationError, StorageBusy
from quilt_mcp.storage.private import OURS

CONFIG: Final = "config.yml"
AUTH: Final = "auth.json"
CREDENTIALS: Final = "credentials.json"
_LOCK: Final = ".quilt-mcp.lock"
_LOCK_SECONDS: Final = 40.0
"""Longer than one refresh may take, as the holder of the lock talks to the registry."""
_READINGS: Final = 5
_BETWEEN_READINGS: Final = 0.02

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What auth.json holds for one registry. ``expires_at`` (unix seconds) is of the access token."""

    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: float

    @classmethod
    def read(cls, entry: object) -> Tokens | None:
        """None when anything is missing or is not what it has to be. Accepts what the registry answers, too."""
        if not isinstance(entry, dict):
            return None
        values = cast("dict[str, Any]", entry)
        refresh, access, expires = (values.get(k) for k in ("refresh_token", "access_token", "expires_at"))
        if not isinstance(refresh, str) or not isinstance(access, str) or not refresh or not access:
            return None
        if isinstance(expires, bool) or not isinstance(expires, int | float) or not math.isfinite(expires):
            return None
        return cls(refresh, access, expires)

    def entry(self) -> dict[str, Any]:
        return {
            "refresh_token": self.refresh_token,
            "access_token": self.access_token,
            "expires_at": self.expires_at,
        }


class Quilt3Files:
    """Reads anew at each call; ``stamp`` says cheaply whether that is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stamp(self) -> Stamp:
        """Equal stamps: nothing was written in between (three ``stat`` calls)."""
        return tuple(_stamp_of(self.folder / name) for name in (CONFIG, AUTH, CREDENTIALS))

    def config(self) -> Mapping[str, Any]:
        """Empty when there is none. Raises AuthenticationError for a file that quilt3 could not read either."""
        try:
            text = (self.folder / CONFIG).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise self._broken(CONFIG, f"cannot be read ({type(error).__name__})") from error
        import yaml

        try:
            values: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise self._broken(CONFIG, "is not YAML") from error
        if not isinstance(values, dict):
            raise self._broken(CONFIG, "is not a map of settings")
        return cast("dict[str, Any]", values)

    def registry_url(self) -> str | None:
        """As ``quilt3.session.get_registry_url``."""
        return _text(self, self.config(), "registryUrl")

    def logged_in(self) -> str | None:
        """The catalog's URL when there is a session, as ``quilt3.logged_in``; whether it has expired is not asked."""
        config = self.config()
        registry = _text(self, config, "registryUrl")
        return _text(self, config, "navigator_url") if registry in self.auth() else None

    def auth(self) -> dict[str, Any]:
        return self._json(AUTH)

    def credentials(self) -> dict[str, Any]:
        return self._json(CREDENTIALS)

    def tokens(self, registry_url: str) -> Tokens | None:
        """None when there is no session with that registry."""
        auth = self.auth()
        if registry_url not in auth:
            return None
        found = Tokens.read(auth[registry_url])
        if found is None:
            raise self._broken(AUTH, f"has an entry for {registry_url} that is not a session")
        return found

    @contextmanager
    def locked(self) -> Generator[None]:
        """One of our processes at a time; quilt3 itself does not ask. Raises StorageBusy when another holds it too long."""
        import fcntl  # POSIX only

        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            ends = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > ends:
                        raise StorageBusy(
                            f"Another process has been saving the quilt3 session for {_LOCK_SECONDS:.0f} seconds.",
                            next_step="Try again; end a quilt-mcp process that hangs.",
                        ) from error
                    time.sleep(0.01)
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def replacing(self, name: str) -> Generator[Replacement]:
        """A file to take the place of ``name`` at ``commit``: as a whole or not at all, readable by its owner only.

        Made before the caller does what cannot be done twice, so that a folder that takes no file is found out in time.
        """
        # A link (of a folder of dotfiles, say) stays one: what it points to is replaced.
        target = Path(os.path.realpath(self.folder / name))
        descriptor, path = tempfile.mkstemp(prefix=f".{name}.", suffix=OURS, dir=target.parent)
        made = Replacement(descriptor, Path(path), target)
        try:
            yield made
        finally:
            made.discard()

    def back_up(self, name: str) -> Path | None:
        """A copy beside a file that is about to be replaced, readable by its owner only; None where there is no file. Raises
        OSError."""
        try:
            content = (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        # quilt3's own form of such a name, closed to tools by its end as it may hold tokens.
        copy = self.folder / f"{name}.backup.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}{OURS}"
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        return copy

    def _sweep(self) -> None:
        """What a killed process left behind; under the lock nobody else is writing one."""
        for name in (AUTH, CREDENTIALS, CONFIG):
            for left in Path(os.path.realpath(self.folder / name)).parent.glob(f".{name}.*.quilt-mcp"):
                with suppress(OSError):
                    left.unlink()

    def _json(self, name: str) -> dict[str, Any]:
        for reading in range(_READINGS):
            try:
                value: Any = json.loads((self.folder / name).read_text(encoding="utf-8"))
            except FileNotFoundError:
                return {}
            except OSError as error:
                raise self._broken(name, f"cannot be read ({type(error).__name__})") from error
            except (ValueError, RecursionError) as error:
                # quilt3 empties the file before it writes: what looks broken may be in the making.
                if reading + 1 == _READINGS:
                    raise self._broken(name, "is not JSON") from error
                time.sleep(_BETWEEN_READINGS)
                continue
            if not isinstance(value, dict):
                raise self._broken(name, "is not a JSON object")
            return cast("dict[str, Any]", value)
        raise AssertionError

    def _broken(self, name: str, what: str) -> AuthenticationError:
        fix = LOGIN_AT if name == CONFIG else LOGIN
        return AuthenticationError(
            f"quilt3's {name} {what}.",
            next_step=f"Run `{fix}`, or set QUILT_DISABLE_QUILT3_SESSION=1.",
            details={"file": str(self.folder / name), "command": fix},
        )


class Replacement:
    def __init__(self, descriptor: int, path: Path, target: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._target = target
        self._done = False

    def commit(self, content: Mapping[str, Any]) -> None:
        """As JSON. Raises OSError; then the file stands as it was."""
        self.commit_text(json.dumps(content))

    def commit_text(self, text: str) -> None:
        """As ``commit``."""
        with os.fdopen(self._descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
            file.flush()
            os.fchmod(self._descriptor, stat.S_IRUSR | stat.S_IWUSR)
            os.fsync(self._descriptor)
        os.replace(self._path, self._target)
        self._done = True
        folder = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        os.close(self._descriptor)
        if not self._done:
            with suppress(OSError):
                self._path.unlink()


def _text(files: Quilt3Files, config: Mapping[str, Any], name: str) -> str | None:
    value = config.get(name)
    if value is not None and not isinstance(value, str):
        raise files._broken(CONFIG, f"has a {name} that is not text")  # pyright: ignore[reportPrivateUsage]
    return value


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
