"""A reply for people: facts, tables and pictures. A Reply holds nothing that acts on a terminal."""

from __future__ import annotations

import base64
from typing import Any, cast

import anyio

from quilt_mcp.cli.people import columns_of, facts, is_rows, name_of, table
from quilt_mcp.cli.screen import Screen
from quilt_mcp.tools.results.envelope import Block, Reply


def render(reply: Reply, screen: Screen) -> None:
    data = cast("dict[str, Any]", reply.structured.get("data", {}))
    shown_in_block = {"text"} if len(reply.blocks) > 1 else set[str]()
    rows = {key: cast("list[dict[str, Any]]", value) for key, value in data.items() if is_rows(value)}
    elsewhere = shown_in_block | rows.keys() | {f"{key}_total" for key in rows}
    plain = {key: value for key, value in data.items() if key not in elsewhere}
    if "uri" in reply.structured and "page" not in reply.structured:
        plain["address"] = reply.structured["uri"]
    for line in facts(plain):
        name, gap, value = line.partition("  ")
        screen.line(screen.bold(name) + gap + value if name else line)
    for key, found in rows.items():
        total = data.get(f"{key}_total", len(found))
        more = f", the first {len(found):,} of {total:,}" if total > len(found) else ""
        show_rows(name_of(key) + more, found, screen)
    for block in reply.blocks[1:]:
        show_block(block, screen)


def show_rows(title: str, rows: list[dict[str, Any]], screen: Screen) -> None:
    screen.line(screen.bold(title))
    head, lines = table(rows, columns_of(rows), screen.width)
    for line in head:
        screen.line(screen.dim(line))
    for line in lines:
        screen.line(line)


def show_block(block: Block, screen: Screen) -> None:
    if block.kind != "image":
        screen.line(block.body)
        return
    from quilt_mcp.cli.picture import picture

    width = min(screen.width or 80, 100)
    drawn = anyio.run(picture, base64.b64decode(block.body), width) if screen.color else None
    if drawn is None:
        screen.line(screen.dim(f"[{block.media_type}: cannot be drawn here]"))
        return
    from rich.console import Console

    Console(file=screen.out, force_terminal=True, width=screen.width).print(drawn)
