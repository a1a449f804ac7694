"""``quilt-mcp tables publish``: the four tables of a registry as Parquet in it, and what makes Athena or DuckDB know them.

Statements go to standard output, what was done to standard error: the former can be piped into a file or an engine.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from quilt_mcp.auth.identity import Asker
from quilt_mcp.cli import exits
from quilt_mcp.cli.people import human_size
from quilt_mcp.cli.progress import terminal_progress
from quilt_mcp.cli.screen import screen_of
from quilt_mcp.cli.verbs.flags import take_registry
from quilt_mcp.config import Settings
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.publication import PublishOutcome, SupportsPublishing
from quilt_mcp.errors import InvalidArgument, NotSupported
from quilt_mcp.server import signals
from quilt_mcp.server.watching.log import safe, say
from quilt_mcp.session import Session
from quilt_mcp.tools.results.envelope import clean, json_text

NAME = "tables publish"


def fill_publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "default_registry",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="REGISTRY",
        help="The registry whose tables are published, in itself. Default: the default registry.",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="Say what would be written, and write nothing. So it is without -w.",
    )
    parser.add_argument(
        "--run",
        action="store_true",
        help="Run the statements on Athena instead of printing them. Needed once: what is published later is seen by itself.",
    )
    parser.add_argument(
        "--database",
        metavar="NAME",
        help="The Glue database of the tables. Default: QUILT_MCP_ATHENA_DATABASE, else quilt_tables.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON, the statements in it.")
    parser.add_argument("-q", "--quiet", action="store_true", help="No bars, notes and warnings.")


def run_publish(settings: Settings, arguments: argparse.Namespace) -> int:
    return signals.run(_publish, settings, arguments)


def prepare(arguments: argparse.Namespace) -> None:
    """Raises InvalidArgument."""
    take_registry(arguments)
    if arguments.run and arguments.dry_run:
        raise InvalidArgument(
            "--run runs the statements, and --dry-run runs nothing.", next_step="Leave one out."
        )


async def _publish(settings: Settings, arguments: argparse.Namespace) -> int:
    async with terminal_progress(wanted=not arguments.quiet) as progress:
        call = await Session(settings).open_call(progress, asker=Asker("command"))
        ops, publications = call.ops, call.ops.publications
        if publications is None:
            raise NotSupported(
                "Through a Quilt stack nothing is published: it keeps these tables itself.",
                next_step="Query them with: quilt-mcp sql --engine athena",
            )
        registry = ops.default_registry
        statements = publications.statements(registry, arguments.database)
        if arguments.run and not registry.startswith("s3://"):
            raise NotSupported(
                f"Athena reads buckets, and {registry} is a folder.",
                next_step="Leave out --run: DuckDB reads it by the statements that are printed.",
            )
        if ops.writable and not arguments.dry_run:
            outcome = await publications.publish(registry, progress)
        else:
            outcome = await publications.plan(registry, progress)
        ran = await _defined(publications, registry, arguments) if arguments.run and outcome.is_done else None
    _show(outcome, [] if ran is not None else statements, ran, arguments)
    return exits.OK


async def _defined(
    publications: SupportsPublishing, registry: str, arguments: argparse.Namespace
) -> Sequence[Any]:
    return await publications.define(registry, arguments.database)


def _show(
    outcome: PublishOutcome,
    statements: Sequence[str],
    ran: Sequence[Any] | None,
    arguments: argparse.Namespace,
) -> None:
    if arguments.json:
        told = (
            asdict(outcome) | {"statements": list(statements)} | ({} if ran is None else {"ran": list(ran)})
        )
        screen_of().line(json_text(clean(told)))
        return
    if not arguments.quiet:
        for line in _told(outcome, arguments):
            say(safe(line) + "\n")
        for warning in outcome.warnings:
            say(safe(f"warning: {warning}") + "\n")
        if ran is not None:
            say(f"{counted(len(ran), 'statement')} ran on Athena.\n")
    screen = screen_of()
    for statement in statements:
        screen.line(f"{statement};")


def _told(outcome: PublishOutcome, arguments: argparse.Namespace) -> Sequence[str]:
    holds = (
        f"{counted(outcome.packages, 'package')}, {counted(outcome.revisions, 'revision')}, {counted(outcome.entries, 'entry')}"
    ).replace("entrys", "entries")
    if outcome.is_current:
        return [f"The tables of {outcome.registry} are up to date: {holds}."]
    size = human_size(outcome.bytes_written)
    changed = f"{counted(outcome.added, 'revision')} more, {outcome.removed:,} less"
    if outcome.is_done:
        return [
            f"Published the tables of {outcome.registry}: {holds} ({changed}).",
            f"Wrote {counted(outcome.files_written, 'file')} ({size}), deleted {outcome.files_deleted:,}.",
        ]
    meant = "" if arguments.dry_run else " Add -w (--allow-write) to publish."
    return [
        f"Would publish the tables of {outcome.registry}: {holds} ({changed}).",
        f"Would write {counted(outcome.files_written, 'file')} (about {size}), delete {outcome.files_deleted:,}. "
        f"Nothing was written.{meant}",
    ]
