"""Results for people: tables and pictures. A Reply holds nothing that acts on a terminal."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

import anyio
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from quilt_mcp.cli.picture import picture
from quilt_mcp.tools.envelope import Reply

HIDDEN_COLUMNS = frozenset({"uri", "physical_key"})
"""Long addresses that can be made from what is shown; ``--json-output`` has them."""
SIZES = frozenset({"size", "old_size", "bytes", "bytes_to_copy", "bytes_copied"})


def render(reply: Reply, console: Console | None = None) -> None:
    console = console or Console()
    data = cast("dict[str, Any]", reply.structured.get("data", {}))
    shown_in_block = {"text"} if len(reply.blocks) > 1 else set[str]()
    plain = {key: value for key, value in data.items() if not _is_table(value) and key not in shown_in_block}
    if plain:
        console.print(_facts(plain))
    for key, value in data.items():
        if _is_table(value):
            console.print(_table(key, cast("list[dict[str, Any]]", value)))
    for block in reply.blocks[1:]:
        if block.kind == "image":
            image = anyio.run(picture, base64.b64decode(block.body), min(console.width, 100))
            console.print(image or Text(f"[{block.media_type}: cannot be drawn here]", style="dim"))
        else:
            console.print(Text(block.body), soft_wrap=True)
    page = cast("dict[str, Any]", reply.structured.get("page") or {})
    if page.get("next_cursor"):
        total = page.get("total")
        of = f" of {total:,}" if isinstance(total, int) else ""
        # Unbroken, so that it can be copied.
        console.print(
            Text(f"There is more{of}: add --arg cursor={page['next_cursor']}", style="dim"), soft_wrap=True
        )
    for warning in cast("list[str]", reply.structured.get("warnings", [])):
        console.print(Text(f"warning: {warning}", style="yellow"))


def _is_table(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(row, dict) for row in cast("list[Any]", value))


def _facts(values: Mapping[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in values.items():
        if value not in (None, [], {}):
            grid.add_row(key, _cell(key, value))
    return grid


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in HIDDEN_COLUMNS]
    keys = [key for key in keys if any(row.get(key) not in (None, [], {}) for row in rows)] or list(rows[0])
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    for key in keys:
        number = all(isinstance(row.get(key), int | float | None) for row in rows)
        table.add_column(key, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(key, row.get(key)) for key in keys))
    return table


def _cell(key: str, value: Any) -> RenderableType:
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if key in SIZES and isinstance(value, int):
        return Text(human_size(value))
    if isinstance(value, int):
        return Text(f"{value:,}")
    if isinstance(value, str):
        return Text(value[:16] if _is_digest(value) else value)
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if set(mapping) == {"type", "value"}:
            return Text(f"{mapping['type']}:{str(mapping['value'])[:12]}")
        if all(not isinstance(one, dict | list) for one in mapping.values()):
            return Text("  ".join(f"{name}={_scalar(one)}" for name, one in mapping.items()))
    if _is_table(value):
        rows = cast("list[dict[str, Any]]", value)
        return Group(
            *(Text("  ".join(f"{name}={_scalar(one)}" for name, one in row.items())) for row in rows)
        )
    return Text(json.dumps(value, ensure_ascii=False))


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def human_size(size: int) -> str:
    """Decimal units, as disks and S3 bills count."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
