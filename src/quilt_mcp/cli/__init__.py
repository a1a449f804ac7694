"""The command line: ``quilt-mcp`` serves on stdio; ``serve``, ``call``, ``demo`` and ``doctor`` do the rest.

Nothing heavy is imported before the command that needs it: clients start this program and wait for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from quilt_mcp.cli import exits
from quilt_mcp.cli.arguments import build_parser, settings_flags
from quilt_mcp.config import Settings
from quilt_mcp.domain.printable import one_line
from quilt_mcp.errors import QuiltError


def main(argv: Sequence[str] | None = None) -> int:
    """Answers the exit code. Usage errors exit through argparse, with code 2."""
    arguments = build_parser().parse_args(argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except QuiltError as error:
        return tell(error)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, a closed terminal) left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    return code


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "demo":
        from quilt_mcp.cli.picture import picture
        from quilt_mcp.demo.tour import run_demo

        return run_demo(arguments.keep, picture)
    settings = Settings.load(os.environ, settings_flags(arguments))
    match arguments.command:
        case "call":
            from quilt_mcp.cli.call import run_call

            return run_call(settings, arguments)
        case "doctor":
            from quilt_mcp.cli.doctor import run_doctor

            return run_doctor(settings, as_json=arguments.json_output)
        case _:
            from quilt_mcp.server import serve

            serve(settings)
            return exits.OK


def tell(error: QuiltError) -> int:
    """Says on standard error what was wrong and what to do next; answers the exit code of the error's group."""
    sys.stderr.write(f"error: {one_line(error.message)} [{error.code}]\n")
    if error.next_step:
        sys.stderr.write(f"next:  {one_line(error.next_step)}\n")
    return exits.BY_RECOVERY.get(error.recovery, exits.REPORT)
