"""Tables that a Quilt stack declares as Tabulator's, queried by its users without Athena."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

TABLE = r"""
schema: [{name: sample, type: STRING}, {name: od, type: DOUBLE}]
source: {type: quilt-packages, package_name: "^lab/(?<run>.+)$", logical_key: csv$}
parser: {format: csv, header: true}
"""
Call = Callable[..., dict[str, Any]]


def test_what_an_administrator_declares_is_queried_here(
    calls: Callable[..., Call], stack_bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "declared" / stack_bucket).mkdir(parents=True)
    given = {"default_registry": f"s3://{stack_bucket}", "tabulator": tmp_path / "declared"}
    ada, eve = calls("ada", **given), calls("eve", **given)
    for run, od in (("one", 1.5), ("two", 2.5)):
        files = [{"path": "w.csv", "text": f"sample,od\nA,{od}\nB,\n"}]
        assert "error" not in ada("package_create", package=f"lab/{run}", files=files)
    assert "error" not in ada(
        "admin_tabulator", action="set", bucket=stack_bucket, table="wells", config=TABLE
    )
    listed = {one["table"]: one for one in eve("sql_tables")["data"]["tables"]}
    assert listed["tabulator.wells"]["columns"]["run"] == "VARCHAR"
    query = "SELECT run, count(*), sum(od) FROM {} GROUP BY ALL ORDER BY ALL"
    rows = [["one", 2, 1.5], ["two", 2, 2.5]]
    assert eve("sql_query", sql=query.format("tabulator.wells"))["data"]["rows"] == rows
    assert eve("sql_query", sql=query.format(f'tabulator."{stack_bucket}".wells'))["data"]["rows"] == rows
    through = calls("eve", through_stack=True, **given)
    assert through("sql_query", sql=query.format("tabulator.wells"))["data"]["rows"] == rows
    own = TABLE.replace("lab/(?<run>.+)", "lab/(?<run>two)")
    (tmp_path / "declared" / stack_bucket / "wells.yaml").write_text(own)
    assert eve("sql_query", sql=query.format("tabulator.wells"))["data"]["rows"] == rows[1:]
    missing = eve("sql_query", sql="FROM tabulator.well")["error"]
    assert missing["code"] == "table_not_found"
    assert "admin_tabulator" in missing["next_step"]
