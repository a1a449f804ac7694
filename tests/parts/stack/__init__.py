"""A Quilt stack on loopback that owes nothing to our engine: its schema is executed by graphql-core, its packages by quilt3."""

from __future__ import annotations

from parts.stack.client import Stack, quilt_stack
from parts.stack.faults import Fault

__all__ = ["Fault", "Stack", "quilt_stack"]
