"""Named: which columns a query may mean, so that nothing is looked for in others and told of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_USING: Final = re.compile(r"\busing\s*\(([^)]*)\)")
_ALL: Final = re.compile(r"\b(summarize|natural)\b")


class Named:
    """``columns``: those that the parent saw in the query, with '*' where all of a table are meant."""

    def __init__(self, columns: Sequence[str], sql: str) -> None:
        self._names = {one.lower() for one in columns}
        said = sql.lower()
        self._joined = " ".join(_USING.findall(said))
        self._is_all = "*" in self._names or _ALL.search(said) is not None

    def __contains__(self, column: str) -> bool:
        name = column.lower()
        return self._is_all or name in self._names or name in self._joined
