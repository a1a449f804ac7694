"""An Athena of the tests: its JSON 1.1 over HTTP on loopback, with states, pages, refusals and costs; it executes by SQLite."""

from __future__ import annotations

from parts.athena_double.account import Account
from parts.athena_double.server import Served, athena_double

__all__ = ["Account", "Served", "athena_double"]
