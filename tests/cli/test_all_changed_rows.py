"""``quilt-mcp diff A B --content`` for programs: every row that differs, of each table, and what is left out told."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from shell import Shell


def two_revisions(shell: Shell, before: dict[str, str], after: dict[str, str]) -> list[str]:
    first = shell.make_package("lab/all", **before)
    files = [{"path": path, "text": text} for path, text in after.items()]
    given: dict[str, Any] = {"package": "lab/all", "message": "two", "overwrite": True, "files": files}
    second = shell.call("package_create", given, "--allow-write")
    return [f"lab/all@{one['uri'].partition('@')[2][:10]}" for one in (first, second)]


def test_a_program_gets_all_rows_that_differ_duplicates_and_columns(shell: Shell) -> None:
    rows = [f"g{at},{at},x\n" for at in range(1_300)]
    big = "gene,n,went\n" + "".join(rows)
    other = "gene,n,came\n" + "".join(f"g{at},{at + 1},x\n" for at in range(1_250)) + "h,1,x\n"
    sides = two_revisions(
        shell,
        {"big.csv": big, "events.csv": "e,v\na,1\na,1\n", "s.csv": "id,v\n1,\n"},
        {"big.csv": other, "events.csv": "e,v\na,1\na,1\nboom,9\nboom,9\n", "s.csv": 'id,v\n1,"x"\n'},
    )
    written = shell.run("diff", *sides, "--content", "--csv")
    assert written.returncode == 0, written.stderr
    found = [*csv.DictReader(io.StringIO(written.stdout))]
    changes = [(one["path"], one["change"]) for one in found]
    assert [changes.count(("big.csv", one)) for one in ("changed", "added", "removed")] == [1_250, 1, 50]
    assert len({one["key"] for one in found if one["path"] == "big.csv" and one["key"]}) == 1_301
    assert ("big.csv", "column added") in changes and ("big.csv", "column dropped") in changes
    [boom] = [one for one in found if one["path"] == "events.csv"]
    assert (boom["count"], json.loads(boom["after"])) == ("2", {"e": "boom", "v": 9})
    piped = shell.run("diff", *sides, "--content", "--path", "big.csv")
    assert len(piped.stdout.splitlines()) == 1_303 and "not_all" not in piped.stderr
    few = shell.run("diff", *sides, "--content", "-n", "7", "--path", "big.csv", "--nl")
    assert len(few.stdout.splitlines()) == 9
    whole = json.loads(shell.run("diff", *sides, "--content", "--json").stdout)["data"]["tables"][0]
    assert sum(map(len, whole["samples"].values())) == 1_301 and "samples_total" not in whole


def test_null_is_told_from_an_empty_text(shell: Shell) -> None:
    sides = two_revisions(
        shell,
        {"a.jsonl": '{"id":1,"w":null}\n{"id":2,"w":"x,y"}\n'},
        {"a.jsonl": '{"id":1,"w":""}\n{"id":2,"w":null}\n'},
    )
    asked = ("diff", *sides, "--content")
    rows = ['a.jsonl,changed,1,w,,"",', 'a.jsonl,changed,2,w,"x,y",,']
    assert shell.run(*asked, "--csv").stdout.splitlines()[1:] == rows
    assert shell.run(*asked).stdout.splitlines() == [
        "a.jsonl\tchanged\t1\tw\t\\N\t\t",
        "a.jsonl\tchanged\t2\tw\tx,y\t\\N\t",
    ]
