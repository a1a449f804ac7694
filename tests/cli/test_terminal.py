"""What a person sees on a real terminal: tables that fit it, sizes and times as people write them, a pager, colour if wanted."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from shell import COMMAND, Shell, on_a_terminal, seen_on_a_terminal

from quilt_mcp.cli.people import cell, cut, facts, human_size, human_time, table

LONG = "a/rather/long/folder/of/some/instrument/" + "x" * 60 + ".tiff"


@pytest.fixture
def made(shell: Shell) -> Shell:
    shell.call(
        "package_create",
        {
            "package": "team/data",
            "files": [
                {"path": LONG, "text": "x" * 1500, "metadata": {"stain": "a" * 90, "z": 3}},
                {"path": "b.txt", "text": "é α 文\n"},
            ],
            "message": "A message",
            "metadata": {"plate": "007"},
        },
        "--allow-write",
    )
    return shell


def plain(seen: str) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip("\r") for line in seen.split("\n")]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("columns", [80, 200])
def test_lines_fit_the_terminal_and_what_is_copied_is_whole(made: Shell, columns: int) -> None:
    lines = plain(on_a_terminal(made, "browse", "-r", "team/data", columns=columns))
    [row] = [line for line in lines if line.startswith(LONG)]
    assert "1.5 kB" in row
    if columns == 200:
        assert max(len(line) for line in lines) <= columns
    assert any(re.fullmatch(r"message +A message", line) for line in lines)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("columns", [80, 200])
def test_a_log_stands_in_columns_with_local_times_and_short_hashes(made: Shell, columns: int) -> None:
    lines = plain(on_a_terminal(made, "log", "team/data", columns=columns, TZ="Asia/Kolkata"))
    at = next(number for number, line in enumerate(lines) if line.startswith("revision"))
    assert re.match(r"[0-9a-f]{10}  \d{4}-\d\d-\d\d \d\d:\d\d  A message", lines[at + 1])
    stamp = made.call("package_log", {"package": "team/data"})["data"]["revisions"][0]["timestamp"]
    assert lines[at + 1].split()[2][3:] == f"{(int(stamp[14:16]) + 30) % 60:02}"


def test_colour_stands_on_a_terminal_alone_and_not_where_it_is_unwanted(made: Shell) -> None:
    coloured = on_a_terminal(made, "browse", "team/data")
    assert "\x1b[" in coloured
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b[" not in on_a_terminal(made, "browse", "team/data", **unwanted)
    assert "\x1b[" not in made.run("browse", "team/data").stdout


def test_a_locale_without_all_of_unicode_gets_escapes_and_no_crash(made: Shell) -> None:
    uri = made.call("package_browse", {"package": "team/data"})["uri"]
    latin = {"PYTHONIOENCODING": "iso-8859-1", "PYTHONUTF8": "0"}
    seen = on_a_terminal(made, "cat", f"{uri}&path=b.txt", **latin)
    assert "\\u03b1" in seen
    made.call(
        "package_patch", {"package": "team/data", "message": "α 😀", "metadata": {"a": 1}}, "--allow-write"
    )
    import json
    import subprocess

    done = subprocess.run(
        [COMMAND, "log", "team/data", "--json"], env=made.environment | latin, capture_output=True, check=True
    )
    assert json.loads(done.stdout.decode("ascii"))["data"]["revisions"][0]["message"] == "α 😀"
    assert "\\u03b1" in on_a_terminal(made, "log", "team/data", **latin)
    assert "?" not in on_a_terminal(made, "status", **latin)


def pager(shell: Shell, body: str) -> str:
    path = shell.home / "pager"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return str(path)


def test_long_output_goes_through_the_pager_on_a_terminal_alone(made: Shell) -> None:
    mine = pager(made, "sed 's/^/paged: /'")
    seen = plain(on_a_terminal(made, "log", "team/data", PAGER=mine))
    assert any(line.startswith("paged: ") for line in seen)
    assert not any(
        line.startswith("paged: ")
        for line in plain(on_a_terminal(made, "log", "-q", "team/data", PAGER=mine))
    )
    assert "paged" not in made.run("log", "team/data", PAGER=mine).stdout


def test_a_pager_that_is_left_early_ends_the_verb(made: Shell) -> None:
    mine = pager(made, "head -n 1")
    made.make_package("team/many", **{f"{number:05}-{'x' * 200}.txt": "t" for number in range(400)})
    seen = on_a_terminal(made, "browse", "team/many", PAGER=mine)
    assert seen.count("\n") == 1 and "Traceback" not in seen


def test_a_pager_that_is_not_there_is_done_without(made: Shell) -> None:
    assert "A message" in on_a_terminal(made, "log", "team/data", PAGER="/no/such/pager")


def test_less_is_told_to_end_where_all_fits(made: Shell) -> None:
    mine = pager(made, 'cat; echo "LESS=$LESS"')
    assert "LESS=FRX" in on_a_terminal(made, "log", "team/data", PAGER=mine)
    assert "LESS=mine" in on_a_terminal(made, "log", "team/data", PAGER=mine, LESS="mine")


def test_more_rows_than_were_asked_for_are_told_of(made: Shell) -> None:
    assert "There is more" in on_a_terminal(made, "browse", "-r", "team/data", "--limit", "1")
    assert "There is more" not in on_a_terminal(made, "browse", "-r", "team/data", "--limit", "2")


def test_a_text_is_shown_and_what_acts_on_a_terminal_is_not(shell: Shell) -> None:
    made = shell.make_package("team/data", **{"a.txt": "\x1b]0;owned\x07gone"})
    for verb in ("cat", "head"):
        seen = on_a_terminal(shell, verb, f"{made['uri']}&path=a.txt")
        assert "gone" in seen and "\x1b]0;" not in seen and "\x07" not in seen


def test_a_picture_is_drawn_and_other_bytes_are_not_thrown_at_a_terminal(shell: Shell) -> None:
    from quilt_mcp.demo.samples import png

    (shell.here / "red.png").write_bytes(png(b"\xff\x00\x00" * 16, 4, 4))
    (shell.here / "some.bin").write_bytes(bytes(range(256)))
    assert shell.run("put", "team/data", "red.png", "some.bin", "-w").returncode == 0
    uri = shell.call("package_browse", {"package": "team/data"})["uri"]
    assert on_a_terminal(shell, "cat", f"{uri}&path=red.png").count("▀") == 8
    seen = on_a_terminal(shell, "cat", f"{uri}&path=some.bin", code=2)
    assert "is not text" in seen and "\x00" not in seen


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("answer", "left"), [("y", 0), ("n", 1), ("yes please", 1)])
def test_what_removes_shows_what_and_asks(made: Shell, answer: str, left: int) -> None:
    seen = on_a_terminal(made, "rm", "team/data", "--all", "-w", typed=answer)
    assert "rm this? [y/N]" in seen and "A message" in seen
    assert len(made.call("packages_list")["data"]["packages"]) == left


def test_no_sentence_of_an_agent_and_no_json_stands_on_a_terminal(made: Shell) -> None:
    made.make_package("team/read", **{"README.md": "# Read me", "a.txt": "a"})
    lines = plain(on_a_terminal(made, "browse", "team/read", columns=80))
    assert not any("instructions" in line or "{" in line for line in lines)
    at = next(number for number, line in enumerate(lines) if line.startswith("extensions"))
    assert lines[at].split(maxsplit=1) == ["extensions", ".md: 1 file, 9 B"]
    assert lines[at + 1].strip() == ".txt: 1 file, 1 B"


def test_a_comparison_says_what_with_what_in_words_that_can_be_typed(made: Shell) -> None:
    before = made.call("package_browse", {"package": "team/data"})["data"]["top_hash"][:10]
    made.call(
        "package_patch", {"package": "team/data", "files": [{"path": "c", "text": "c"}]}, "--allow-write"
    )
    after = made.call("package_browse", {"package": "team/data"})["data"]["top_hash"][:10]
    lines = plain(on_a_terminal(made, "diff", f"team/data@{before}", "team/data", columns=80))
    assert f"before   team/data@{before}" in lines and f"after    team/data@{after}" in lines
    assert "totals   1 added, 2 unchanged" in lines


def test_changes_that_are_not_all_shown_say_of_how_many(shell: Shell) -> None:
    for number in range(30):
        (shell.here / f"{number:02}.txt").write_text("x")
    lines = plain(on_a_terminal(shell, "put", "team/many", ".", "-w", columns=80))
    assert any(re.fullmatch(r"changes, the first \d+ of 30", line) for line in lines)
    assert not any(line.startswith(("changes total", "bytes to copy", "metadata changed")) for line in lines)


def test_the_verb_that_was_typed_is_the_one_that_is_named(made: Shell) -> None:
    assert "`quilt-mcp rollback` writes" in on_a_terminal(made, "rollback", "team/data", code=4)


def test_a_removal_that_is_only_planned_asks_nothing(made: Shell) -> None:
    seen = on_a_terminal(made, "rm", "team/data", "--all", "-w", "--dry-run", typed="n")
    assert "[y/N]" not in seen
    assert "done     no" in plain(seen)


def test_what_removes_does_not_ask_when_told_so(made: Shell) -> None:
    assert "[y/N]" not in on_a_terminal(made, "rm", "team/data", "--all", "-w", "-y")
    assert made.call("packages_list")["data"]["packages"] == []
    assert "package_not_found" in on_a_terminal(made, "rm", "team/data", "--all", "-w", code=2)


def test_a_bar_tells_bytes_and_rate_of_a_single_large_file_and_leaves_nothing_behind(shell: Shell) -> None:
    with (shell.here / "big.bin").open("wb") as file:
        file.truncate(300_000_000)
    seen = on_a_terminal(shell, "put", "team/big", "big.bin", "-w", columns=120)
    assert "━" in seen and re.search(r"/300\.0 MB", seen) and re.search(r"MB/s", seen)
    assert "━" not in seen.rpartition("\x1b[2K")[2]
    assert "MB/s" not in on_a_terminal(shell, "put", "team/big2", "big.bin", "-w", "-q")


@pytest.mark.nightly
def test_a_bar_counts_the_files_where_there_are_many(shell: Shell) -> None:
    """On one line of 80 columns, whatever it tells."""
    folder = shell.here / "many"
    folder.mkdir()
    (shell.here / "other").mkdir()
    for number in range(300):
        (folder / f"{number:03}.bin").write_bytes(os.urandom(200_000))
    for typed in (
        ("put", "team/many", "many/", "-w"),
        ("verify", "team/many"),
        ("get", "team/many", "copy", "-w"),
        ("cp", "team/many", "team/copied", "--to-registry", "./other", "-w"),
    ):
        seen = plain(on_a_terminal(shell, *typed, columns=80).replace("\r", "\n"))
        bars = [line for line in seen if "━" in line]
        assert any(re.search(r"/60\.0 MB .*\d+ of 300 files", line) for line in bars), (typed, seen)
        assert max(len(line) for line in bars) <= 80


def test_a_person_is_told_of_work_that_tells_nothing_itself_but_not_below_a_pager() -> None:
    script = """
