"""What may stand at the cursor: commands, flags and their values, packages and the paths in them.

A person waits with a finger on the key, so an answer takes a second at most and says nothing of what went wrong, and nothing here
may ask for a password: there is no terminal to ask at.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from quilt_mcp.cli.arguments import settings_flags
from quilt_mcp.cli.commands import COMMANDS, command_names, full_name, parser_of, second_words, top_parser
from quilt_mcp.cli.verbs.table import VERBS, find_verb
from quilt_mcp.config import Settings
from quilt_mcp.domain.address import has_scheme
from quilt_mcp.errors import QuiltError

SECONDS: Final = 1.0
FILES, FOLDERS = ":files", ":folders"
MOST: Final = 1000
ROOM: Final = 4_000_000
_NAMED: Final = {
    "arg_package": "package", "arg_before": "package", "arg_after": "package", "after": "package", "arg_prefix": "package",
    "arg_uri": "file", "address": "file", "arg_path": "path", "arg_remove": "path", "arg_sources": FILES, "arg_add": FILES,
    "arg_dest": FOLDERS, "keep": FOLDERS, "default_registry": FOLDERS, "roots": FOLDERS, "cache_dir": FOLDERS, "tool": "tool",
}  # fmt: skip
"""What stands for an argument, by where its value is kept; nothing is offered for the others."""
_TO_ESCAPE: Final = re.compile(r"([^\w@%+=:,./~-])")


@dataclass(frozen=True, slots=True)
class Candidate:
    text: str
    meaning: str = ""


def run_complete(shell: str, words: Sequence[str]) -> int:
    """Prints the answer for a shell's words, the last of which is being typed. Never fails."""
    _leave_terminal()
    with suppress(QuiltError, OSError, ValueError, SystemExit):
        if shell == "bash":
            breaks, line = (*words, "", "")[:2]
            finished, current = split_line(line)
            found = answer(finished[1:], current)
            lines = [_after_break(one, current, breaks) for one in found]
        else:
            found = answer(words[:-1], words[-1] if words else "")
            lines = [f"{one.text}\t{one.meaning}" if one.meaning else one.text for one in found]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    # A thread may still wait for a server.
    os._exit(0)


def answer(finished: Sequence[str], current: str) -> list[Candidate]:
    """What may stand in place of ``current``, the word at the cursor, after the finished ones."""
    top = top_parser()
    at, waiting = _walk(top, finished)
    if waiting is not None:
        return _values(waiting, current, argparse.Namespace(), "")
    if at is None:
        named = [Candidate(one.name, one.meaning) for one in (*VERBS, *COMMANDS) if " " not in one.name] + [
            Candidate("help")
        ]
        return _starting(current, _flags(top) if current.startswith("-") else named)
    name, rest = full_name(finished[at], finished[at + 1 :])
    if name == "help":
        return _starting(current, [Candidate(one) for one in command_names() if " " not in one])
    parser = parser_of(name)
    if parser is None:
        return []
    words, waiting = _positions(parser, rest)
    tool = (verb := find_verb(name)) and verb.tool
    settings = _settings(finished[:at], rest, parser)
    if waiting is not None:
        return _values(waiting, current, settings, words[0] if words else "")
    if current.startswith("-") and "--" not in rest:
        return _starting(current, _flags(parser))
    places = [action for action in parser._actions if not action.option_strings]
    if not places or (len(words) >= len(places) and places[-1].nargs != "*"):
        return []
    place = places[min(len(words), len(places) - 1)]
    more = [] if words else _starting(current, map(Candidate, second_words(name)))
    if tool == "package_copy" and place.dest == "arg_to":
        return _starting(current, _packages(settings, current))
    if tool and current.count("/") > 1 and _NAMED.get(place.dest) == "package" and _takes_path(tool):
        return _starting(current, _files(settings, current))
    return [*more, *_values(place, current, settings, words[0] if words else "")]


def split_line(line: str) -> tuple[list[str], str]:
    """The finished words of a line up to the cursor, and the one that is being typed, without their quotes."""
    for ending in ("", "'", '"', "\\"):  # of a quote that is still open
        with suppress(ValueError):
            words = shlex.split(line + ending)
            if not line or (not ending and line[-1].isspace()):
                return words, ""
            return words[:-1], words[-1] if words else ""
    return [], ""


def _values(
    action: argparse.Action, current: str, settings: argparse.Namespace, package: str
) -> list[Candidate]:
    if action.choices:
        return _starting(current, map(Candidate, action.choices))
    metavar = action.metavar
    if isinstance(metavar, str) and metavar.startswith("{"):
        return _starting(current, map(Candidate, metavar.strip("{}").split(",")))
    match _NAMED.get(action.dest):
        case "package":
            return _starting(current, _packages(settings, current))
        case "path" if package:
            return _starting(current, _paths(settings, package, current))
        case "file":
            return _starting(current, _files(settings, current))
        case "tool":
            from quilt_mcp.tools import TOOLS

            return _starting(current, [Candidate(tool.name, tool.title) for tool in TOOLS])
        case (":files" | ":folders") as directive:
            return [Candidate(directive)]
        case _:
            return []


