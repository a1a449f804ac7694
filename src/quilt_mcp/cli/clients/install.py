"""Shows what a client's configuration would hold, asks, and writes it: whole or not at all, with a copy of what was."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, cast

from quilt_mcp.cli import exits
from quilt_mcp.cli.clients.json_file import read_json, set_json
from quilt_mcp.cli.clients.table import CLIENTS, Client
from quilt_mcp.cli.clients.toml_file import read_toml, set_toml
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import Conflict, InvalidArgument, Misconfigured, PreconditionFailed
from quilt_mcp.option import OPTIONS
from quilt_mcp.server.watching.log import say

_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,40}")
_CACHES: Final = ("/uv/archive-", "/uv/environments-", "/pipx/.cache/", "/.cache/pipx/")
_TOLD: Final = (
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL",
    "QUILT_DEFAULT_REGISTRY",
    "QUILT_ROOT",
)
"""Variables of the shell that a client does not see, and that no secret stands in."""


@dataclass(frozen=True, slots=True)
class Change:
    client: Client
    name: str
    file: Path
    before: str | None
    after: str
    entry: Mapping[str, Any]
    replaces: bool


def run_install(arguments: argparse.Namespace) -> int:
    """Raises Misconfigured, with the snippet printed, for a configuration that cannot be read; nothing is then written."""
    client = next(one for one in CLIENTS if one.name == arguments.client)
    entry = server_entry(client, arguments)
    if arguments.print:
        sys.stdout.write(snippet(client, arguments.name, entry))
        return exits.OK
    change = plan(client, arguments.name, _file(client, arguments.project), entry)
    if change.before == change.after:
        say(f"{client.title} has this server already: {change.file}\n")
        return exits.OK
    word = "replaces the server of this name" if change.replaces else "adds a server"
    say(f"{client.title}: this {word} in {printable(str(change.file))}\n\n")
    sys.stdout.write(snippet(client, change.name, change.entry))
    sys.stdout.flush()
    for note in _notes(client, entry, arguments):
        say(f"\nnote: {note}\n")
    if not arguments.yes and not _agreed():
        return exits.FIX_INPUT
    backup = write(change)
    say(
        "\nWritten."
        + (f" What was there before: {backup.name}, beside it." if backup else "")
        + f" {client.after}\n"
    )
    return exits.OK


def plan(client: Client, name: str, file: Path, given: Mapping[str, Any]) -> Change:
    """What would be written. Of a server of this name what is not given stays (a client's own switches, its environment)."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"--name {name!r} is not a name.", next_step="Use letters, digits and '-'.")
    read, put = (read_json, set_json) if client.form == "json" else (read_toml, set_toml)
    before = _text(file)
    try:
        whole = read(before or "")
        servers = whole.get(client.key, {})
        if not isinstance(servers, dict):
            raise ValueError(f"its {client.key} is not an object")
        standing = cast("dict[str, Any]", servers).get(name)
        old = cast("dict[str, Any]", standing) if isinstance(standing, dict) else {}
        entry = {
            **{key: value for key, value in old.items() if key not in ("url", "httpUrl", "headers")},
            **given,
        }
        if isinstance(old.get("env"), dict) and "env" in given:
            entry["env"] = {**old["env"], **given["env"]}
        after = before if before is not None and old == entry else put(before or "", client.key, name, entry)
        if read(after) != {**whole, client.key: {**servers, name: entry}}:
            raise ValueError("the server would not stand where it should")
    except ValueError as error:
        sys.stdout.write(snippet(client, name, given))
        sys.stdout.flush()
        raise Misconfigured(
            f"{file} was left as it is: {error}.",
            next_step=f"Add what is printed here by hand, below {client.key}. (A file with comments is not rewritten.)",
        ) from None
    return Change(client, name, file, before, after, entry, standing is not None)


def write(change: Change) -> Path | None:
    """Answers the copy of what was there. Through a link to what it names; the mode stays, that of a new file is 0600. Raises
    PreconditionFailed when the file changed since it was read: between that look and the renaming a client's own write can
    still be lost, which takes as long as a rename."""
    target = Path(os.path.realpath(change.file))
    backup = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.quilt-mcp-{os.getpid()}")
        try:
            with os.fdopen(
                os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline=""
            ) as file:
                file.write(change.after)
                file.flush()
                os.fsync(file.fileno())
            if change.before is not None:
                shutil.copymode(target, new)
                backup = _copy(target)
            if _text(target) != change.before:
                raise PreconditionFailed(
                    f"{change.file} was changed meanwhile.", next_step="Close the client, and type it again."
                )
            os.replace(new, target)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise Conflict(
            f"{change.file} cannot be written: {error.strerror}.",
            next_step="Add what is printed here by hand.",
        ) from None
    return backup


def _copy(target: Path) -> Path:
    """A copy beside it, whose name no other has."""
    name = f"{target.name}.{time.strftime('%Y%m%dT%H%M%S')}"
    for number in count():
        copy = target.with_name(f"{name}{f'-{number}' if number else ''}.bak")
        with suppress(FileExistsError):
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copy2(target, copy)
            return copy
    raise AssertionError("numbers do not end")


def snippet(client: Client, name: str, entry: Mapping[str, Any]) -> str:
    """What would stand in a configuration that holds nothing else."""
    return (
        set_json("", client.key, name, entry)
        if client.form == "json"
        else set_toml("", client.key, name, entry)
    )


def server_entry(client: Client, arguments: argparse.Namespace) -> dict[str, Any]:
    program = command()
    entry: dict[str, Any] = {
        **client.fields,
        "command": program[0],
        "args": [*program[1:], *_flags(arguments)],
    }
    env = _environment(arguments.env)
    return {**entry, "env": env} if env else entry


def command() -> list[str]:
    """This program by its absolute path, as a client has another PATH."""
    own = os.path.abspath(sys.argv[0])
    if os.path.basename(own).startswith("quilt-mcp") and os.access(own, os.X_OK):
        return [own]
    beside = os.path.join(os.path.dirname(sys.executable), "quilt-mcp")
    return [beside] if os.access(beside, os.X_OK) else [sys.executable, "-m", "quilt_mcp"]


def _flags(arguments: argparse.Namespace) -> list[str]:
    """The settings that were typed, with absolute paths: a client starts the server in another folder."""
    flags: list[str] = []
    for option in OPTIONS:
        value: Any = getattr(arguments, option.name, None)
        if option.flag is None or value in (None, False, []):
            continue
        many = cast("list[Any]", value) if isinstance(value, list) else [value]
        for one in many:
            text = str(one)
            is_folder = option.kind in ("folder", "folders") or (
                option.name == "default_registry" and ":" not in text
            )
            flags += (
                [option.flag]
                if one is True
                else [option.flag, os.path.abspath(os.path.expanduser(text)) if is_folder else text]
            )
    return flags


def _environment(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals and name not in os.environ:
            raise InvalidArgument(
                f"--env {name}: no such variable is set.", next_step=f"Write --env {name}=VALUE."
            )
        found[name] = value if equals else os.environ[name]
    return found


def _notes(client: Client, entry: Mapping[str, Any], arguments: argparse.Namespace) -> list[str]:
    notes: list[str] = []
    if any(part in entry["command"] for part in _CACHES):
        notes.append(
            "this program runs from a cache that may be emptied: install a checkout or a wheel of it with uv tool install or "
            "pipx install."
        )
    unseen = [name for name in _TOLD if name in os.environ and name not in entry.get("env", {})]
    if unseen:
        notes.append(
            f"your shell sets {', '.join(unseen)}; the client may not: add --env {' --env '.join(unseen)}."
        )
    if not getattr(arguments, "roots", None):
        notes.append(
            "without --root DIR it packages and installs files only below the folder that the client starts it in."
        )
    return notes


def _file(client: Client, project: str | None) -> Path:
    if project is None:
        return client.file(os.environ, Path.home())
    if client.project is None:
        raise InvalidArgument(
            f"{client.title} reads no configuration in a project.", next_step="Leave --project out."
        )
    return Path(project).expanduser().absolute() / client.project


def _text(file: Path) -> str | None:
    """None where there is no file."""
    try:
        with open(file, encoding="utf-8", newline="") as opened:
            return opened.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{file} cannot be read: {error}.", next_step="Add the server by hand: --print shows it."
        ) from None


def _agreed() -> bool:
    if not sys.stdin.isatty():
        say("\nNothing was written: add --yes.\n")
        return False
    say("\nWrite it? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
