"""Tables of two revisions, cell by cell: what every backend answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ops_base import OpsContract

from quilt_mcp.domain.table_diff import CellChange, TableDiffRequest
from quilt_mcp.errors import EntryNotFound, NotATable

_OLD = "plant,height,row\n1,2.5,R1\n2,3.5,R1\n3,4.5,R2\n"
_NEW = """{"plant": 3, "height": 4.5, "row": "R2"}
{"plant": 2, "height": 3.75, "row": "R1"}
{"plant": 9, "height": 1.5, "row": "R3"}
"""


class TableDiffContract(OpsContract):
    async def test_tables_of_two_revisions_and_two_formats_are_compared_by_the_key_that_is_found(
        self,
    ) -> None:
        first = await self.create("lab/plants", {"growth.csv": _OLD, "plot.png": "no table"})
        second = await self.patch("lab/plants", {"growth.jsonl": _NEW})
        before = self.uri("lab/plants", first.top_hash, "growth.csv")
        after = self.uri("lab/plants", second.top_hash, "growth.jsonl")
        found = await self.ops.sql.compare(TableDiffRequest(before, after))
        assert found.keys == ("plant",)
        rows = found.rows
        assert (rows.before, rows.after, rows.added, rows.removed, rows.changed, rows.unchanged) == (
            3,
            3,
            1,
            1,
            1,
            1,
        )
        assert [(one.key, one.cells) for one in found.changed] == [((2,), (CellChange("height", 3.5, 3.75),))]
        with pytest.raises(EntryNotFound):
            await self.ops.sql.compare(TableDiffRequest(before, replace(after, path="grown.jsonl")))
        with pytest.raises(NotATable):
            await self.ops.sql.compare(TableDiffRequest(before, replace(after, path="plot.png")))
