"""``quilt-mcp diff A B --content``: a person reads tables, a program a row for each cell."""

from __future__ import annotations

import csv
import io
import json

from shell import Shell, on_a_terminal


def test_changed_cells_are_a_table_for_people_and_rows_for_programs(shell: Shell) -> None:
    first = shell.make_package(
        "lab/plants", **{"growth.csv": "plant,h,note\n1,2.5,\n2,3.5,b\n", "x.csv": "a\n1\n1\n"}
    )
    second = shell.call(
        "package_create",
        {
            "package": "lab/plants", "message": "two", "overwrite": True,
            "files": [
                {"path": "growth.csv", "text": "plant,h,note\n2,3.75,b\n1,2.5,new\n3,1.5,c\n"},
                {"path": "x.csv", "text": "a\n1\n"},
            ],
        },
        "--allow-write",
    )  # fmt: skip
    sides = [f"lab/plants@{one['uri'].partition('@')[2][:10]}" for one in (first, second)]
    shown = on_a_terminal(shell, "diff", "--content", *sides, NO_COLOR="1")
    for line in (
        "growth.csv",
        "rows      2 before, 3 after: 1 added, 2 changed",
        "matched   by plant",
        "cells     2 changed: h 1 (by 0.25 at most), note 1",
        "  plant  column  before  after",
        "      1  note      NULL  new",
        "matched   as whole rows",
    ):
        assert line in [one.rstrip() for one in shown.splitlines()], shown
    rows = shell.run("diff", *sides, "--path", "growth.csv", "--content", "--key", "plant,", "--csv")
    assert rows.returncode == 0, rows.stderr
    assert [*csv.DictReader(io.StringIO(rows.stdout))][:2] == [
        {
            "path": "growth.csv",
            "change": "changed",
            "key": "1",
            "column": "note",
            "before": "",
            "after": "new",
            "count": "",
        },
        {
            "path": "growth.csv",
            "change": "changed",
            "key": "2",
            "column": "h",
            "before": "3.5",
            "after": "3.75",
            "count": "",
        },
    ]
    whole = json.loads(shell.run("diff", *sides, "--content", "--tolerance", "0.5", "--json").stdout)
    assert [one["path"] for one in whole["data"]["tables"]] == ["growth.csv", "x.csv"]
    assert whole["data"]["tables"][0]["changed_by_column"] == {"note": 1}
    wrong = shell.run("diff", *sides, "--content", "--path", "growth.csv", "--key", "plants")
    assert wrong.returncode == 2 and "Did you mean 'plant'?" in wrong.stderr
