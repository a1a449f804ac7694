"""The command line: verbs for people, ``call`` for scripts; without a command ``quilt-mcp`` serves MCP clients on stdio.

Nothing heavy is imported before the command that needs it: clients start this program and wait for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from quilt_mcp.cli import exits
from quilt_mcp.cli.arguments import settings_flags
from quilt_mcp.cli.commands import parse, top_parser
from quilt_mcp.cli.screen import forgive_output
from quilt_mcp.cli.verbs.table import find_verb
from quilt_mcp.config import Settings
from quilt_mcp.domain.printable import one_line
from quilt_mcp.errors import QuiltError
from quilt_mcp.server.watching.log import safe, say


def main(argv: Sequence[str] | None = None) -> int:
    """Answers the exit code. Usage errors exit through argparse, with code 2."""
    _stand_on_firm_ground()
    forgive_output()
    try:
        try:
            words = list(sys.argv[1:] if argv is None else argv)
            if words[:1] == ["__complete"]:
                from quilt_mcp.cli.completion.answers import run_complete

                return run_complete(words[1], words[2:])
            return _run(*parse(words), words)
        finally:
            sys.stdout.flush()
    except QuiltError as error:
        return tell(error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, a closed terminal) left; there is nobody to tell.
        _forget_output()
        return exits.OK
    except OSError as error:
        # What tools meet is in their replies; this is the output itself.
        _forget_output()
        say(f"error: The output cannot be written: {error.strerror}.\n")
        return exits.RETRY


def _stand_on_firm_ground() -> None:
    """Opens the standard descriptors that were closed (the next file that is opened would get their numbers, and what is
    printed would be written into it), and leaves a working folder that is gone."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the process
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir("/")


def _forget_output() -> None:
    """What Python still holds back would fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(command: str | None, arguments: argparse.Namespace, words: Sequence[str]) -> int:
    if command == "demo":
        from quilt_mcp.cli.picture import picture
        from quilt_mcp.demo.tour import run_demo

        return run_demo(arguments.keep, picture)
    if command == "install-client":
        from quilt_mcp.cli.clients.install import run_install

        return run_install(arguments)
    if command == "completion":
        from quilt_mcp.cli.completion.scripts import SCRIPTS

        sys.stdout.write(SCRIPTS[arguments.shell])
        return exits.OK
    if command is None and sys.stdin.isatty():
        sys.stdout.write(top_parser().format_help())
        say(
            "\nStandard input is a terminal, so nothing is served: MCP clients start this program, or quilt-mcp serve does.\n"
        )
        return exits.OK
    verb = None if command is None else find_verb(command)
    if verb is not None:
        from quilt_mcp.cli.verbs.flags import take_registry
        from quilt_mcp.cli.verbs.run import run_verb

        take_registry(arguments)
        return run_verb(Settings.load(os.environ, settings_flags(arguments)), verb, arguments, words)
    if command == "tables publish":
        from quilt_mcp.cli.publish import prepare

        prepare(arguments)
    if command == "view":
        from quilt_mcp.cli.verbs.flags import take_registry

        take_registry(arguments)
    settings = Settings.load(os.environ, settings_flags(arguments))
    match command:
        case "tables publish":
            from quilt_mcp.cli.publish import run_publish

            return run_publish(settings, arguments)
        case "view":
            from quilt_mcp.cli.view import run_view

            return run_view(settings, arguments)
        case "call":
            from quilt_mcp.cli.call import run_call

            return run_call(settings, arguments)
        case "login":
            from quilt_mcp.cli.login import run_login

            return run_login(settings)
        case "logout":
            from quilt_mcp.cli.login import run_logout

            return run_logout(settings)
        case "cache":
            from quilt_mcp.cli.cache import run_cache

            return run_cache(settings, arguments)
        case "doctor":
            from quilt_mcp.cli.doctor import run_doctor

            return run_doctor(settings, as_json=arguments.json)
        case _:
            from quilt_mcp.server import serve

            serve(settings)
            return exits.OK


def tell(error: QuiltError) -> int:
    """Says on standard error what was wrong and what to do next; answers the exit code of the error's group."""
    say(safe(f"error: {one_line(error.message)} [{error.code}]") + "\n")
    if error.next_step:
        say(safe(f"next:  {one_line(error.next_step)}") + "\n")
    return exits.BY_RECOVERY.get(error.recovery, exits.REPORT)
