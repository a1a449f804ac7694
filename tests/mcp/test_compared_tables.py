"""package_diff with content, by a real client: tables of two revisions, cell by cell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serving import Connect, failure, result

pytestmark = pytest.mark.anyio

GROWTH = "plant,height,note\n" + "".join(f"P{at},{at / 4},\n" for at in range(1, 401))
FIRST = {
    "data/growth.csv": GROWTH,
    "data/wells.tsv": "well\tod\n" + "A1\t1\nA1\t1\nB2\t2\n",
    "moved.csv": "id,v\n1,1\n2,2\n",
    "broken.csv": "a,b\n1,2\n",
    "plot.png": "one",
}
SECOND = {
    "data/growth.csv": GROWTH.replace("P7,1.75,", "P7,1.80,taller").replace("P9,2.25,\n", "")
    + "Q1,9.5,new\n",
    "data/wells.tsv": "well\tod\n" + "A1\t1\nB2\t2\nB2\t2\n",
    "moved.jsonl": '{"id": 2, "v": 2.5}\n{"id": 1, "v": 1}\n',
    "broken.csv": "a,b\n1,2\n1,2,3\n",
    "plot.png": "two",
}


async def two_revisions(client: Any) -> dict[str, str]:
    """The arguments that name them."""
    hashes: list[str] = []
    for number, files in enumerate((FIRST, SECOND)):
        given = {
            "package": "compared/tables",
            "files": [{"path": path, "text": text} for path, text in files.items()],
            "message": str(number),
            "overwrite": True,
        }
        made = await result(client, "package_create", **given)
        hashes.append(made["uri"].partition("@")[2][:10])
    return {"before": f"compared/tables@{hashes[0]}", "after": f"compared/tables@{hashes[1]}"}


@pytest.mark.sampled(1)
async def test_an_agent_reads_what_changed_in_tables_and_is_helped_where_it_cannot(connect: Connect) -> None:
    async with connect("--allow-write") as client:
        sides = await two_revisions(client)
        found = await result(client, "package_diff", content=True, **sides)
        tables = {one["path"]: one for one in found["data"]["tables"]}
        assert (
            found["page"] == {"next_cursor": None, "total": 4}
            and found["uri"].endswith("broken.csv") is False
        )
        assert tables["data/growth.csv"] == {
            "path": "data/growth.csv",
            "keys": ["plant"],
            "rows": {"before": 400, "after": 400, "added": 1, "removed": 1, "changed": 1, "unchanged": 398},
            "cells_changed": 2,
            "changed_by_column": {"height": 1, "note": 1},
            "largest": {"height": 0.05},
            "samples": {
                "changed": [
                    {
                        "key": ["P7"],
                        "cells": [
                            {"column": "height", "before": 1.75, "after": 1.8},
                            {"column": "note", "before": None, "after": "taller"},
                        ],
                    }
                ],
                "added": [{"key": ["Q1"], "values": {"height": 9.5, "note": "new"}}],
                "removed": [{"key": ["P9"], "values": {"height": 2.25, "note": None}}],
            },
        }
        moved = tables["moved.jsonl"]
        assert (moved["old_path"], moved["keys"], moved["cells_changed"]) == ("moved.csv", ["id"], 1)
        assert tables["data/wells.tsv"]["keys"] == []
        assert (
            tables["broken.csv"]["error"]["code"] == "undecodable"
            and tables["broken.csv"]["error"]["next_step"]
        )
        assert [one.partition(":")[0] for one in found["warnings"]] == ["left_out", "no_key"]

        near = await result(
            client, "package_diff", content=True, path="data/growth.csv", tolerance=0.1, limit=0, **sides
        )
        [table] = near["data"]["tables"]
        assert table["changed_by_column"] == {"note": 1} and "samples" not in table
        assert table["tolerance"] == "0.1"
        one = {**sides, "content": True, "path": "data/growth.csv", "limit": 2}
        page = await result(client, "package_diff", **one)
        rest = await result(client, "package_diff", cursor=page["page"]["next_cursor"], **one)
        [table], [other] = page["data"]["tables"], rest["data"]["tables"]
        assert table["samples_total"] == 3 and rest["page"]["next_cursor"] is None
        assert [*table["samples"], *other["samples"]] == ["changed", "added", "removed"]
        both = {
            side: f"{address}/moved.{end}"
            for (side, address), end in zip(sides.items(), ("csv", "jsonl"), strict=True)
        }
        [table] = (await result(client, "package_diff", content=True, **both))["data"]["tables"]
        assert table["cells_changed"] == 1

        async def refused(**more: Any) -> str:
            error = await failure(client, "package_diff", **{"content": True, **sides, **more})
            return error["code"]

        assert await refused(path="data/wells.tsv", keys=["well"]) == "duplicate_key"
        assert await refused(path="data/growth.csv", keys=["plants"]) == "column_not_found"
        assert await refused(path="plot.png") == "not_a_table"
        assert await refused(path="broken.csv") == "undecodable"
        assert await refused(tolerance="near") == "invalid_argument"
        assert await refused(content=False, keys=["plant"]) == "invalid_argument"


@pytest.mark.sampled(1)
async def test_a_thousand_changed_rows_stay_within_the_budget_and_many_tables_are_pages(
    connect: Connect,
) -> None:
    header = "id," + ",".join(f"c{at}" for at in range(20)) + "\n"
    old = header + "".join(f"{row},{','.join('x' * 20 for _ in range(20))}\n" for row in range(1_000))
    new = old.replace("xxx", "yyy")
    names = [f"t{at:02d}.csv" for at in range(22)]
    async with connect("--allow-write", QUILT_MCP_MAX_RESPONSE_TOKENS="4000") as client:
        hashes: list[str] = []
        wide = "id," + ",".join(f"c{at}{'n' * 300}" for at in range(60))
        for text, small in ((old, "id,v\n1,1\n"), (new, "id,v\n1,2\n")):
            long = f"{wide}\n1{small[-3:-1] * 60}\n"
            files = [
                {"path": "big.csv", "text": text},
                {"path": "t18w.csv", "text": long},
                *({"path": one, "text": small} for one in names),
            ]
            made = await result(
                client, "package_create", package="compared/many", files=files, overwrite=True, message="m"
            )
            hashes.append(made["uri"].partition("@")[2][:10])
        sides = {side: f"compared/many@{one}" for side, one in zip(("before", "after"), hashes, strict=True)}
        big = await result(client, "package_diff", content=True, path="big.csv", **sides)
        [table] = big["data"]["tables"]
        assert table["rows"]["changed"] == 1_000 and table["cells_changed"] == 20_000
        assert 1 <= len(table["samples"]["changed"]) < 100
        assert len(json.dumps(big)) < 4_000 * 5
        first = await result(client, "package_diff", content=True, **sides)
        assert first["page"]["total"] == 24
        cursor, paths = first["page"]["next_cursor"], [one["path"] for one in first["data"]["tables"]]
        while cursor:
            page = await result(client, "package_diff", content=True, cursor=cursor, **sides)
            paths += [one["path"] for one in page["data"]["tables"]]
            cursor = page["page"]["next_cursor"]
        assert paths == ["big.csv", *names[:19], "t18w.csv", *names[19:]]