import anyio
from quilt_mcp.cli import progress

progress.PATIENCE = 0.01

async def work():
    for wanted in (True, False):
        async with progress.terminal_progress(wanted=wanted) as report:
            await anyio.sleep(0.5)
            await report(1, 2, "bytes read")
            await anyio.sleep(0.5)
        print("done")

anyio.run(work)
"""
    seen = seen_on_a_terminal([sys.executable, "-c", script], dict(os.environ) | {"TERM": "xterm-256color"})
    first, _, second = seen.partition("done")
    assert "at work" in first and "read" in first
    assert "at work" not in second and "read" not in second


def test_a_bar_that_cannot_be_drawn_ends_no_work() -> None:
    script = """
import anyio
from quilt_mcp.cli import bars, progress

progress.PATIENCE = 0.01

def start():
    raise UnicodeEncodeError("latin-1", "x", 0, 1, "no such sign")

bars.start = start

async def work():
    async with progress.terminal_progress() as report:
        await anyio.sleep(0.3)
        await report(1, 2, "bytes read")
    print("done")

anyio.run(work)
"""
    seen = seen_on_a_terminal([sys.executable, "-c", script], dict(os.environ) | {"TERM": "xterm-256color"})
    assert "done" in seen and "Traceback" not in seen


def test_on_a_terminal_the_program_alone_tells_what_it_is(shell: Shell) -> None:
    seen = on_a_terminal(shell)
    assert "MCP clients start this program" in seen and "browse" in seen


def test_a_link_is_told_with_its_end(made: Shell) -> None:
    uri = made.call("package_browse", {"package": "team/data"})["uri"]
    assert "file:///" in on_a_terminal(made, "link", f"{uri}&path=b.txt")


def test_the_links_of_a_folder_are_whole_however_narrow_the_terminal_is(made: Shell) -> None:
    lines = plain(on_a_terminal(made, "link", "team/data", columns=40))
    found = [line.strip() for line in lines if line.strip().startswith("file:///")]
    assert len(found) == 2 and all(one.partition("#")[0].strip() == one for one in found)
    assert any(line.startswith("b.txt  ") for line in lines)


# -- values --


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (10**15, "1000.0 TB")],
)
def test_sizes_are_decimal(size: int, text: str) -> None:
    assert human_size(size) == text


def test_times_before_any_clock_are_shown_as_they_are() -> None:
    assert human_time("0001-01-01T00:00:00Z")[:4] in ("0001", "0000")
    assert human_time("no time") == "no time"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("size", 1500, "1.5 kB"),
        ("entries", 1500, "1,500"),
        ("done", True, "yes"),
        ("x", None, ""),
        ("x", {}, ""),
        ("x", "a" * 64, "a" * 10),
        ("x", ["a", "b"], "a, b"),
        ("x", [1, "b"], '[1, "b"]'),
        ("totals", {"entries": 2, "bytes": 1500}, "2 files, 1.5 kB"),
        ("totals", {"entries": 1, "bytes": 1}, "1 file, 1 B"),
        ("totals", {"added": 0, "modified": 1, "unchanged": 1500}, "1 modified, 1,500 unchanged"),
        ("counts", {"added": 0}, "nothing"),
        ("metadata", {"added": 0}, "added=0"),
        ("extensions", {".csv": [2, 1500], "": [1, 1]}, ".csv: 2 files, 1.5 kB\n(none): 1 file, 1 B"),
        ("hash", {"type": "SHA256", "value": "ab" * 32}, "SHA256:ababababab"),
        ("x", {"size": 1500, "n": 1, "t": "b"}, "size=1.5 kB  n=1  t=b"),
        ("x", {"a": {"b": 1}}, '{"a": {"b": 1}}'),
    ],
)
def test_a_value_is_written_as_people_do(key: str, value: object, text: str) -> None:
    assert cell(key, value) == text


def test_columns_are_cut_from_the_longest_but_never_the_first() -> None:
    rows = [
        {"path": "p" * 30, "note": "n" * 100, "size": 5},
        {"path": "文字", "note": "x\ny", "size": 1_000_000},
    ]
    head, lines = table(rows, ["path", "note", "size"], 60)
    assert head == ["path" + " " * 28 + "note" + " " * 20 + "size"]
    assert lines[0] == "p" * 30 + "  " + "n" * 17 + "..." + "  " + "   5 B"
    assert lines[1].startswith("文字" + " " * 26 + "  x y")
    _, narrow = table(rows, ["path", "note", "size"], 10)
    assert narrow[0].startswith("p" * 30 + "  nnnnn...")
    _, free = table(rows, ["path", "note"], None, head=False)
    assert free[0] == "p" * 30 + "  " + "n" * 100
    assert cut("文文文", 5) == "文..."


def test_facts_of_several_lines_stand_below_each_other() -> None:
    assert facts(
        {
            "a": "x\ny",
            "long_name": [{"k": 1}, {"k": 2}],
            "none": None,
            "replaced": 0,
            "problem_count": 0,
            "ok": False,
        }
    ) == [
        "a              x",
        "               y",
        "long name      k=1",
        "               k=2",
        "problem count  0",
        "ok             no",
    ]


def test_the_example_of_the_readme_is_typed_as_it_stands() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert "quilt-mcp put me/first" in readme
