"""The environment of processes whose coverage is nobody's question: servers, other clients, and those that are killed."""

from __future__ import annotations

import os


def unmeasured() -> dict[str, str]:
    """A measured server takes half as much time again, and what is killed in mid-measurement spoils the measurement's file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
