"""Completion at a shell: a script for each shell, which asks ``quilt-mcp __complete`` for what may stand at the cursor."""
