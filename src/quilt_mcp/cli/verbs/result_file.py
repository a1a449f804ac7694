"""``sql --parquet FILE``: the whole result of a query as a file of this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from quilt_mcp.auth.identity import Asker
from quilt_mcp.cli import exits
from quilt_mcp.cli.people import human_size
from quilt_mcp.cli.progress import terminal_progress
from quilt_mcp.cli.verbs.errand import Errand
from quilt_mcp.cli.verbs.words import tell
from quilt_mcp.errors import AlreadyExists, InvalidArgument, NotAFile, QuiltError
from quilt_mcp.server.watching.log import say
from quilt_mcp.storage.errors import typed_errors
from quilt_mcp.storage.local.beside import make_beside, put_beside
from quilt_mcp.tools.querying import check_saved, request_of
from quilt_mcp.tools.results.envelope import error_reply

MOST: Final = 1 << 30


async def save_result(errand: Errand) -> int:
    """The file is there when all of the result is, and not before. One that is there already is replaced where that is asked."""
    try:
        await _save(errand, Path(errand.options.parquet))
        return exits.OK
    except QuiltError as error:
        return tell(error_reply(error, 1 << 20).structured["error"], errand.typed, errand.verb)


async def _save(errand: Errand, path: Path) -> None:
    given, warnings = errand.tool.understand(errand.arguments)
    options = errand.options
    if given.get("to") is not None:
        raise InvalidArgument("The result goes into one file.", next_step="Leave out --to or --parquet.")
    if options.most is not None or options.form is not None or options.json:
        raise InvalidArgument(
            "--parquet writes all rows into a file and shows none: it goes with none of --limit, --json, --csv, --tsv and --nl.",
            next_step="Leave that out; LIMIT in the query itself bounds its rows.",
        )
    _check_place(path, overwrite=options.overwrite)
    async with terminal_progress(wanted=not errand.is_quiet) as progress:
        call = await errand.session.open_call(progress, asker=Asker("command"))
        request = await request_of(call, given)
        check_saved(request, "--parquet")
        saved = await call.ops.sql.save(request, "parquet", most=MOST, progress=progress)
    with typed_errors("The file", str(path)):
        _write(path, saved.content, overwrite=options.overwrite)
    errand.tell_warnings({"warnings": [*warnings, *saved.warnings]})
    if not errand.is_quiet:
        say(f"{path}: {human_size(len(saved.content))}, {len(saved.columns)} columns.\n")


def _check_place(path: Path, *, overwrite: bool) -> None:
    """Before the query runs, which may take a while. Raises AlreadyExists, NotAFile and InvalidArgument."""
    if not path.parent.is_dir():
        raise InvalidArgument(
            f"There is no folder {path.parent}.",
            next_step="Make it (mkdir -p), or give --parquet another name.",
        )
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise NotAFile(
            f"{path} is there, and is no file.", next_step="Give --parquet the name of a new file."
        )
    if not overwrite:
        raise _exists(path)


def _write(path: Path, content: bytes, *, overwrite: bool) -> None:
    descriptor, made = make_beside(str(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        put_beside(made, str(path), replace=overwrite)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(made)
        if isinstance(error, FileExistsError):
            raise _exists(path) from None
        raise


def _exists(path: Path) -> AlreadyExists:
    return AlreadyExists(
        f"{path} exists already.",
        next_step="Make the same call with overwrite=true, or give --parquet another name.",
    )
