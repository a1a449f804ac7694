"""The least a server can be on the same SDK: one tool that answers a constant. What ours is measured against."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

server = MCPServer("bare", version="1")


@server.tool()
def nothing() -> dict[str, str]:
    """Answers a constant."""
    return {"answer": "nothing"}


if __name__ == "__main__":
    server.run("stdio")
