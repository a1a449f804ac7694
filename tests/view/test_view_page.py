"""``quilt-mcp view``: who may ask it, what it serves and what it never does, and how it ends."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from viewing import HEADERS, PACKAGE, Lab, Viewed, send

from quilt_mcp.view.page import page, policy

FOREIGN = "evil.example"


def test_the_page_is_for_everybody_and_what_it_shows_for_who_has_the_address(lab: Lab) -> None:
    with lab.view("--no-open", PACKAGE) as viewed:
        shown = send("GET", viewed.page)
        assert (shown.status_code, shown.text) == (200, page())
        assert shown.headers["content-security-policy"] == policy()
        assert "frame-ancestors 'none'" in policy() and "connect-src 'self'" in policy()
        names = ("content-type", "x-content-type-options", "referrer-policy", "cache-control")
        told = ["text/html; charset=utf-8", "nosniff", "no-referrer", "no-store"]
        assert [shown.headers[name] for name in names] == told
        assert "access-control-allow-origin" not in shown.headers
        assert send("POST", viewed.page).status_code == 405
        assert send("GET", f"{viewed.page}/").status_code == 404

        asked = viewed.ask("package_browse", package=viewed.fragment["address"])
        assert asked.status_code == 200 and "reads.csv" in asked.text
        for wrong in ("", "Bearer x", f"Bearer {viewed.fragment['token']}x"):
            refused = viewed.ask("package_browse", {"Authorization": wrong}, package=PACKAGE)
            assert refused.status_code == 401 and "reads.csv" not in refused.text


def test_only_its_own_names_and_pages_are_answered_whatever_a_server_is_set_to(lab: Lab) -> None:
    """A page of another site that has a name point here (DNS rebinding) is told nothing, with the token either."""
    settings = {
        "QUILT_MCP_ALLOWED_HOSTS": FOREIGN,
        "QUILT_MCP_ALLOWED_ORIGINS": f"https://{FOREIGN}",
        "QUILT_MCP_PUBLIC_URL": f"https://{FOREIGN}",
        "QUILT_MCP_HTTP_TOKEN": "the-token-of-the-server",
        "QUILT_MCP_HOST": "0.0.0.0",
        "QUILT_MCP_PORT": "1",
    }
    with lab.view("--no-open", **settings) as viewed:
        assert (
            viewed.fragment["token"] != settings["QUILT_MCP_HTTP_TOKEN"]
            and len(viewed.fragment["token"]) > 30
        )
        own = viewed.page.removesuffix("/view")
        local = own.replace("127.0.0.1", "localhost").removeprefix("http://")
        assert (
            send("GET", viewed.page, headers={"Host": local, "Origin": f"http://{local}"}).status_code == 200
        )
        assert viewed.ask("status", {"Origin": own}).status_code == 200
        for path in ("/view", "/mcp"):
            headers = HEADERS | viewed.bearer
            for host in (FOREIGN, f"{FOREIGN}:{own.rpartition(':')[2]}"):
                assert send("GET", f"{own}{path}", headers=headers | {"Host": host}).status_code == 421
            for origin in (f"https://{FOREIGN}", f"http://{FOREIGN}", "null"):
                refused = send("OPTIONS", f"{own}{path}", headers=headers | {"Origin": origin})
                assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
        assert viewed.ask("status", {"Authorization": "Bearer the-token-of-the-server"}).status_code == 401


def test_it_never_writes_whatever_is_switched_on(lab: Lab) -> None:
    with lab.view("--no-open", "-w", before=("--allow-write",), QUILT_ALLOW_WRITE="1") as viewed:
        arguments = {"package": "lab/never", "files": [{"path": "a.txt", "text": "a"}]}
        refused = viewed.ask("package_create", **arguments).text
        assert "read_only" in refused
        assert '"writable":true' not in viewed.ask("status").text.replace(" ", "")
        listing = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'
        listed = send("POST", viewed.endpoint, content=listing, headers=HEADERS | viewed.bearer).text
        assert "package_browse" in listed and "package_create" not in listed and "upload" not in listed
    assert "lab/never" not in lab.run("ls").stdout


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ((), {}),
        ((f"{PACKAGE}/a+b & c#d.csv",), {"address": f"{PACKAGE}/a+b & c#d.csv"}),
        (("reads.csv",), {"address": "file://{here}/reads.csv"}),
        (("S3://bucket/key",), {"address": "s3://bucket/key"}),
        ((f"{PACKAGE}@1f2e3d4c5b", PACKAGE), {"before": f"{PACKAGE}@1f2e3d4c5b", "after": PACKAGE}),
    ],
)
@pytest.mark.sampled(2)
def test_the_address_is_behind_the_number_sign(
    lab: Lab, typed: tuple[str, ...], told: dict[str, str]
) -> None:
    """Which no server and no referrer is told. Percent-encoded, so that nothing in a name ends it."""
    with lab.view("--no-open", *typed) as viewed:
        found = viewed.fragment
        assert viewed.page.endswith("/view") and "?" not in viewed.page
        assert found.pop("token")
        assert found == {name: one.format(here=lab.here) for name, one in told.items()}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("plates",), "invalid_name"),
        (("",), "invalid_name"),
        (("../reads.csv",), "invalid_uri"),
        (("ftp://x/y",), "invalid_uri"),
        ((f"{PACKAGE}@1f2e3d4c5b", "s3://bucket/key"), "invalid_uri"),
        (("@1f2e3d4c5b", "1f2e3d4c5c"), "invalid_argument"),
        ((PACKAGE, "--port", "65536"), "65535"),
    ],
)
@pytest.mark.sampled(3)
def test_an_address_that_cannot_be_one_is_told_before_anything_is_served(
    lab: Lab, typed: tuple[str, ...], said: str
) -> None:
    done = lab.run("view", "--no-open", *typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and "packages_list" not in done.stderr


def opened(tmp_path: Path) -> dict[str, str]:
    """A browser that notes what it is to open."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o700)
    return {"BROWSER": f"{browser} %s"}


def until_there(path: Path) -> str:
    for _ in range(600):
        if path.exists() and (text := path.read_text()):
            return text.strip()
        time.sleep(0.05)
    raise AssertionError(f"{path} is not there")


def end(viewed: Viewed) -> str:
    viewed.process.send_signal(signal.SIGINT)
    _, said = viewed.process.communicate(timeout=30)
    return said


def test_the_browser_is_opened_there_and_ctrl_c_ends_it(lab: Lab, tmp_path: Path) -> None:
    with lab.view(PACKAGE, **opened(tmp_path)) as viewed:
        assert until_there(tmp_path / "opened") == viewed.address
        assert send("GET", viewed.page).status_code == 200
        said = end(viewed)
        assert viewed.process.returncode == 0
        assert "Ctrl-C ends it" in said and "Traceback" not in said
        assert viewed.fragment["token"] not in said
    (tmp_path / "opened").unlink()
    with lab.view("--no-open", **opened(tmp_path)) as viewed:
        viewed.ask("status")
        assert "Ctrl-C" in end(viewed)
    assert not (tmp_path / "opened").exists()


def test_where_no_browser_can_be_started_it_says_so_and_serves(lab: Lab) -> None:
    with lab.view(BROWSER="/bin/false %s") as viewed:
        assert send("GET", viewed.page).status_code == 200
        assert "open the address in one" in end(viewed)
