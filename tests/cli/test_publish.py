"""``quilt-mcp tables publish``: a plan without writes, what is told where, and that its statements are taken by the engine."""

from __future__ import annotations

import json

import duckdb
from shell import Shell

from quilt_mcp.cli.commands import parse, parser_of
from quilt_mcp.cli.completion.answers import answer


def test_without_writes_it_is_a_plan_and_with_them_its_output_is_a_script_for_duckdb(shell: Shell) -> None:
    shell.make_package("team/data", **{"a.txt": "one", "b.txt": "two"})
    plan = shell.run("tables", "publish")
    assert (plan.returncode, "Nothing was written. Add -w" in plan.stderr) == (0, True), plan.stderr
    assert "1 package, 1 revision, 2 entries (1 revision more, 0 less)" in plan.stderr
    assert not (shell.registry / ".quilt" / "tables").exists()
    done = shell.run("tables", "publish", "-w")
    assert done.returncode == 0, done.stderr
    assert "Published the tables of file://" in done.stderr and "Wrote 4 files" in done.stderr
    with duckdb.connect() as engine:
        engine.execute(done.stdout)
        query = "SELECT pkg_name, count(*) FROM package_tag JOIN package_entry USING (top_hash) GROUP BY ALL"
        assert engine.execute(query).fetchall() == [("team/data", 2)]
    again = shell.run("tables", "publish", str(shell.registry), "-w", "-q", QUILT_DEFAULT_REGISTRY="")
    assert (again.returncode, again.stderr, again.stdout) == (0, "", done.stdout)


def test_json_tells_all_of_it_and_what_cannot_be_done_is_refused(shell: Shell) -> None:
    shell.make_package()
    told = json.loads(shell.run("tables", "publish", "-w", "--dry-run", "--json").stdout)
    assert (told["is_done"], told["is_current"], told["sequence"], told["files_written"]) == (
        False,
        False,
        0,
        4,
    )
    assert (told["packages"], told["revisions"], told["entries"]) == (1, 1, 1)
    assert len(told["statements"]) == 4
    both = shell.run("tables", "publish", "-w", "--run", "--dry-run")
    assert (both.returncode, "invalid_argument" in both.stderr) == (2, True)
    folder = shell.run("tables", "publish", "-w", "--run")
    assert "not_supported" in folder.stderr and "Leave out --run" in folder.stderr


def test_the_verb_beside_it_is_as_it_was() -> None:
    assert [parse(["tables", *rest])[0] for rest in ([], ["a/b"], ["publish"], ["publish", "s3://b"])] == [
        "tables", "tables", "tables publish", "tables publish",
    ]  # fmt: skip
    assert parse(["tables", "publish", "s3://b", "-w"])[1].default_registry == "s3://b"
    parser = parser_of("tables publish")
    assert parser is not None and "--dry-run" in parser.format_help()
    assert "publish" in [one.text for one in answer(["tables"], "p")]
    assert [one.text for one in answer(["tables", "publish"], "--da")] == ["--database"]
    assert all(" " not in one.text for one in (*answer([], "ta"), *answer(["help"], "ta")))
