"""A verb, carried out: the tool is called as an agent's call is, and a person is shown what it found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from quilt_mcp.cli import exits
from quilt_mcp.cli.render import render
from quilt_mcp.cli.screen import is_terminal, paged, screen_of
from quilt_mcp.cli.verbs.errand import ROOM, Errand
from quilt_mcp.cli.verbs.flags import tool_arguments
from quilt_mcp.cli.verbs.rows import (
    Links,
    Table,
    facts_of,
    json_of,
    merged,
    next_cursor,
    rows_of,
    writer_for,
)
from quilt_mcp.cli.verbs.table import Verb
from quilt_mcp.cli.verbs.words import for_people
from quilt_mcp.config import Settings
from quilt_mcp.server import signals
from quilt_mcp.server.watching.log import say
from quilt_mcp.session import Session
from quilt_mcp.tools import find
from quilt_mcp.tools.results.envelope import Reply


def run_verb(settings: Settings, verb: Verb, options: argparse.Namespace, typed: Sequence[str]) -> int:
    """Answers the exit code. Raises InvalidArgument for what cannot be read; what the tool refuses is told."""
    tool = find(verb.tool)
    arguments = tool_arguments(verb, tool, options)
    session = Session(replace(settings, max_response_tokens=ROOM))
    errand = Errand(verb, tool, arguments, options, typed, session)
    act: Callable[[Errand], Awaitable[int]]
    match verb.how:
        case "cat" | "head":
            from quilt_mcp.cli.verbs.files import show_file

            act = show_file
        case "link":
            act = _link
        case "diff" if arguments.get("content"):
            from quilt_mcp.cli.verbs.table_diffs import show_tables

            act = show_tables
        case "sql" if options.parquet is not None:
            from quilt_mcp.cli.verbs.result_file import save_result

            act = save_result
        case "sql" if arguments.get("to") is not None:
            act = _once
        case _:
            act = _rows if tool.paged else _once
    return signals.run(_to_its_end, act, errand)


async def _to_its_end(act: Callable[[Errand], Awaitable[int]], errand: Errand) -> int:
    try:
        return await act(errand)
    finally:
        await errand.session.close()


async def _once(errand: Errand) -> int:
    is_meant = errand.options.yes if errand.verb.asks else True
    if not is_meant and not errand.arguments.get("dry_run") and sys.stdin.isatty() and is_terminal():
        code = await _agreed(errand)
        if code is not None:
            return code
    reply = await errand.call()
    if reply.is_error:
        return errand.failed(reply)
    if errand.options.json:
        _print_json(reply.structured)
    elif not errand.is_quiet:
        render(reply, screen_of())
    errand.tell_warnings(reply.structured)
    return code_of(reply)


async def _agreed(errand: Errand) -> int | None:
    """The exit code when it is not to be done: what it would do failed, or the person does not want it."""
    plan = await errand.call(dry_run=True)
    if plan.is_error:
        return errand.failed(plan)
    render(plan, screen_of(sys.stderr))
    say(f"{errand.verb.name} this? [y/N] ")
    answer = sys.stdin.readline().strip().lower()
    return None if answer in ("y", "yes") else exits.OK


async def _rows(errand: Errand, turned: AsyncIterator[Reply] | None = None) -> int:
    """``turned``: the pages, where the first was called for already."""
    turned = turned or pages(errand)
    if errand.options.json:
        return await _all_as_json(errand, turned)
    code, is_more = exits.OK, False
    warnings: dict[str, None] = {}
    with paged(wanted=not errand.is_quiet) as screen:
        writer = writer_for(errand.options.form, errand.tool, screen)
        is_first = True
        async for reply in turned:
            if reply.is_error:
                code = errand.failed(reply)
                break
            data = reply.structured["data"]
            if is_first and isinstance(writer, Table | Links) and not errand.is_quiet:
                facts = replace(reply, structured={"data": facts_of(errand.tool, reply.structured)})
                render(facts, screen)
            is_first = False
            writer.write(rows_of(errand.tool, data))
            screen.out.flush()
            warnings |= dict.fromkeys(reply.structured.get("warnings", ()))
            is_more = next_cursor(reply.structured) is not None
            code = code_of(reply)
    errand.tell_warnings({"warnings": list(warnings)})
    if is_more and errand.options.most is not None and is_terminal() and not errand.is_quiet:
        say(f"There is more: --limit {errand.options.most} was asked for.\n")
    return code


async def pages(errand: Errand) -> AsyncIterator[Reply]:
    """Each page as it arrives, the first a small one. All of them, or as many rows as were asked for."""
    schema = errand.tool.arguments["limit"]
    size, most = schema["default"], errand.options.most
    cursor: str | None = None
    while most is None or most > 0:
        more: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
        limit = size if most is None else min(size, most)
        reply = await errand.call(watched=cursor is None, limit=limit, **more)
        yield reply
        if reply.is_error:
            return
        if most is not None:
            most -= max(len(rows_of(errand.tool, reply.structured["data"])), 1)
        cursor = next_cursor(reply.structured)
        if cursor is None:
            return
        size = schema["maximum"]


async def _all_as_json(errand: Errand, turned: AsyncIterator[Reply]) -> int:
    found: list[Reply] = [reply async for reply in turned]
    if found[-1].is_error:
        _print_json(found[-1].structured)
        return errand.failed(found[-1])
    _print_json(merged(errand.tool, [reply.structured for reply in found]))
    return code_of(found[-1])


async def _link(errand: Errand) -> int:
    """Of a file (or for an upload) the link alone where no person reads it; of a folder a row for each file."""
    turned = pages(errand)
    first = await anext(turned)
    if not first.is_error and "links" in first.structured["data"]:
        return await _rows(errand, _with_first(first, turned))
    if first.is_error:
        return errand.failed(first)
    data = first.structured["data"]
    if errand.options.json:
        _print_json(first.structured)
    elif is_terminal():
        said = {"next_step": for_people(data["next_step"], errand.verb)} if "next_step" in data else {}
        render(replace(first, structured={**first.structured, "data": {**data, **said}}), screen_of())
    else:
        sys.stdout.write(f"{data['url']}\n")
    if errand.options.open and data["url"].startswith(("https://", "http://", "file://")):
        import webbrowser

        if not webbrowser.open(data["url"]):
            say("No browser could be started here.\n")
    errand.tell_warnings(first.structured)
    return exits.OK


async def _with_first(first: Reply, others: AsyncIterator[Reply]) -> AsyncIterator[Reply]:
    yield first
    async for reply in others:
        yield reply


def code_of(reply: Reply) -> int:
    """Of a reply that is no failure: that of bad data where a verification found some."""
    return exits.CHECK_DATA if reply.structured.get("data", {}).get("ok") is False else exits.OK


def _print_json(value: Any) -> None:
    sys.stdout.write(json_of(value, screen_of()) + "\n")
