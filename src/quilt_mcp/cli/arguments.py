"""The parser of the command line. Its settings flags are made from ``OPTIONS``, so no flag can lack a setting."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from quilt_mcp import __version__
from quilt_mcp.cli import exits
from quilt_mcp.option import BACKENDS, OPTIONS, Option
from quilt_mcp.server.log import safe, say

DESCRIPTION = """\
Find, read, create and change Quilt data packages, over MCP or from a shell.
Without a command it serves MCP on standard input and output, which is what an MCP client starts."""

EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in exits.MEANINGS.items())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        say(f"{self.format_usage()}{self.prog}: error: {safe(message)}\n")
        raise SystemExit(exits.FIX_INPUT)


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="quilt-mcp",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"quilt-mcp {__version__}")
    _add_settings(parser, serve=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    serve = _command(commands, "serve", "Serve MCP on stdio, or with --http over streamable HTTP.")
    _add_settings(serve, serve=True, default=argparse.SUPPRESS)

    call = _command(
        commands,
        "call",
        "Call a tool as an agent would; without TOOL, list the tools. Prints tables on a terminal, "
        "the tool's JSON otherwise.",
    )
    call.add_argument("tool", nargs="?", metavar="TOOL", help="Name of the tool, for example packages_list.")
    call.add_argument(
        "--json", metavar="ARGS", help="All arguments as one JSON object; '-' reads it from stdin."
    )
    call.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="One argument; may be given more than once. VALUE is text, or JSON where the tool wants another type.",
    )
    call.add_argument("--json-output", action="store_true", help="Print JSON even on a terminal.")
    _add_settings(call, serve=False, default=argparse.SUPPRESS)

    demo = _command(
        commands, "demo", "Make sample packages and let a real MCP client do an agent's whole job on them."
    )
    demo.add_argument(
        "--keep", metavar="DIR", help="Make the samples in this new or empty folder, and keep them."
    )

    doctor = _command(
        commands,
        "doctor",
        "Show what was found: which backend and why, whether it can be read and written, how to fix it.",
    )
    doctor.add_argument("--json-output", action="store_true", help="Print JSON even on a terminal.")
    _add_settings(doctor, serve=False, default=argparse.SUPPRESS)
    return parser


def settings_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings among parsed arguments, by field name; what was not given is missing or None."""
    given = vars(arguments)
    return {option.name: given[option.name] for option in OPTIONS if option.name in given}


def _command(commands: Any, name: str, meaning: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=meaning,
        description=meaning,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_settings(parser: argparse.ArgumentParser, *, serve: bool, default: Any = None) -> None:
    """``default`` SUPPRESS: what was given before the command stays, unless it is given again after it."""
    group = parser.add_argument_group("settings", "Each has a variable of the environment; the flag wins.")
    for option in OPTIONS:
        if option.flag is not None and (serve or not option.serve_only):
            meaning = f"{option.meaning} Default: {option.default}."
            if option.variable:
                meaning += f" [{option.variable}]"
            group.add_argument(option.flag, dest=option.name, default=default, help=meaning, **_shape(option))


def _shape(option: Option) -> dict[str, Any]:
    match option.kind:
        case "switch":
            return {"action": "store_true"}
        case "folders":
            return {"action": "append", "metavar": "DIR"}
        case "folder":
            return {"metavar": "DIR"}
        case "integer":
            return {"metavar": "N"}
        case "backend":
            return {"metavar": "NAME", "choices": BACKENDS}
        case _:
            return {"metavar": "TEXT"}
