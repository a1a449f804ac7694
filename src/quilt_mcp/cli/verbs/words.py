"""Sentences of the tools, as a person at a shell is told them: by verbs and flags rather than tools and arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from quilt_mcp.cli import exits
from quilt_mcp.cli.verbs.table import Verb, verb_of
from quilt_mcp.server.watching.log import safe, say
from quilt_mcp.tools import TOOLS

_TOOL: Final = re.compile(
    r"(?:\b(?:[Mm]ake|[Uu]se) )?(?:\b[Cc]all )?\b(" + "|".join(tool.name for tool in TOOLS) + r")\b"
)
_BROWSE: Final = re.compile(r"Call package_browse with package='([^']*)'(?: and path='([^']*)')?")
_ARGUMENT: Final = re.compile(
    r"\b("
    + "|".join({name for tool in TOOLS for name in tool.arguments if "_" in name} | {"overwrite"})
    + r"|all(?==true))\b(?:=true)?(?!=)"
)


def tell(error: Mapping[str, Any], typed: Sequence[str] = (), verb: Verb | None = None) -> int:
    """Says on standard error what was wrong and what to type next; answers the exit code of the error's group. ``typed``: the
    words after the program's name."""
    say(safe(f"error: {for_people(error['message'], verb)} [{error['code']}]") + "\n")
    next_step = _what_to_type(error, typed) or for_people(error["next_step"], verb)
    if next_step:
        say(safe(f"next:  {next_step}") + "\n")
    return exits.BY_RECOVERY.get(error["recovery"], exits.REPORT)


def for_people(text: str, typed: Verb | None = None) -> str:
    """``typed``: the verb at work, which names its tool where several do."""
    text = _BROWSE.sub(
        lambda found: f"Type: {shlex.join(['quilt-mcp', 'browse', *filter(None, found.groups())])}", text
    )
    text = _TOOL.sub(partial(_command, typed), text)
    text = _ARGUMENT.sub(lambda found: "--" + found[1].replace("_", "-"), text)
    text = re.sub(r"` with (\w+) writes\b", r"` with --\1 writes", text)
    text = text.replace("set --", "add --").replace("Set --", "Add --")
    text = text.replace("this server reads only", "writing is not switched on")
    text = text.replace("Start the server with --root", "Add --root")
    return text.replace("Make the same call with", "Type it again with").replace(
        "make the same call again", "try again"
    )


def _command(typed: Verb | None, found: re.Match[str]) -> str:
    verb = typed if typed is not None and typed.tool == found[1] else verb_of(found[1])
    command = f"quilt-mcp {verb.name}" if verb else f"quilt-mcp call {found[1]}"
    return f"Use `{command}`" if found[0][0].isupper() else f"`{command}`"


def _what_to_type(error: Mapping[str, Any], typed: Sequence[str]) -> str:
    if not typed:
        return ""
    if error["code"] == "read_only":
        return f"If that is meant, type: {_with(typed, '--allow-write')} (or, for all commands: export QUILT_ALLOW_WRITE=1)"
    details: Mapping[str, Any] = error.get("details") or {}
    if error["code"] == "outside_roots" and "path" in details and "folder" in details:
        return f"If that is meant, type: {_with(typed, '--root', details['folder'])}"
    return ""


def _with(typed: Sequence[str], *flags: str) -> str:
    """At the end, where it is easy to see; before everything where '--' ends the flags."""
    return shlex.join(["quilt-mcp", *flags, *typed] if "--" in typed else ["quilt-mcp", *typed, *flags])
