"""The least that a server over HTTP can be on the same SDK: one tool that answers a constant."""

from __future__ import annotations

import sys

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server


async def list_tools(ctx: object, params: object) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name="nothing", input_schema={"type": "object"})])


async def call_tool(ctx: object, params: object) -> types.CallToolResult:
    answer = {"answer": "nothing"}
    return types.CallToolResult(
        content=[types.TextContent(type="text", text="nothing")], structured_content=answer
    )


if __name__ == "__main__":
    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    app = server.streamable_http_app(stateless_http=True)
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", http="h11")
