"""The tour: a real MCP client drives the real server over stdio through an agent's whole job, and shows what it sees."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from quilt_mcp.demo.samples import calibrate, write_samples
from quilt_mcp.errors import AlreadyExists, InternalError
from quilt_mcp.server import signals

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from rich.text import Text

PACKAGE = "demo/seedlings"
WIDTH = 110


Draw = Callable[[bytes, int], Awaitable["Text | None"]]
"""A picture of an image, so many characters wide; None for what cannot be drawn."""


def run_demo(keep: str | None, draw: Draw) -> int:
    """Answers the exit code. Raises AlreadyExists when the folder to keep holds something already."""
    with _folder(keep) as folder:
        samples = folder / "incoming"
        say(f"Sample data in {samples}:")
        for path in sorted(write_samples(samples)):
            say(f"  {path.relative_to(samples)}  {path.stat().st_size:,} bytes")
        signals.run(Tour(folder, draw).run)
        _show_snippet(folder if keep else None)
    return 0


@contextmanager
def _folder(keep: str | None) -> Generator[Path]:
    if keep is None:
        made = Path(tempfile.mkdtemp(prefix="quilt-mcp-demo-"))
        try:
            yield made.resolve()
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    folder = Path(keep).expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AlreadyExists(
            f"{folder} exists and is not an empty folder.", next_step="Give --keep a new folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def server_arguments(folder: Path) -> list[str]:
    """The flags that serve the demo's registry, and nothing else of this machine."""
    return [
        "--backend",
        "local",
        "--registry",
        str(folder / "registry"),
        "--root",
        str(folder),
        "--allow-write",
    ]


class Tour:
    """One walk through the tools. Stops with InternalError where a tool fails that should not."""

    def __init__(self, folder: Path, draw: Draw) -> None:
        self.folder = folder
        self._draw = draw
        self._step = 0

    async def run(self) -> None:
        from mcp import Client
        from mcp.client.stdio import StdioServerParameters, stdio_client

        (self.folder / "registry").mkdir(exist_ok=True)
        arguments = [
            "-m",
            "quilt_mcp",
            *server_arguments(self.folder),
            "--cache-dir",
            str(self.folder / "cache"),
        ]
        server = StdioServerParameters(command=sys.executable, args=arguments, cwd=self.folder)
        say(f"\nStarting the server: quilt-mcp {' '.join(server_arguments(self.folder))}")
        async with Client(stdio_client(server)) as client:
            tools = (await client.list_tools()).tools
            say(
                f"An MCP client is connected and sees {len(tools)} tools: {', '.join(tool.name for tool in tools)}"
            )
            await self._whole_job(client)

    async def _whole_job(self, client: Client) -> None:
        incoming = self.folder / "incoming"
        await self._do(client, "Where am I?", "status")
        await self._do(client, "What is there already?", "packages_list")

        made = await self._do(
            client,
            "Make a package of the sample files",
            "package_create",
            package=PACKAGE,
            sources=[{"from": str(incoming), "to": ""}],
            metadata={"organism": "Arabidopsis thaliana", "made_up": True},
            message="Growth of seedlings under four lights",
        )
        first = made["top_hash"]
        await self._do(client, "Look inside", "package_browse", package=PACKAGE)

        await self._do(
            client, "Read its table", "object_read", uri=f"{self._uri(first)}&path=growth.csv", length=160
        )
        await self._do(
            client, "Look at its figure", "object_read", uri=f"{self._uri(first)}&path=figures/growth.png"
        )

        calibrate(incoming)
        await self._do(
            client,
            "The ruler was calibrated: replace one file, on the revision just read",
            "package_patch",
            package=PACKAGE,
            expected_top_hash=first,
            add=[{"from": str(incoming / "growth.csv"), "to": "growth.csv"}],
            metadata={"calibrated": True},
            message="Heights calibrated",
        )
        await self._do(client, "What is its history?", "package_log", package=PACKAGE)
        await self._do(
            client, "What changed?", "package_diff", before=f"{PACKAGE}@{first}", after=f"{PACKAGE}:latest"
        )
        await self._do(client, "Is every byte what the package says?", "package_verify", package=PACKAGE)
        await self._do(client, "A slip of the pen", "package_browse", fails=True, package="demo/seedling")

    def _uri(self, top_hash: str) -> str:
        return f"quilt+{(self.folder / 'registry').as_uri()}#package={PACKAGE}@{top_hash}"

    async def _do(
        self, client: Client, purpose: str, tool: str, *, fails: bool = False, **arguments: Any
    ) -> dict[str, Any]:
        """Calls a tool, prints purpose, call and answer, and returns the answer's ``data``."""
        self._step += 1
        say(f"\n{self._step}. {purpose}")
        say(f"   -> {tool} {_cut(_short(arguments), WIDTH)}")
        result = await client.call_tool(tool, arguments)
        body = cast("dict[str, Any]", result.structured_content or _told(result))
        if bool(result.is_error) != fails:
            raise InternalError(
                f"{tool} answered {_cut(_short(body), 500)}.",
                next_step="Report it with this output.",
            )
        for line in brief(body):
            say(f"      {line}")
        await _draw_images(result, self._draw)
        return cast("dict[str, Any]", body.get("data", {}))


