"""``quilt-mcp call``: the tools of the server, from a shell. The same session answers, so the JSON is the same."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from quilt_mcp.auth.identity import Asker
from quilt_mcp.cli import exits
from quilt_mcp.config import Settings
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.server import signals
from quilt_mcp.server.watching.log import safe, say
from quilt_mcp.session import Session
from quilt_mcp.tools import TOOLS, find
from quilt_mcp.tools.results.envelope import Reply, json_text
from quilt_mcp.tools.spec import ToolSpec


def run_call(settings: Settings, arguments: argparse.Namespace) -> int:
    """Raises InvalidArgument for arguments that cannot be parsed; what the tool itself refuses is in its reply."""
    if arguments.tool is None:
        return list_tools(settings)
    values = read_arguments(find(arguments.tool), arguments.args, arguments.arg)
    reply = signals.run(_call, settings, arguments.tool, values)
    return show(reply, as_json=arguments.json or not sys.stdout.isatty())


async def _call(settings: Settings, tool: str, values: dict[str, Any]) -> Reply:
    from quilt_mcp.cli.progress import terminal_progress

    session = Session(settings)
    try:
        async with terminal_progress() as progress:
            return await session.call(tool, values, progress, asker=Asker("command"))
    finally:
        await session.close()


def show(reply: Reply, *, as_json: bool) -> int:
    """Prints a reply and answers the exit code: that of the error's group when it is one, and that of bad data where a
    verification found some."""
    if as_json:
        sys.stdout.write(json_text(reply.structured) + "\n")
    if reply.is_error:
        error = reply.structured["error"]
        say(safe(f"error: {error['message']} [{error['code']}]") + "\n")
        if error["next_step"]:
            say(safe(f"next:  {error['next_step']}") + "\n")
        return exits.BY_RECOVERY.get(error["recovery"], exits.REPORT)
    if not as_json:
        _show_on_terminal(reply)
    return exits.CHECK_DATA if reply.structured.get("data", {}).get("ok") is False else exits.OK


def _show_on_terminal(reply: Reply) -> None:
    from quilt_mcp.cli.render import render
    from quilt_mcp.cli.screen import screen_of

    screen = screen_of()
    render(reply, screen)
    page = cast("dict[str, Any]", reply.structured.get("page") or {})
    if page.get("next_cursor"):
        of = f" of {page['total']:,}" if isinstance(page.get("total"), int) else ""
        screen.line(screen.dim(f"There is more{of}: add --arg cursor={page['next_cursor']}"))
    for warning in cast("list[str]", reply.structured.get("warnings", [])):
        screen.line(f"warning: {warning}")


def list_tools(settings: Settings) -> int:
    """One line a tool; tools that write are marked, and said to be off when they are."""
    width = max(len(tool.name) for tool in TOOLS)
    for tool in TOOLS:
        marked = "writes" if tool.writes else "some actions write" if tool.writing else ""
        off = "" if settings.allow_write else ": needs --allow-write"
        mark = f" [{marked}{off}]" if marked else ""
        sys.stdout.write(f"{tool.name:<{width}}  {tool.title}{mark}\n")
    return exits.OK


def read_arguments(tool: ToolSpec, text: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """``--args`` and ``--arg`` together; a pair wins over the same name in the JSON."""
    values: dict[str, Any] = {}
    if text is not None:
        values = _read_object(sys.stdin.read() if text == "-" else text)
    given: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidArgument(f"--arg {pair!r} has no '='.", next_step="Write --arg name=value.")
        given.setdefault(name, []).append(value)
    for name, written in given.items():
        values[name] = _read_value(name, written, tool.arguments.get(name, {}))
    return values


def _read_object(text: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(
            f"--args is not JSON: {error}.",
            next_step="""Quote it for the shell: --args '{"name": "value"}'.""",
        ) from None
    if not isinstance(value, dict):
        raise InvalidArgument("--args is not an object.", next_step="""Write --args '{"name": "value"}'.""")
    return cast("dict[str, Any]", value)


def _read_value(name: str, written: list[str], schema: Mapping[str, Any]) -> Any:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "array" in kinds and not (len(written) == 1 and written[0].lstrip().startswith("[")):
        items = schema.get("items", {})
        return [_read_value(name, [one], items) for one in written]
    if len(written) > 1:
        raise InvalidArgument(
            f"--arg {name} is given {len(written)} times.", next_step=f"Give --arg {name} once."
        )
    if "string" in kinds:
        return written[0]
    try:
        return json.loads(written[0])
    except ValueError:
        # Left as text: the tool's own check then says what the argument may be.
        return written[0]
