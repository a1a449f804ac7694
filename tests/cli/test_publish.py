"""``quilt-mcp tables publish``: a plan without writes, what is told where, and that its statements are taken by the engine."""

from __future__ import annotations

import json

import duckdb
from shell import Shell, on_a_terminal


def test_without_writes_it_is_a_plan(shell: Shell) -> None:
    shell.make_package()
    result = shell.run("tables", "publish")
    assert (result.returncode, "Nothing was written. Add -w" in result.stderr) == (0, True), result.stderr
    assert "1 package, 1 revision, 1 entry (1 revisions more, 0 less)" in result.stderr
    assert not (shell.registry / ".quilt" / "tables").exists()
    with_writes = shell.run("tables", "publish", "--dry-run", "-w")
    assert "Add -w" not in with_writes.stderr and "Would write 4 files" in with_writes.stderr
    assert not (shell.registry / ".quilt" / "tables").exists()


def test_it_publishes_and_its_output_is_a_script_for_duckdb(shell: Shell) -> None:
    shell.make_package("team/data", **{"a.txt": "one", "b.txt": "two"})
    result = shell.run("tables", "publish", ".", "-w", QUILT_DEFAULT_REGISTRY="")
    assert result.returncode != 0 or "0 packages" in result.stderr, (
        "the folder that was typed is the registry"
    )
    result = shell.run("tables", "publish", "-w")
    assert result.returncode == 0, result.stderr
    assert "Published the tables of file://" in result.stderr
    with duckdb.connect() as engine:
        engine.execute(result.stdout)
        query = "SELECT pkg_name, count(*) FROM package_tag JOIN package_entry USING (top_hash) GROUP BY ALL"
        assert engine.execute(query).fetchall() == [("team/data", 2)]
    again = shell.run("tables", "publish", "-w", "-q")
    assert (again.returncode, again.stderr, again.stdout) == (0, "", result.stdout)


def test_json_tells_all_of_it(shell: Shell) -> None:
    shell.make_package()
    told = json.loads(shell.run("tables", "publish", "-w", "--json").stdout)
    assert told["is_done"] is True and told["sequence"] == 1
    assert (told["packages"], told["revisions"], told["entries"], told["files_written"]) == (1, 1, 1, 4)
    assert len(told["statements"]) == 4
    told = json.loads(shell.run("tables", "publish", "--json").stdout)
    assert (told["is_current"], told["is_done"], told["sequence"]) == (True, False, 1)


def test_what_cannot_be_done_is_refused(shell: Shell) -> None:
    shell.make_package()
    both = shell.run("tables", "publish", "-w", "--run", "--dry-run")
    assert (both.returncode, "invalid_argument" in both.stderr) == (2, True)
    folder = shell.run("tables", "publish", "-w", "--run")
    assert "not_supported" in folder.stderr and "Leave out --run" in folder.stderr
    assert shell.run("tables", "publish", "a", "b").returncode == 2


def test_the_verb_beside_it_is_as_it_was(shell: Shell) -> None:
    shell.make_package()
    assert "package_entry" in shell.run("tables").stdout
    assert "--dry-run" in shell.run("help", "tables", "publish").stdout
    assert "--dry-run" not in shell.run("help", "tables").stdout
    assert "publish" in shell.run("__complete", "zsh", "tables", "p").stdout.split()
    assert "--database" in shell.run("__complete", "zsh", "tables", "publish", "--da").stdout
    assert "up to date" in on_a_terminal(shell, "tables", "publish", "-w") + on_a_terminal(
        shell, "tables", "publish", "-w"
    )