def _packages(settings: argparse.Namespace, current: str) -> list[Candidate]:
    rows = _rows(
        settings, "packages_list", {"prefix": current.split("@", maxsplit=1)[0].split(":", maxsplit=1)[0]}
    )
    return [Candidate(row["name"]) for row in rows]


def _paths(settings: argparse.Namespace, package: str, current: str) -> list[Candidate]:
    rows = _rows(settings, "package_browse", {"package": package, "path": current.rpartition("/")[0]})
    return [Candidate(row["path"]) for row in rows]


def _takes_path(tool_name: str) -> bool:
    from quilt_mcp.tools import find

    return "path" in find(tool_name).arguments


def _files(settings: argparse.Namespace, current: str) -> list[Candidate]:
    """``ns/name`` and, where that is whole (with a revision or not), the paths in it."""
    if has_scheme(current):
        return []
    namespace, name, path = (*current.split("/", 2), "", "")[:3]
    if current.count("/") < 2:
        return [Candidate(f"{one.text}/") for one in _packages(settings, current)]
    package = f"{namespace}/{name}"
    return [Candidate(f"{package}/{one.text}") for one in _paths(settings, package, path)]


def _rows(settings: argparse.Namespace, tool_name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a tool's first page; none when it fails or takes too long."""
    import anyio

    from quilt_mcp.auth.identity import Asker
    from quilt_mcp.cli.verbs.rows import rows_of
    from quilt_mcp.session import Session
    from quilt_mcp.tools import find

    tool = find(tool_name)
    known = {name: value for name, value in arguments.items() if name in tool.arguments and value}
    session = Session(replace(Settings.load(os.environ, settings_flags(settings)), max_response_tokens=ROOM))
    found: list[dict[str, Any]] = []

    async def ask() -> None:
        with anyio.move_on_after(SECONDS):
            reply = await session.call(tool_name, {**known, "limit": MOST}, asker=Asker("command"))
            found.extend(rows_of(tool, reply.structured.get("data", {})))

    anyio.run(ask)
    return found


def _walk(top: argparse.ArgumentParser, words: Sequence[str]) -> tuple[int | None, argparse.Action | None]:
    """Where the command stands, and the setting whose value is to come."""
    at = 0
    while at < len(words):
        action = top._option_string_actions.get(words[at].split("=")[0])
        if action is None:
            return (None, None) if words[at].startswith("-") else (at, None)
        takes = action.nargs is None and "=" not in words[at]
        if takes and at + 1 == len(words):
            return None, action
        at += 2 if takes else 1
    return None, None


def _positions(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[list[str], argparse.Action | None]:
    """The words that stand without a flag, and the flag whose value is to come."""
    plain: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return plain + rest, None
        action = parser._option_string_actions.get(word)
        if action is None:
            plain += [] if word.startswith("-") and word != "-" else [word]
            continue
        needed = 1 if action.nargs is None else action.nargs if isinstance(action.nargs, int) else 0
        if len(rest) < needed:
            return plain, action
        del rest[:needed]
    return plain, None


def _settings(
    before: Sequence[str], rest: Sequence[str], parser: argparse.ArgumentParser
) -> argparse.Namespace:
    """Settings that were typed already, as far as they can be read."""
    given = argparse.Namespace()
    words = [*before, *rest]
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        action = parser._option_string_actions.get(flag)
        if action is None or action.nargs is not None:
            continue
        value = value if equals else words[at + 1] if at + 1 < len(words) else ""
        if action.dest == "default_registry" and value:
            given.default_registry = value
    return given


def _flags(parser: argparse.ArgumentParser) -> list[Candidate]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    return [
        Candidate(flag, re.split(r"(?<=\.)\s", str(action.help or ""))[0].replace("%%", "%"))
        for action in shown
        for flag in action.option_strings
        if flag.startswith("--")
    ]


def _starting(current: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    return [one for one in candidates if one.text.startswith(current) and "\n" not in one.text]


def _after_break(candidate: Candidate, current: str, breaks: str) -> str:
    """For bash, which replaces no more than what follows the last of its word breaks, and inserts what it gets as it is."""
    if candidate.text in (FILES, FOLDERS):
        return candidate.text
    begin = max((current.rfind(mark) for mark in breaks if not mark.isspace()), default=-1) + 1
    return _TO_ESCAPE.sub(r"\\\1", candidate.text[begin:])


def _leave_terminal() -> None:
    """So that nobody can ask for a password, and nothing is written between what is typed."""
    with suppress(OSError, AttributeError):
        os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 2)
