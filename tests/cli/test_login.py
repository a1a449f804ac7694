"""``quilt-mcp login`` and ``logout``, on the stack of the tests; the real quilt3 judges what they leave."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from person import Person
from shell import COMMAND

from parts.s3_access import S3Access
from parts.stack import Fault, Stack, quilt_stack
from parts.stack.faults import no_credentials

OTHER = "https://registry.elsewhere.example"
ENTRY = {"refresh_token": "theirs-refresh", "access_token": "theirs-access", "expires_at": 4e9}


def test_after_it_the_real_quilt3_pushes_and_our_tools_read_with_the_same_session(
    person: Person, stack: Stack, moto: S3Access
) -> None:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    code = stack.code("ada")
    done = person.type("login", stack.url, code=code + "\n")
    assert done.stdout == f"Signed in to {stack.url} as ada (ada@example.com), role writer.\n"
    assert done.stderr == "", "it is used at once, and there is nothing to note"
    push = """
import pathlib
pathlib.Path("cells.txt").write_text("cells")
result = [quilt3.logged_in(), quilt3.Package().set("cells.txt", "cells.txt").push(
    "lab/cells", registry=arguments["registry"], message="first", force=True).top_hash]
"""
    where, top_hash = person.quilt3.run(push, registry=f"s3://{bucket}")
    assert where == stack.url
    assert len(stack.requests("/api/auth/get_credentials")) == 1, "quilt3 uses the keys that login saved"
    assert {one["user"] for one in stack.s3_requests()} == {"ada"}
    status = person.status()
    assert (status["data"]["backend"], status["data"]["role"]) == ("quilt3", "writer")
    browsed = json.loads(
        person.type(
            "call", "package_browse", "--arg", f"package=quilt+s3://{bucket}#package=lab/cells"
        ).stdout
    )
    assert browsed["data"]["top_hash"] == top_hash
    shown = done.stdout + done.stderr
    assert code not in shown and person.file("auth.json")[stack.registry_url]["access_token"] not in shown


def test_its_files_are_quilt3s_own_word_for_word(person: Person, stack: Stack) -> None:
    """All but the tokens and keys; and nobody else may read them."""
    person.login(stack)
    ours = (person.file("auth.json"), person.file("credentials.json"), person.config())
    assert all(
        (person.folder / name).stat().st_mode & 0o777 == 0o600 for name in ("auth.json", "credentials.json")
    )
    (person.folder / "config.yml").unlink()
    person.quilt3.run(
        "quilt3.config(arguments['url']); quilt3.session.login_with_token(arguments['code'])",
        url=stack.url,
        code=stack.code("ada"),
    )
    theirs = (person.file("auth.json"), person.file("credentials.json"), person.config())
    assert list(ours[0]) == list(theirs[0]) == [stack.registry_url]
    assert ours[0][stack.registry_url].keys() == theirs[0][stack.registry_url].keys()
    assert ours[1].keys() == theirs[1].keys()
    assert ours[2] == {name: theirs[2][name] for name in ours[2]} and len(ours[2]) == 5


def test_other_stacks_sessions_and_a_persons_own_settings_stay(person: Person, stack: Stack) -> None:
    person.folder.mkdir(parents=True)
    (person.folder / "auth.json").write_text(json.dumps({OTHER: ENTRY, stack.registry_url + "/": ENTRY}))
    own = {"telemetry_disabled": True, "default_install_location": "/data", "x": [1]}
    old = {
        "registryUrl": OTHER,
        "navigator_url": "https://elsewhere.example",
        "default_remote_registry": "s3://theirs",
    }
    (person.folder / "config.yml").write_text(yaml.safe_dump(own | old))
    said = person.login(stack)
    auth, config = person.file("auth.json"), person.config()
    assert set(auth) == {OTHER, stack.registry_url} and auth[OTHER] == ENTRY
    assert {name: config[name] for name in own} == own
    assert config["navigator_url"] == stack.url and "default_remote_registry" not in config
    (backup,) = person.folder.glob("config.yml.backup.*")
    assert str(backup) in said and yaml.safe_load(backup.read_text()) == own | old
    assert person.quilt3_is_at() == stack.url
    person.login(stack)
    assert len(list(person.folder.glob("*.backup.*"))) == 1, "the same stack again changes no configuration"


def test_of_two_stacks_each_has_its_session_and_logout_ends_one(
    person: Person, stack: Stack, moto: S3Access
) -> None:
    """The second names its registry by a relative address, which quilt3 itself cannot read."""
    with quilt_stack(moto, relative=True) as second:
        second.add_user("bob")
        person.login(stack)
        assert "as bob" in person.login(second, "bob")
        assert person.quilt3_is_at() == second.url
        assert set(person.file("auth.json")) == {stack.registry_url, f"{second.url}/__reg"}
        assert person.status()["data"]["principal"].endswith(second.url.removeprefix("http://"))
        done = person.type("logout")
        assert done.returncode == 0 and done.stdout.endswith(f"of {second.url}.\n") and done.stderr == ""
        assert set(person.file("auth.json")) == {stack.registry_url}
        assert person.quilt3_is_at() is None
        # The first is no longer configured, so its catalog is asked for its registry.
        assert person.type("logout", stack.url).stdout.startswith("Signed out")
        assert person.file("auth.json") == {}


def test_logout_revokes_the_token_and_quilt3_agrees_that_nobody_is_signed_in(
    person: Person, stack: Stack
) -> None:
    person.login(stack)
    token = person.file("auth.json")[stack.registry_url]["access_token"]
    me = "query { me { name } }"
    assert stack.ask(me, token)["data"]["me"]["name"] == "ada"
    done = person.type("logout")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Token invalid" in str(stack.ask(me, token))
    assert person.file("auth.json") == {} == person.file("credentials.json")
    assert person.quilt3_is_at() is None
    assert person.status()["data"]["backend"] != "quilt3"
    again = person.type("logout")
    assert (again.returncode, again.stdout) == (0, f"Nobody is signed in to {stack.url}.\n")


def test_a_stack_that_cannot_be_told_keeps_nobody_from_signing_out(person: Person, stack: Stack) -> None:
    person.login(stack)
    stack.fault(Fault("/api/logout", status=503))
    done = person.type("logout")
    assert done.returncode == 0 and "status 503" in done.stderr and "good until" in done.stderr
    person.folder.joinpath("config.yml").write_text(
        "registryUrl: http://127.0.0.1:9\nnavigator_url: http://127.0.0.1:9\n"
    )
    (person.folder / "auth.json").write_text(json.dumps({"http://127.0.0.1:9": ENTRY}))
    done = person.type("logout")
    assert done.returncode == 0 and "cannot be reached" in done.stderr
    (person.folder / "auth.json").write_text(json.dumps({"http://no-secrets.example": ENTRY, OTHER: 7}))
    done = person.type("logout", "http://no-secrets.example")
    assert done.returncode == 0 and "https only" in done.stderr
    assert person.type("logout", OTHER).returncode == 0, "an entry that is no session"
    assert person.file("auth.json") == {}


def test_the_catalog_may_be_a_flag_a_variable_or_a_word(person: Person, stack: Stack) -> None:
    for words, variables in (
        (("--catalog", stack.url, "login"), {}),
        (("login",), {"QUILT_CATALOG_URL": stack.url + "/"}),
        (
            ("--catalog", "http://127.0.0.1:9", "login", stack.url),
            {"QUILT_CATALOG_URL": "http://127.0.0.1:9"},
        ),
    ):
        assert person.type(*words, code=stack.code("ada"), **variables).returncode == 0, words
        assert person.type("logout", f"{stack.url}/").stdout.startswith("Signed out")
    status, said = person.refused("login", stack.url.removeprefix("http://"), code="x")
    assert status == 5 and "cannot be reached" in said, "https is what is meant"


def test_a_wrong_or_used_code_is_refused_and_leaves_things_as_they_were(person: Person, stack: Stack) -> None:
    person.login(stack)
    before = {path.name: path.read_bytes() for path in person.folder.iterdir()}
    code = stack.code("ada")
    assert person.type("login", code=code).returncode == 0, "without a catalog: the configured one"
    now = {path.name: path.read_bytes() for path in person.folder.iterdir()}
    assert now["auth.json"] != before["auth.json"]
    for wrong in (code, "nonsense"):
        status, said = person.refused("login", code=wrong)
        assert status == 3 and "does not take this code" in said and f"{stack.registry_url}/login" in said
        assert wrong not in said
    assert {path.name: path.read_bytes() for path in person.folder.iterdir()} == now


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("given", "said"), [
    ("", "gives no code"),
    ("\n\n", "gives no code"),
    ("two words", "is no code"),
    ("caf\u00e9", "is no code"),
    ("x" * 20_000, "is no code"),
    ("qk_0123456789abcdef", "QUILT_API_KEY_FILE"),
])  # fmt: skip
def test_what_is_no_code_is_never_sent(person: Person, stack: Stack, given: str, said: str) -> None:
    stack.forget()
    status, told = person.refused("login", stack.url, code=given)
    assert status == 2 and said in told
    assert not given.strip() or given not in told
    assert not stack.requests("/api/token")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("catalog", "status", "said"), [
    ("http://127.0.0.1:9", 5, "cannot be reached"),
    ("http://catalog.example", 2, "https only"),
    ("https://", 2, "is not a URL"),
    ("https://x.example/?a=1", 2, "more than a host and a path"),
    ("", 2, "No catalog is named"),
])  # fmt: skip
def test_a_catalog_that_cannot_be_asked_is_told(person: Person, catalog: str, status: int, said: str) -> None:
    code, told = person.refused("login", *([catalog] if catalog else []), code="code")
    assert code == status and said in told
    assert not (person.folder / "auth.json").exists()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("fault", "status"), [
    (Fault("/config.json", body="<html>hello</html>", status=200), 4),
    (Fault("/config.json", body="{}", status=200), 4),
    (Fault("/config.json", body="", status=404), 4),
    (Fault("/config.json", body="", status=502), 5),
    (Fault("/api/token", status=502, body="<html>"), 5),
    (Fault("/api/token", status=200, body="{}"), 5),
])  # fmt: skip
def test_what_is_no_stack_is_told_from_one_that_is_down(
    person: Person, stack: Stack, fault: Fault, status: int
) -> None:
    stack.fault(fault)
    assert person.refused("login", stack.url, code=stack.code("ada"))[0] == status
    assert not (person.folder / "auth.json").exists()


def test_a_folder_that_takes_no_file_is_found_before_the_code_is_spent(person: Person, stack: Stack) -> None:
    in_the_way = person.shell.home / "file"
    in_the_way.write_text("")
    code = stack.code("ada")
    for given in ("", code):  # and before one is asked for
        status, said = person.refused("login", stack.url, code=given, XDG_DATA_HOME=str(in_the_way))
        assert status == 4 and "cannot be written" in said and "chmod" in said
    assert person.type("login", stack.url, code=code).returncode == 0
    (person.folder / ".quilt-mcp.lock").unlink()
    (person.folder / ".quilt-mcp.lock").mkdir()
    status, said = person.refused("logout")
    assert status == 4 and "cannot be written" in said and "chmod" in said
    assert person.quilt3_is_at() == stack.url


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["config.yml", "auth.json", "credentials.json"])
def test_files_that_quilt3_cannot_read_are_mended_by_it(person: Person, stack: Stack, name: str) -> None:
    person.folder.mkdir(parents=True)
    (person.folder / name).write_text("{[")
    person.login(stack)
    assert person.quilt3_is_at() == stack.url
    backups = [path.read_text() for path in person.folder.glob(f"{name}.backup.*")]
    assert backups == ([] if name == "credentials.json" else ["{["])


def test_without_aws_keys_nobody_elses_are_left_and_it_is_told(person: Person, stack: Stack) -> None:
    person.login(stack)
    stack.add_user("bob")
    stack.fault(no_credentials(), Fault("/graphql", status=503))
    said = person.login(stack, "bob")
    assert f"Signed in to {stack.url}.\n" in said, "who it is could not be asked"
    assert "no_keys" in said and "stack_not_asked" in said
    assert person.file("credentials.json") == {}


def test_a_token_that_stands_before_the_session_is_told(person: Person, stack: Stack) -> None:
    given = {"QUILT_API_KEY": stack.api_key("ada"), "QUILT_CATALOG_URL": stack.url}
    done = person.type("login", code=stack.code("ada"), **given)
    assert done.returncode == 0 and "calls go by platform, not by this session" in done.stderr
    done = person.type("login", stack.url, code=stack.code("ada"), QUILT_JWT_TOKEN="x", QUILT_CATALOG_URL="y")
    assert done.returncode == 0 and "not used yet" in done.stderr


def typed_on_a_terminal(person: Person, catalog: str, text: bytes, **variables: str) -> tuple[int, str]:
    """The text is typed when it is asked for. The exit code and what was seen."""
    ours, theirs = pty.openpty()
    environment = person.shell.environment | person.variables | {"TERM": "dumb"} | variables
    process = subprocess.Popen(
        [COMMAND, "login", catalog], env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )  # fmt: skip
    os.close(theirs)
    seen, ends = b"", time.monotonic() + 60
    while time.monotonic() < ends and select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        had_asked = b"Paste the code" in seen
        seen += part
        if b"Paste the code" in seen and not had_asked:
            os.write(ours, text)
    os.close(ours)
    return process.wait(30), seen.decode()


def test_on_a_terminal_the_page_opens_without_a_shell_and_the_code_is_not_echoed(
    person: Person, stack: Stack, tmp_path: Path
) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(opened)!r}, 'w').write(repr(sys.argv[1:]))\n"
    )
    browser.chmod(0o755)
    code = stack.code("ada")
    status, seen = typed_on_a_terminal(person, stack.url, f"{code}\n".encode(), BROWSER=f"{browser} %s")
    assert status == 0 and "as ada" in seen
    assert code not in seen and code[:20] not in seen
    assert opened.read_text() == repr([f"{stack.registry_url}/login"])
    assert person.quilt3_is_at() == stack.url


@pytest.mark.sampled(2)
@pytest.mark.parametrize("browser", ["/lynx %s", "/missing %s", None])
def test_without_a_browser_of_its_own_window_the_address_is_shown(
    person: Person, stack: Stack, tmp_path: Path, browser: str | None
) -> None:
    """One that draws in the terminal would take it. None: this machine has no browser."""
    (tmp_path / "lynx").write_text("#!/bin/sh\necho TAKEN\n")
    (tmp_path / "lynx").chmod(0o755)
    chosen = {"BROWSER": f"{tmp_path}{browser}"} if browser else {"PATH": str(tmp_path / "empty")}
    status, seen = typed_on_a_terminal(person, stack.url, b"\x04", **chosen)
    assert f"Open {stack.registry_url}/login" in seen and "TAKEN" not in seen
    assert status == 2 and "is no code" in seen
