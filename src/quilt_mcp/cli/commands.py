"""All that may follow ``quilt-mcp``: the verbs, and the commands beside them. Only the one that is typed gets a parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from quilt_mcp import __version__
from quilt_mcp.cli.arguments import Parser, add_settings
from quilt_mcp.cli.verbs.table import CHANGE, GROUPS, LOOK, SETUP, VERBS, find_verb

DESCRIPTION: Final = """\
Find, read, create and change Quilt data packages, from a shell or over MCP.
An MCP client starts this program without a command, and speaks MCP with it over standard input and output."""
USAGE: Final = "quilt-mcp [SETTINGS] [COMMAND] ..."
AGENTS: Final = "Agents and scripts"


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    group: str
    meaning: str
    fill: Callable[[argparse.ArgumentParser], None]


def top_parser() -> Parser:
    """Takes the settings, and leaves the command with all that follows it for the parser of that command."""
    parser = Parser("quilt-mcp", f"{DESCRIPTION}\n\n{_listing()}", usage=USAGE)
    parser.add_argument("--version", action="version", version=f"quilt-mcp {__version__}")
    add_settings(parser, serve=False)
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def parser_of(name: str) -> Parser | None:
    """None where there is no such command."""
    verb = find_verb(name)
    if verb is not None:
        from quilt_mcp.cli.verbs.flags import build_verb_parser
        from quilt_mcp.tools import find

        return build_verb_parser(verb, find(verb.tool))
    command = next((one for one in COMMANDS if one.name == name), None)
    if command is None:
        return None
    parser = Parser(f"quilt-mcp {name}", command.meaning)
    command.fill(parser)
    return parser


def parse(argv: Sequence[str]) -> tuple[str | None, argparse.Namespace]:
    """The command (None: none was typed) and its arguments, settings among them. Exits on wrong usage, as argparse does."""
    top = top_parser()
    given = top.parse_args(argv)
    name, rest = given.command, given.rest
    for own in ("command", "rest"):
        delattr(given, own)
    if name == "help":
        name, rest = (rest[0], [*rest[1:2], "--help"]) if rest else (None, ["--help"])
    if name is None:
        if rest:
            top.parse_args(rest)
        return None, given
    name, rest = full_name(name, rest)
    parser = parser_of(name)
    if parser is None:
        top.error(f"there is no command {name[:100]!r}{_meant(name)}")
    if find_verb(name) is None:
        return name, parser.parse_args(rest, given)
    from quilt_mcp.cli.verbs.flags import joined

    return name, parser.parse_intermixed_args(joined(parser, rest), given)


def full_name(name: str, rest: Sequence[str]) -> tuple[str, list[str]]:
    """The command that was typed, whose name may be of two words, and what follows it."""
    both = f"{name} {rest[0]}" if rest else ""
    return (both, [*rest[1:]]) if any(one.name == both for one in COMMANDS) else (name, [*rest])


def second_words(name: str) -> list[str]:
    """What makes another command of this one, where it follows."""
    return [one.name.partition(" ")[2] for one in COMMANDS if one.name.startswith(f"{name} ")]


def command_names() -> tuple[str, ...]:
    return (*(verb.name for verb in VERBS), *(command.name for command in COMMANDS))


def _meant(name: str) -> str:
    from quilt_mcp.domain.names import suggest

    near = suggest(name[:100], command_names())
    return f" (did you mean {' or '.join(near)}?)" if near else " (quilt-mcp help lists them)"


def _listing() -> str:
    named = [(one.group, one.name, one.meaning) for one in (*VERBS, *COMMANDS)]
    width = max(len(name) for _, name, _ in named)
    lines: list[str] = []
    for group in (*GROUPS, AGENTS):
        lines.append(f"{group}:")
        lines += [f"  {name:<{width}}  {meaning}" for one, name, meaning in named if one == group]
        lines.append("")
    return "\n".join([*lines, "quilt-mcp COMMAND --help tells the arguments of each, with an example."])


def _fill_serve(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, serve=True, default=argparse.SUPPRESS)


def _fill_call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "tool", nargs="?", metavar="TOOL", help="Name of the tool, for example packages_list."
    )
    parser.add_argument(
        "--args", metavar="JSON", help="All arguments as one JSON object; '-' reads it from stdin."
    )
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="One argument; may be given more than once. VALUE is text, or JSON where the tool wants another type.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON even on a terminal.")
    add_settings(parser, serve=False, default=argparse.SUPPRESS)


def _fill_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep", metavar="DIR", help="Make the samples in this new or empty folder, and keep them."
    )


def _fill_login(parser: argparse.ArgumentParser) -> None:
    # It is the setting of that name, whose default (what was given before the command, the environment) it leaves alone.
    parser.add_argument(
        "catalog_url",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="CATALOG",
        help="Address at which the stack's catalog opens in a browser. Default: QUILT_CATALOG_URL, else the catalog that quilt3 "
        "is configured for.",
    )


def _fill_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print JSON even on a terminal.")
    add_settings(parser, serve=False, default=argparse.SUPPRESS)


def _fill_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("show", "clear"),
        metavar="WHAT",
        help="show: what is kept, how much it weighs and when it was used last. clear: remove it; what is needed again is made "
        "anew, and a server may be at work meanwhile. With --registry only the catalogs of that registry.",
    )
    parser.add_argument(
        "--kind",
        choices=("catalog", "manifest"),
        help="Only catalogs of registries, made for search; or only what is kept of manifests.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="With clear: say what would go, and remove nothing."
    )
    parser.add_argument("--json", action="store_true", help="Print JSON even on a terminal.")
    add_settings(parser, serve=False, default=argparse.SUPPRESS)


def _fill_install(parser: argparse.ArgumentParser) -> None:
    from quilt_mcp.cli.clients.table import CLIENTS

    names = tuple(client.name for client in CLIENTS)
    parser.add_argument(
        "client", choices=names, metavar="CLIENT", help=f"{', '.join(names[:-1])} or {names[-1]}."
    )
    parser.add_argument("-y", "--yes", action="store_true", help="Write without asking.")
    parser.add_argument("--print", action="store_true", help="Print the snippet alone, and write nothing.")
    parser.add_argument(
        "--name", default="quilt", metavar="NAME", help="What the client calls the server. Default: quilt."
    )
    parser.add_argument(
        "--project",
        nargs="?",
        const=".",
        metavar="DIR",
        help="In this project's own configuration (default: the working folder's).",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="A variable that the client sets for the server; may be repeated. Without a value: that of this shell.",
    )
    add_settings(parser, serve=False, default=argparse.SUPPRESS)


def _fill_publish(parser: argparse.ArgumentParser) -> None:
    from quilt_mcp.cli.publish import fill_publish

    fill_publish(parser)
    add_settings(parser, serve=False, default=argparse.SUPPRESS)


def _fill_view(parser: argparse.ArgumentParser) -> None:
    from quilt_mcp.cli.view import fill_view

    fill_view(parser)


def _fill_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish.")


COMMANDS: Final[tuple[Command, ...]] = (
    Command(
        "view",
        LOOK,
        "Show packages in the browser: files, tables, pictures, history, what changed.",
        _fill_view,
    ),
    Command(
        "tables publish",
        CHANGE,
        "Write the four tables of all packages as Parquet into the registry, for Athena, Spark, Trino and DuckDB.",
        _fill_publish,
    ),
    Command(
        "doctor",
        SETUP,
        "Show what was found: which backend and why, whether it can be read and written, how to fix it.",
        _fill_doctor,
    ),
    Command(
        "cache",
        SETUP,
        "Show what the cache folder keeps (manifests, catalogs for search), or clear it.",
        _fill_cache,
    ),
    Command(
        "login",
        SETUP,
        "Sign in to a Quilt stack with the code that its catalog shows in a browser; quilt3 is signed in by it, too.",
        _fill_login,
    ),
    Command(
        "logout",
        SETUP,
        "Sign out of a Quilt stack, and quilt3 with it.",
        _fill_login,
    ),
    Command(
        "demo",
        SETUP,
        "Make sample packages and let a real MCP client do an agent's whole job on them.",
        _fill_demo,
    ),
    Command(
        "install-client",
        SETUP,
        "Write this server into the configuration of an MCP client, with the settings that are typed here.",
        _fill_install,
    ),
    Command(
        "completion",
        SETUP,
        "Print a script that completes commands, flags, packages and paths in bash, zsh or fish.",
        _fill_completion,
    ),
    Command(
        "serve",
        AGENTS,
        "Serve MCP on stdio, or with --http over streamable HTTP.",
        _fill_serve,
    ),
    Command(
        "call",
        AGENTS,
        "Call a tool as an agent would; without TOOL, list the tools. Prints the tool's JSON, tables on a terminal.",
        _fill_call,
    ),
)  # fmt: skip
