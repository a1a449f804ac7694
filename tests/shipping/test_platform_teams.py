"""docs/platform-teams.md says what is so: settings, limits, what is logged, what shows it, what its proxy passes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from quilt_mcp.config import Settings
from quilt_mcp.lockdown.lock import MEMORY
from quilt_mcp.option import OPTIONS
from quilt_mcp.preview.child import SECONDS
from quilt_mcp.server.http.connections import REQUEST_SECONDS
from quilt_mcp.server.users.known_users import KNOWN_SECONDS
from quilt_mcp.server.watching.audit import REFUSALS, REFUSALS_SECONDS, Audit
from quilt_mcp.storage.limits import CHILDREN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "platform-teams.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Of the table below it."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_setting_that_is_named_is_one() -> None:
    known = {option.variable for option in OPTIONS}
    named = set(re.findall(r"QUILT_[A-Z0-9_]+", PAGE))
    assert len(named) > 12 and named - known == set()


def test_each_limit_is_the_one_that_holds() -> None:
    fields = {option.variable: option.name for option in OPTIONS}
    told = {row[2].strip("`"): int(row[1]) for row in rows("Limits")}
    for variable, number in told.items():
        if variable:
            assert getattr(Settings(), fields[variable]) == number, variable
    [believed] = [int(row[1]) for row in rows("Limits") if "revoked" in row[0]]
    assert believed == KNOWN_SECONDS


def test_a_container_has_room_for_all_looks_into_files_at_once() -> None:
    assert f"may take {MEMORY >> 30} GiB and {SECONDS:.0f} seconds" in PAGE.replace("\n", " ")
    deployed = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    [container] = deployed["spec"]["template"]["spec"]["containers"]
    composed = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["quilt-mcp"]
    for limit in (container["resources"]["limits"]["memory"], composed["mem_limit"]):
        assert int(limit.rstrip("Gig")) << 30 > CHILDREN * MEMORY + (1 << 30)


def test_each_field_that_is_noted_is_told() -> None:
    lines: list[str] = []
    clock = iter(range(0, 10_000, 20))
    audit = Audit(lines.append, clock=lambda: next(clock))
    with audit.of("ada", "package_browse", "lab/reads") as noted:
        noted.code, noted.size = "package_not_found", 10
    for _ in range(2):
        audit.refused(401, "10.1.2.3")
    audit.close()
    told = {name for row in rows("What is logged") for name in re.findall(r"`(\w+)`", row[0])}
    assert {name for line in lines for name in json.loads(line)} | {"more", "lost"} == told
    assert f"beyond {REFUSALS} in ten seconds" in PAGE and REFUSALS_SECONDS == 10


def test_what_is_said_to_show_something_is_there() -> None:
    named = set(re.findall(r"`((?:tests|deploy|docs)/[\w./-]+)`", PAGE))
    assert len(named) > 12
    assert [one for one in sorted(named) if not (ROOT / one).exists()] == []


def test_the_proxy_waits_as_long_as_a_call_and_passes_as_much_as_a_request() -> None:
    [block] = re.findall(r"```text\n(server \{.*?)```", PAGE, re.S)
    said = dict(re.findall(r"^\s*([\w_]+(?: [A-Z]\S+)?)\s+(\S+);$", block, re.M))
    assert int(said["proxy_read_timeout"].removesuffix("s")) > Settings().call_seconds
    assert int(said["client_max_body_size"].removesuffix("m")) << 20 == Settings().max_body_bytes
    assert (said["proxy_buffering"], said["proxy_set_header Host"]) == ("off", "$host")
    assert REQUEST_SECONDS < 60, "a connection that nginx keeps is asked on before it ends"
