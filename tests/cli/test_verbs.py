"""The verbs: what a person types, on a registry of quilt3's own and on ours."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from shell import COMMAND, Shell, in_a_shell

from parts.quilt3_process import Quilt3
from quilt_mcp.cli.commands import command_names, parser_of
from quilt_mcp.cli.verbs.flags import joined, tool_arguments, words_of
from quilt_mcp.cli.verbs.rows import declared_columns, is_grid, row_list
from quilt_mcp.cli.verbs.table import VERBS, Verb
from quilt_mcp.tools import TOOLS, find
from quilt_mcp.tools.spec import ToolSpec

QUILT3 = """
import time
for message in ("one", "two"):
    package = quilt3.Package().set_dir("/", arguments["folder"])
    package.set_meta({"plate": "007", "by": message})
    package.build("lab/plants", registry=arguments["registry"], message=message)
    time.sleep(1.1)  # quilt3 names revisions by the second
"""


# -- the table --


@pytest.mark.parametrize("one", VERBS, ids=lambda one: one.name)
def test_a_verb_names_a_tool_and_arguments_that_it_has(one: Verb) -> None:
    tool = find(one.tool)
    named = {word.name for word in words_of(one)} | set(one.fixed)
    assert named <= set(tool.arguments)
    assert set(tool.required) <= named


@pytest.mark.parametrize("one", VERBS, ids=lambda one: one.name)
def test_the_example_of_a_verb_is_one(one: Verb) -> None:
    parser = parser_of(one.name)
    assert parser is not None
    for example in (one.example, *one.more):
        words = shlex.split(example)
        assert words[0] == one.name
        given = tool_arguments(one, find(one.tool), parser.parse_intermixed_args(joined(parser, words[1:])))
        find(one.tool).understand(given)


WITH_A_VERB = [tool for tool in TOOLS if tool.paged and tool.name in {one.tool for one in VERBS}]


@pytest.mark.parametrize("tool", WITH_A_VERB, ids=lambda tool: tool.name)
def test_the_rows_of_a_tool_that_pages_are_found_in_its_schema(tool: ToolSpec) -> None:
    """Its only list of objects, or the last; or the lists that its schema leaves unnamed."""
    if is_grid(tool):
        return  # its columns are those of each query
    named = row_list(tool)
    assert (named is None) == ("additionalProperties" in tool.data)
    assert declared_columns(tool)


@pytest.mark.parametrize("one", VERBS, ids=lambda one: one.name)
def test_every_argument_of_a_tool_can_be_typed(one: Verb) -> None:
    parser = parser_of(one.name)
    assert parser is not None
    takes = {action.dest for action in parser._actions}
    by_the_shell = {"registry": "default_registry", "limit": "most", "cursor": "most"}
    for name in find(one.tool).arguments:
        assert name in one.fixed or by_the_shell.get(name, f"arg_{name}") in takes, name


def test_no_two_commands_have_one_name() -> None:
    assert len(set(command_names())) == len(command_names())


# -- what cannot be read --


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "line",
    [
        "patch me/first --metadata nonsense",
        "patch me/first --metadata '{'",
        "patch me/first --metadata @no-such-file",
        "patch me/first --metadata '[1]' -w",
        "patch me/first --files '[{]'",
        "browse me/first --limit 0",
        "browse me/first --limit many",
        "browse me/first a b c",
        "browse",
        "brows me/first",
        "put me/first --to",
        "status --csv",
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_write(shell: Shell, line: str) -> None:
    done = shell.run(*shlex.split(line))
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: " in done.stderr and "Traceback" not in done.stderr


# -- on a registry of quilt3 --


@pytest.fixture
def lab(shell: Shell, tmp_path: Path) -> Shell:
    """A registry that quilt3 made, with a package of two revisions."""
    folder = shell.here / "plants"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("# Plants\n")
    (folder / "data" / "growth.csv").write_text(
        "plant,height\n" + "".join(f"R{row:02},{row}.5\n" for row in range(40))
    )
    shell.registry.mkdir()
    Quilt3(tmp_path / "quilt3").run(QUILT3, folder=str(folder), registry=shell.registry.as_uri())
    return shell


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_packages_of_quilt3_are_listed_browsed_and_told_of(lab: Shell) -> None:
    assert [row[0] for row in rows(lab.run("ls").stdout)] == ["lab/plants"]
    assert [row[0] for row in rows(lab.run("browse", "lab/plants").stdout)] == ["README.md", "data/"]
    assert [row[0] for row in rows(lab.run("browse", "lab/plants", "data/").stdout)] == ["data/growth.csv"]
    log = json.loads(lab.run("log", "lab/plants", "--json").stdout)["data"]["revisions"]
    assert [one["message"] for one in log] == ["two", "one"]
    assert lab.run("verify", "lab/plants").returncode == 0


def test_a_file_is_written_out_to_the_byte(lab: Shell) -> None:
    uri = f"quilt+{lab.registry.as_uri()}#package=lab/plants&path=data/growth.csv"
    expected = (lab.here / "plants" / "data" / "growth.csv").read_bytes()
    assert (
        subprocess.run(
            [COMMAND, "cat", uri], cwd=lab.here, env=lab.environment, capture_output=True, check=True
        ).stdout
        == expected
    )
    assert lab.run("head", uri, "-n", "2").stdout == "plant,height\nR00,0.5\n"
    assert lab.run("head", uri).stdout.count("\n") == 10


def test_the_registry_may_be_a_word_a_flag_or_a_variable(lab: Shell) -> None:
    elsewhere = {"QUILT_DEFAULT_REGISTRY": str(lab.here / "none")}
    for line in (
        ("ls", str(lab.registry)),
        ("ls", "--registry", str(lab.registry)),
        ("--registry", str(lab.registry), "ls"),
    ):
        assert [row[0] for row in rows(lab.run(*line, **elsewhere).stdout)] == ["lab/plants"], line


def test_a_registry_may_be_a_folder_as_it_lies_from_here_but_no_package(lab: Shell) -> None:
    lab.registry.rename(lab.here / "kept")
    for line in (("ls", "kept"), ("ls", "./kept"), ("--registry", "kept", "ls")):
        assert [row[0] for row in rows(lab.run(*line).stdout)] == ["lab/plants"], line
    done = lab.run("ls", "lab/plants")
    assert (done.returncode, "type: quilt-mcp browse lab/plants" in done.stderr) == (2, True)
    assert lab.run("ls", "nonsense").returncode == 2


HEAVY = """
import sys
from quilt_mcp.cli import main
code = main(sys.argv[1:])
heavy = {"rich", "boto3", "botocore", "duckdb", "mcp", "pydantic", "jsonschema"} & set(sys.modules)
print(code, *sorted(heavy))
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("line", ["ls --nl", "status", "log lab/plants --nl"])
def test_nothing_heavy_is_imported_for_a_verb_on_folders(lab: Shell, line: str) -> None:
    command = [sys.executable, "-c", HEAVY, *shlex.split(line)]
    done = subprocess.run(
        command, cwd=lab.here, env=lab.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"


def test_a_package_is_made_changed_copied_rolled_back_and_removed(lab: Shell) -> None:
    (lab.here / "results").mkdir()
    (lab.here / "results" / "a.csv").write_text("a\n")
    (lab.here / "b.csv").write_text("b\n")
    write = {"QUILT_ALLOW_WRITE": "1"}

    def run(line: str) -> str:
        done = lab.run(*shlex.split(line), **write)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    def paths(package: str) -> list[str]:
        return [row[0] for row in rows(run(f"browse -r {package}"))]

    run("put me/first ./results -m first --meta plate=007 --meta count=3")
    first = json.loads(run("browse me/first --json"))["data"]
    assert (first["message"], first["metadata"]) == ("first", {"plate": "007", "count": 3})
    run("patch me/first b.csv --to data/ --rename a.csv c.csv -m second")
    assert paths("me/first") == ["c.csv", "data/b.csv"]
    changes = sorted(row[:2] for row in rows(run(f"diff me/first@{first['top_hash']} me/first")))
    assert [row[0] for row in changes] == ["added", "renamed"]
    run("cp me/first team/copy")
    run(f"rollback me/first@{first['top_hash']}")
    assert (paths("me/first"), paths("team/copy")) == (["a.csv"], ["c.csv", "data/b.csv"])
    run("get team/copy ./out")
    assert (lab.here / "out" / "data" / "b.csv").read_text() == "b\n"
    assert lab.run("verify", "team/copy", "./out").returncode == 0
    run("rm team/copy --all")
    assert [row[0] for row in rows(run("ls"))] == ["lab/plants", "me/first"]


def test_writing_is_asked_for_and_the_whole_line_to_type_is_told(shell: Shell) -> None:
    (shell.here / "my data").mkdir()
    (shell.here / "my data" / "a.txt").write_text("a")
    done = shell.run("put", "me/first", "my data", "-m", "it's mine")
    assert (done.returncode, "[read_only]" in done.stderr) == (4, True)
    line = done.stderr.split("type: ")[1].split(" (or")[0]
    assert in_a_shell(shell, line.replace("quilt-mcp", COMMAND, 1)).returncode == 0
    assert [row[0] for row in rows(shell.run("ls").stdout)] == ["me/first"]


def test_a_folder_outside_the_roots_is_told_with_the_line_to_type(shell: Shell, tmp_path: Path) -> None:
    outside = tmp_path / "out side"
    outside.mkdir()
    (outside / "a.txt").write_text("a")
    done = shell.run("put", "me/first", str(outside), "-w")
    assert (done.returncode, "[outside_roots]" in done.stderr) == (4, True)
    line = done.stderr.split("type: ")[1]
    assert in_a_shell(shell, line.strip().replace("quilt-mcp", COMMAND, 1)).returncode == 0


def test_what_is_told_names_verbs_and_flags_not_tools(lab: Shell) -> None:
    for line in (
        "browse lab/plant",
        "put lab/plants -w",
        "browse lab/plants@0000000000",
        "browse lab/plants nowhere",
        "get lab/plants /etc -w",
    ):
        done = lab.run(*shlex.split(line))
        assert done.returncode != 0
        assert not any(tool.name in done.stderr for tool in TOOLS if "_" in tool.name), done.stderr


def test_damage_ends_with_its_code_through_verbs_too(shell: Shell) -> None:
    shell.make_package("team/data", **{"a.txt": "one"})
    [stored] = [path for path in (shell.registry / ".quilt" / "objects").rglob("*") if path.is_file()]
    stored.chmod(0o600)
    stored.write_text("two")
    uri = f"quilt+{shell.registry.as_uri()}#package=team/data&path=a.txt"
    assert shell.run("verify", "team/data").returncode == 7
    assert shell.run("verify", "team/data", "-q").stdout == ""
    assert shell.run("cat", uri).returncode == 7


def test_a_long_file_that_is_damaged_is_told_at_its_end(shell: Shell) -> None:
    """Read in pieces, so its hash is known when all of it has been written."""
    (shell.here / "long.bin").write_bytes(bytes(20_000_000))
    assert shell.run("put", "team/long", "long.bin", "-w").returncode == 0
    uri = f"quilt+{shell.registry.as_uri()}#package=team/long&path=long.bin"
    done = subprocess.run([COMMAND, "cat", uri], env=shell.environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout == bytes(20_000_000)) == (0, True)
    [stored] = [path for path in (shell.registry / ".quilt" / "objects").rglob("*") if path.is_file()]
    stored.chmod(0o600)
    with stored.open("r+b") as file:
        file.seek(15_000_000)
        file.write(b"\1")
    done = subprocess.run([COMMAND, "cat", uri], env=shell.environment, capture_output=True, check=False)
    assert (done.returncode, b"hash_mismatch" in done.stderr) == (7, True)


def test_a_short_address_with_a_path_names_a_file_for_each_verb(shell: Shell) -> None:
    top_hash = shell.make_package("team/data", **{"d/a.txt": "one\ntwo\n"})["data"]["top_hash"]
    (shell.here / "copy.txt").write_text("one\ntwo\n")
    for address in ("team/data/d/a.txt", f"team/data@{top_hash[:8]}/d/a.txt", "team/data:latest/d/a.txt"):
        assert shell.run("cat", address).stdout == "one\ntwo\n"
        assert shell.run("head", address, "-n", "1").stdout == "one\n"
        assert shell.run("link", address).returncode == 0
        assert shell.run("verify", address, "copy.txt").returncode == 0
        browsed = json.loads(shell.run("browse", address, "--json").stdout)["data"]["entries"]
        assert [one["path"] for one in browsed] == ["d/a.txt"]
    folder = shell.run("cat", "team/data/d/")
    typed = next(line for line in folder.stderr.splitlines() if line.startswith("next:"))
    words = shlex.split(typed.removeprefix("next:").partition(", then")[0].strip().removeprefix("Type: "))
    assert words[:2] == ["quilt-mcp", "browse"] and "d/a.txt" in shell.run(*words[1:]).stdout


def test_a_file_that_is_none_has_no_head(lab: Shell) -> None:
    uri = f"quilt+{lab.registry.as_uri()}#package=lab/plants"
    for name in ("cat", "head"):
        for target in (uri, f"{uri}&path=data/", f"{uri}&path=none", "s3:/x"):
            done = lab.run(name, target)
            assert (done.returncode, done.stdout, "error: " in done.stderr) == (2, "", True)


def test_an_object_outside_packages_is_read_too(shell: Shell) -> None:
    (shell.here / "notes.txt").write_text("one\ntwo")
    uri = (shell.here / "notes.txt").as_uri()
    assert shell.run("cat", uri).stdout == "one\ntwo"
    assert shell.run("head", uri, "-n", "5").stdout == "one\ntwo"


def test_a_link_is_one_line(lab: Shell) -> None:
    uri = f"quilt+{lab.registry.as_uri()}#package=lab/plants&path=README.md"
    assert lab.run("link", uri).stdout.startswith("file:///")
    assert lab.run("link", uri).stdout.count("\n") == 1
    assert "url" in json.loads(lab.run("link", uri, "--json").stdout)["data"]
    assert lab.run("link", f"{uri}x").returncode == 2


def test_a_folder_has_a_line_for_each_file(shell: Shell) -> None:
    shell.make_package("team/data", **{f"d/{number}.txt": "one" for number in range(3)}, top="x")
    lines = shell.run("link", "team/data/d/").stdout.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [[f"d/{number}.txt", "3"] for number in range(3)]
    assert all(line.split("\t")[2].startswith("file:///") for line in lines)
    two = [json.loads(line) for line in shell.run("link", "team/data", "--nl", "-n", "2").stdout.splitlines()]
    assert [row["path"] for row in two] == ["d/0.txt", "d/1.txt"]
    whole = json.loads(shell.run("link", "team/data", "--json").stdout)
    assert len(whole["data"]["links"]) == whole["page"]["total"] == 4


def test_a_link_is_opened_in_the_browser(lab: Shell) -> None:
    browser = lab.home / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {lab.home}/opened\n')
    browser.chmod(0o700)
    uri = f"quilt+{lab.registry.as_uri()}#package=lab/plants&path=README.md"
    done = lab.run("link", uri, "--open", BROWSER=f"{browser} %s")
    assert (done.returncode, (lab.home / "opened").read_text()) == (0, done.stdout.strip())


# -- output --


@pytest.fixture
def many(shell: Shell) -> Shell:
    shell.make_package("team/data", **{f"{number:04}.txt": str(number) for number in range(1234)})
    return shell


def test_every_row_is_written_whatever_a_page_holds(many: Shell) -> None:
    counted = in_a_shell(many, f"{COMMAND} browse team/data | wc -l")
    assert counted.stdout.strip() == "1234"
    assert len(json.loads(many.run("browse", "team/data", "--json").stdout)["data"]["entries"]) == 1234
    assert len(many.run("browse", "team/data", "-n", "1100").stdout.splitlines()) == 1100
    assert (
        len(json.loads(many.run("browse", "team/data", "-n", "3", "--json").stdout)["data"]["entries"]) == 3
    )


def test_rows_come_as_csv_tsv_and_json_lines_with_numbers_for_machines(lab: Shell) -> None:
    logged = lab.run("log", "lab/plants", "--csv").stdout
    assert not logged.startswith("change,")
    made = list(csv.DictReader(io.StringIO(logged)))
    assert [row["message"] for row in made] == ["two", "one"]
    assert made[0]["timestamp"].endswith("Z")
    head, *tab = rows(lab.run("browse", "lab/plants", "data/", "--tsv").stdout)
    assert dict(zip(head, tab[0], strict=True))["size"] == str(
        (lab.here / "plants" / "data" / "growth.csv").stat().st_size
    )
    lines = [json.loads(line) for line in lab.run("browse", "lab/plants", "--nl").stdout.splitlines()]
    assert [line["path"] for line in lines] == ["README.md", "data/"]


def test_values_with_the_marks_of_a_format_stay_in_their_cell(shell: Shell) -> None:
    message = 'a,"b"\tc\nd'
    asked = {"package": "team/data", "message": message, "files": [{"path": "a", "text": "a"}]}
    shell.call("package_create", asked, "--allow-write")
    [row] = csv.DictReader(io.StringIO(shell.run("log", "team/data", "--csv").stdout))
    assert row["message"] == message
    assert len(shell.run("log", "team/data", "--tsv").stdout.splitlines()) == 2
    assert len(shell.run("log", "team/data").stdout.splitlines()) == 1


def test_an_empty_answer_has_a_header_and_no_rows(shell: Shell) -> None:
    shell.registry.mkdir()
    assert shell.run("ls").stdout == ""
    assert shell.run("ls", "--nl").stdout == ""
    assert shell.run("ls", "--csv").stdout.startswith("name,")


def test_warnings_go_to_standard_error_and_quiet_leaves_them_out(shell: Shell) -> None:
    assert (shell.run("ls").stdout, "warning: " in shell.run("ls").stderr) == ("", True)
    assert shell.run("ls", "-q").stderr == ""


def test_json_is_what_an_agent_gets(shell: Shell) -> None:
    shell.make_package("team/data")
    assert json.loads(shell.run("log", "team/data", "--json").stdout) == shell.call(
        "package_log", {"package": "team/data"}
    )
    failed = shell.run("log", "no/such", "--json")
    assert (failed.returncode, json.loads(failed.stdout)["error"]["code"]) == (2, "package_not_found")


def test_a_reader_that_leaves_ends_a_verb_without_a_word(many: Shell) -> None:
    done = in_a_shell(many, f"{COMMAND} browse team/data | head -n 1")
    assert (done.stdout.split("\t")[0], done.stderr) == ("0000.txt", "")


# -- help --


def test_help_groups_the_verbs_and_tells_of_each(shell: Shell) -> None:
    text = shell.run("help").stdout
    for one in VERBS:
        assert f"  {one.name:<14}  {one.meaning}" in text
        own = shell.run("help", one.name).stdout
        assert f"{'examples' if one.more else 'example'}:\n  quilt-mcp {one.example}" in own
        assert all(f"\n  quilt-mcp {example}\n" in own for example in one.more)
        for name, schema in find(one.tool).arguments.items():
            if name not in ("registry", "limit", "cursor") and name not in one.fixed:
                flat = " ".join(own.split())
                assert " ".join(str(schema["description"]).split()).rstrip(".")[:30] in flat, name


def test_an_unknown_command_is_told_which_are_near(shell: Shell) -> None:
    done = shell.run("brwse")
    assert (done.returncode, "did you mean browse?" in done.stderr) == (2, True)
    assert shell.run("help", "nonsense").returncode == 2
