"""The clients: where each keeps its configuration, under which key, and what it wants to be told of a server."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Client:
    """``path`` is below the folder that ``base`` names; ``variable`` names a folder that stands for the first part of it.
    ``project``: below a project's folder, where the client reads one there."""

    name: str
    title: str
    base: Literal["home", "settings"]
    path: str
    key: str
    after: str
    project: str | None = None
    variable: str | None = None
    form: Literal["json", "toml"] = "json"
    fields: Mapping[str, str] = field(default_factory=dict[str, str])

    def file(self, environ: Mapping[str, str], home: Path, platform: str = sys.platform) -> Path:
        """Its own configuration, for all projects."""
        if self.variable and (folder := environ.get(self.variable)):
            return Path(folder) / self.path.rpartition("/")[2]
        if self.base == "home":
            return home / self.path
        if platform == "darwin":
            return home / "Library" / "Application Support" / self.path
        if platform == "win32":
            return Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / self.path
        return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / self.path


_STDIO: Final = {"type": "stdio"}
CLIENTS: Final[tuple[Client, ...]] = (
    Client("claude-code", "Claude Code", "home", ".claude.json", "mcpServers", "Start it anew; /mcp shows the server.",
           project=".mcp.json", variable="CLAUDE_CONFIG_DIR", fields=_STDIO),
    Client("claude-desktop", "Claude Desktop", "settings", "Claude/claude_desktop_config.json", "mcpServers",
           "Quit it wholly and start it anew."),
    Client("cursor", "Cursor", "home", ".cursor/mcp.json", "mcpServers", "Its settings show the server under MCP.",
           project=".cursor/mcp.json"),
    Client("vscode", "VS Code", "settings", "Code/User/mcp.json", "servers", "The command 'MCP: List Servers' starts it.",
           project=".vscode/mcp.json", fields=_STDIO),
    Client("codex", "Codex", "home", ".codex/config.toml", "mcp_servers", "Start it anew; /mcp shows the server.",
           project=".codex/config.toml", variable="CODEX_HOME", form="toml"),
    Client("gemini", "Gemini CLI", "home", ".gemini/settings.json", "mcpServers", "Start it anew; /mcp shows the server.",
           project=".gemini/settings.json"),
)  # fmt: skip
