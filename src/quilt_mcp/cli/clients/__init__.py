"""``quilt-mcp install-client``: this server, written into the configuration of an MCP client, whose every other byte stays."""
