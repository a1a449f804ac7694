"""``quilt-mcp doctor``: what was found, what works, and how to mend what does not."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from quilt_mcp import __version__
from quilt_mcp.auth.identity import Asker, Identity
from quilt_mcp.backends import stack_of
from quilt_mcp.cli import exits
from quilt_mcp.cli.doctor.check import Check, failed
from quilt_mcp.config import Settings
from quilt_mcp.domain.printable import one_line
from quilt_mcp.errors import NotSupported, QuiltError
from quilt_mcp.ops import QuiltOps
from quilt_mcp.server import signals
from quilt_mcp.session import Session
from quilt_mcp.storage.private import folder_problem
from quilt_mcp.tools.results.envelope import clean, json_text


def run_doctor(settings: Settings, *, as_json: bool) -> int:
    """Prints all checks; the exit code is 0 when none failed."""
    checks = signals.run(examine, settings)
    healthy = all(check.ok is not False for check in checks)
    if as_json or not sys.stdout.isatty():
        sys.stdout.write(
            json_text(clean({"ok": healthy, "checks": [asdict(check) for check in checks]})) + "\n"
        )
    else:
        _print(checks)
    return exits.OK if healthy else exits.REPORT


async def examine(settings: Settings) -> list[Check]:
    checks = [_program(), _command(), *_unexpanded(settings), *_roots(settings), _cache(settings)]
    session = Session(settings)
    try:
        identity = session.identity(Asker("command"))
    except QuiltError as error:
        return [*checks, failed("backend", error)]
    checks += _decision(identity)
    if (opened := stack_of(identity)) is None:
        return [*checks, *await _registry(session, identity)]
    from quilt_mcp.cli.doctor.stack import examine_stack

    found = await examine_stack(*opened)
    checks += found.checks
    if not found.answers:
        return checks
    return [*checks, *await _registry(session, identity, is_served=found.is_served)]


async def _registry(session: Session, identity: Identity, *, is_served: bool = True) -> list[Check]:
    try:
        ops = await session.ops(identity)
    except QuiltError as error:
        return [failed("registry", error)]
    is_reached = is_served or not ops.default_registry.startswith("s3://")
    checks = [await _reading(ops), await _writing(ops)] if is_reached else []
    if ops.roles is None:
        return checks  # the search of others is over the very registry that was read
    from quilt_mcp.cli.doctor.stack import examine_search

    return [*checks, await examine_search(ops.search)]


def _program() -> Check:
    found = f"quilt-mcp {__version__}, mcp {version('mcp')}, Python {platform.python_version()}, {platform.system()}"
    if os.name != "posix":
        return Check(
            "program",
            False,
            found,
            "Run it on Linux, on macOS or inside WSL: Windows itself is not supported.",
        )
    return Check("program", True, found)


def _command() -> Check:
    """Whether the command of that name is this program: any other one may be of another version, or something else."""
    own, path = Path(sys.executable).with_name("quilt-mcp"), shutil.which("quilt-mcp")
    if path is not None and own.exists() and os.path.samefile(path, own):
        return Check("command", True, path)
    found = "quilt-mcp is not on PATH" if path is None else f"{path} is not the program that is running"
    full = str(own) if own.exists() else f"{sys.executable} -m quilt_mcp"
    return Check("command", None, found, f"Give clients the full path of this one: {full}")


def _unexpanded(settings: Settings) -> list[Check]:
    fix = "Write the value itself into the client's configuration."
    notices = (notice.partition(": ") for notice in settings.notices())
    return [Check("settings", False, found, fix) for name, _, found in notices if name == "unexpanded"]


def _roots(settings: Settings) -> list[Check]:
    roots = settings.local_roots()
    if not roots:
        fix = "Add --root DIR (or QUILT_ROOT) for each folder that agents may read sources from."
        return [Check("root", None, "none: no local file can become part of a package", fix)]
    return [
        _folder_check("root", root, os.R_OK | os.X_OK, "Make the folder, or name another with --root.")
        for root in roots
    ]


def _cache(settings: Settings) -> Check:
    fix = "Name a folder that can be written with --cache-dir or QUILT_MCP_CACHE_DIR."
    folder = settings.cache_folder()
    if folder.is_dir() and (problem := folder_problem(folder)) is not None:
        return Check(
            "cache", False, f"{folder} is not used, but a temporary folder each time: {problem}", fix
        )
    return _folder_check("cache", _standing(folder), os.W_OK | os.X_OK, fix)


def _standing(folder: Path) -> Path:
    """The folder itself, or the closest one above it that can be seen: where it would be made."""
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _folder_check(name: str, folder: Path, access: int, fix: str) -> Check:
    if not os.path.isdir(folder):
        return Check(name, False, f"{folder} is not a folder", fix)
    if not os.access(folder, access):
        return Check(name, False, f"{folder} does not permit it", fix)
    return Check(name, True, str(folder))


def _decision(identity: Identity) -> list[Check]:
    checks = [Check("backend", True, f"{identity.kind}, as {identity.principal}")]
    for candidate in identity.explanation:
        word = "chosen" if candidate.chosen else "passed over"
        checks.append(Check(f"  {candidate.kind}", None, f"{word}: {candidate.reason}", candidate.fix))
    return [*checks, *(Check(note.name, None, note.text, note.fix) for note in identity.notes)]


async def _reading(ops: QuiltOps) -> Check:
    registry = ops.default_registry
    try:
        page = await ops.list_packages(registry, limit=1000)
    except QuiltError as error:
        return failed("read", error)
    count = f"{'more than ' if page.next_cursor else ''}{len(page.items)} package{'' if len(page.items) == 1 else 's'}"
    return Check("read", True, " ".join((f"{registry}: {count}", *page.warnings)))


async def _writing(ops: QuiltOps) -> Check:
    if not ops.writable:
        return Check(
            "write",
            None,
            "switched off",
            "Add --allow-write, or set QUILT_ALLOW_WRITE=1, to switch writes on.",
        )
    registry = ops.default_registry
    try:
        await ops.put_object(f"{registry.rstrip('/')}/doctor-was-here", b"", dry_run=True)
    except NotSupported:
        return Check(
            "write", None, "switched on; the stack makes revisions, of what lies in its buckets already"
        )
    except QuiltError as error:
        return failed("write", error)
    if registry.startswith("file:"):
        folder = _standing(Path(unquote(urlsplit(registry).path)))
        fix = f"Permit it (chmod u+rwx {folder}), or name another registry with --registry."
        return _folder_check("write", folder, os.W_OK | os.X_OK, fix)
    return Check("write", None, f"switched on; not tried on {registry}, as a try would change it")


def _print(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    signs: dict[bool | None, Callable[[], Text]] = {
        True: lambda: Text("ok", style="green"),
        False: lambda: Text("FAIL", style="bold red"),
        None: lambda: Text("-", style="dim"),
    }
    grid = Table.grid(padding=(0, 2))
    for check in checks:
        grid.add_row(signs[check.ok](), Text(check.name, style="bold"), Text(one_line(check.found)))
        if check.fix:
            grid.add_row("", "", Text(f"-> {one_line(check.fix)}", style="yellow"))
    Console().print(grid)
