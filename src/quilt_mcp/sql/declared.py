"""Declared: a table over many files whose columns were declared beforehand, as the child is told of it (``inside.declared``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declared:
    """``columns``: name, type, whether it may be NULL. Its files are those of the query from number ``first`` on, one for each of
    ``shown``, their names for people. ``added``: further columns, with the value of each file. ``continues``: a file that does
    not fit is left out and told of."""

    columns: Sequence[tuple[str, str, bool]]
    form: str
    delimiter: str
    has_header: bool
    continues: bool
    first: int
    shown: Sequence[str]
    added: Mapping[str, Sequence[str | None]]
    lost: Sequence[tuple[str, Sequence[str | None], str]] = ()
    """Files that are not there: name, values of what is added, why."""
