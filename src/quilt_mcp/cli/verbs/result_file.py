"""``sql --parquet FILE``: the whole result of a query as a file of this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from quilt_mcp.auth.identity import Asker
from quilt_mcp.cli import exits
from quilt_mcp.cli.people import human_size
from quilt_mcp.cli.progress import terminal_progress
from quilt_mcp.cli.verbs.errand import Errand
from quilt_mcp.cli.verbs.words import tell
from quilt_mcp.errors import InvalidArgument, QuiltError
from quilt_mcp.server.watching.log import say
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.tools.querying import request_of
from quilt_mcp.tools.results.envelope import error_reply

MOST: Final = 1 << 30


async def save_result(errand: Errand) -> int:
    """Replaces a file that is there when all of the result is, not before."""
    try:
        await _save(errand, Path(errand.options.parquet))
        return exits.OK
    except QuiltError as error:
        return tell(error_reply(error, 1 << 20).structured["error"], errand.typed, errand.verb)


async def _save(errand: Errand, path: Path) -> None:
    given, warnings = errand.tool.understand(errand.arguments)
    if given.get("to") is not None:
        raise InvalidArgument("The result goes into one file.", next_step="Leave out --to or --parquet.")
    async with terminal_progress(wanted=not errand.is_quiet) as progress:
        call = await errand.session.open_call(progress, asker=Asker("command"))
        request = await request_of(call, given)
        saved = await call.ops.sql.save(request, "parquet", most=MOST, progress=progress)
    with typed_errors("The file", str(path)):
        _write(path, saved.content)
    errand.tell_warnings({"warnings": [*warnings, *saved.warnings]})
    if not errand.is_quiet:
        say(f"{path}: {human_size(len(saved.content))}, {len(saved.columns)} columns.\n")


def _write(path: Path, content: bytes) -> None:
    folder = path.parent
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(made).chmod(0o666 & ~umask)
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
