"""quilt-mcp: Quilt data packages for AI agents and for people at a shell."""

__version__ = "1.0.0.dev0"
