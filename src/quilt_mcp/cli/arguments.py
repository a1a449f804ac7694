"""What every parser of the command line is made of. The settings flags come from ``OPTIONS``, so no flag can lack a setting."""

from __future__ import annotations

import argparse
from collections.abc import Container
from typing import Any, Final, NoReturn

from quilt_mcp.cli import exits
from quilt_mcp.option import BACKENDS, OPTIONS, Option
from quilt_mcp.server.watching.log import safe, say

EXIT_CODES: Final = "exit codes:\n" + "\n".join(
    f"  {code:<4} {text}" for code, text in exits.MEANINGS.items()
)
SHORT_SETTINGS: Final = {"allow_write": ("-w",)}


class Parser(argparse.ArgumentParser):
    """Answers the program's exit codes, and takes no flag by its first letters."""

    def __init__(self, prog: str, meaning: str, epilog: str = EXIT_CODES, usage: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=meaning,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: {"):
            message += " (arguments written as JSON follow --args)"
        say(f"{safe(self.format_usage())}{self.prog}: error: {safe(message)}\n")
        raise SystemExit(exits.FIX_INPUT)


def add_settings(
    parser: argparse.ArgumentParser, *, serve: bool, default: Any = None, shown: Container[str] | None = None
) -> None:
    """``default`` SUPPRESS: what was given before the command stays, unless it is given again after it. ``shown``: the names of
    those that the help tells of, where not all are."""
    meaning = "Each has a variable of the environment; the flag wins."
    if shown is not None:
        meaning = "The others, and the variable of each: quilt-mcp --help."
    group = parser.add_argument_group("settings", meaning)
    for option in OPTIONS:
        if option.flag is not None and (serve or not option.serve_only):
            text = f"{option.meaning} Default: {option.default}."
            if option.variable:
                text += f" [{option.variable}]"
            if shown is not None and option.name not in shown:
                text = argparse.SUPPRESS
            flags = (*SHORT_SETTINGS.get(option.name, ()), option.flag)
            group.add_argument(*flags, dest=option.name, default=default, help=text, **_shape(option))


def settings_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings among parsed arguments, by field name; what was not given is missing or None."""
    given = vars(arguments)
    return {option.name: given[option.name] for option in OPTIONS if option.name in given}


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
