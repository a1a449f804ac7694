"""Fault: why a query has no answer, as data for the parent."""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """``kind`` is one of those that ``sql.faults`` knows."""

    def __init__(self, kind: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.details = details