QUIET = frozenset({"physical_key", "uri", "hash", "old_hash", "origin", "details", "registry"})
"""What an agent gets and a reader of the demo can do without."""
DIGEST = re.compile(r"\b([0-9a-f]{10})[0-9a-f]{54}\b")


def brief(body: Mapping[str, Any]) -> list[str]:
    """An answer in few lines: a field a line, the first items of a list, long values cut, what says nothing left out."""
    lines: list[str] = []
    shown = cast("dict[str, Any]", body.get("data") or body.get("error") or {})
    for key, value in shown.items():
        if not value or key in QUIET:
            continue
        if isinstance(value, list) and isinstance(cast("list[Any]", value)[0], dict):
            items = cast("list[dict[str, Any]]", value)
            lines.append(f"{key}:")
            lines += [f"  {_cut(_compact(item), WIDTH - 2)}" for item in items[:7]]
            if len(items) > 7:
                lines.append(f"  ... and {len(items) - 7} more")
        elif isinstance(value, str) and "\n" in value:
            lines.append(f"{key}:")
            lines += [f"  | {line}" for line in value.splitlines()[:6]]
        else:
            lines.append(f"{key}: {_cut(_compact(value), WIDTH)}")
    lines += [f"warning: {_cut(warning, WIDTH)}" for warning in body.get("warnings", [])]
    return lines or ["(nothing)"]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        value = {key: one for key, one in mapping.items() if one is not None and key not in QUIET}
    return _short(value)


def _short(value: Any) -> str:
    """As JSON (text as it is), digests cut to ten digits."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return DIGEST.sub(r"\1...", text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _told(result: CallToolResult) -> dict[str, Any]:
    """A picture's result has its facts in the text alone."""
    texts = [block.text for block in result.content if block.type == "text"]
    return json.loads(texts[0]) if texts else {}


async def _draw_images(result: CallToolResult, draw: Draw) -> None:
    """On a terminal, a picture is shown as one; elsewhere its size says enough."""
    import base64

    for block in result.content:
        if block.type != "image":
            continue
        content = base64.b64decode(block.data)
        if sys.stdout.isatty():
            from rich.console import Console

            drawn = await draw(content, 72)
            if drawn is not None:
                Console().print(drawn)
                continue
        say(f"      [image block: {block.mime_type}, {len(content):,} bytes]")


def _show_snippet(kept: Path | None) -> None:
    command = shutil.which("quilt-mcp") or str(Path(sys.executable).with_name("quilt-mcp"))
    entry: dict[str, Any] = {"command": command}
    if kept:
        entry["args"] = server_arguments(kept)
    say("\nThe whole job is done. To give these tools to your own agent, paste this into its mcp.json")
    say(
        "(Claude Desktop: claude_desktop_config.json), or have it written: quilt-mcp install-client claude-code,"
    )
    say("claude-desktop, cursor, vscode, codex or gemini:\n")
    say(json.dumps({"mcpServers": {"quilt": entry}}, indent=2))
    if kept:
        say(f"\nThe samples and their registry stay in {kept}")
    else:
        say(
            '\nIt reads your local packages; "args": ["--allow-write", "--root", "/your/data"] lets it make new ones.'
        )
