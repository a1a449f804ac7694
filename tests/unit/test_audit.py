"""The audit: a line of JSON for each call, whatever its target is, and nobody waits for its reader."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.server.watching import audit as audit_module
from quilt_mcp.server.watching import lines as lines_module
from quilt_mcp.server.watching.audit import REFUSALS, REFUSALS_SECONDS, Audit, audit_to


class Kept:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 0.0
        self.audit = Audit(self.lines.append, clock=lambda: self.now)

    def told(self) -> list[dict[str, object]]:
        self.audit.close()
        return [json.loads(line) for line in self.lines]


@given(
    st.one_of(
        st.text(max_size=80),
        st.sampled_from(
            ['Bearer aaaaaaaa"x', 'X-Amz-Signature=abc"', "a\nb", 'cookie: "session=abcdef"', "\ud800"]
        ),
    )
)
def test_every_line_is_json_whatever_is_named(target: str) -> None:
    kept = Kept()
    with kept.audit.of(target, "object_read", target) as noted:
        noted.size = 3
    [line] = kept.told()
    assert line["tool"] == "object_read" and line["outcome"] == "done"
    assert "\n" not in kept.lines[0]


def test_a_token_in_a_target_is_struck_out() -> None:
    kept = Kept()
    for target in ("qk_0123456789abcdef", "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6IjEifQ.c2lnbmF0dXJl"):
        with kept.audit.of("ada", "object_read", target):
            pass
    assert [line["target"] for line in kept.told()] == ["***", "***"]


def test_refusals_are_noted_so_many_of_a_kind_and_the_rest_are_told_by_number() -> None:
    kept = Kept()
    for _ in range(500):
        kept.audit.refused(401, "10.0.0.1")
    kept.audit.refused(429, "10.0.0.2", "ada")
    kept.now += REFUSALS_SECONDS + 1
    kept.audit.tidy()
    lines = kept.told()
    assert sum(line.get("code") == 401 and "more" not in line for line in lines) == REFUSALS
    assert [line["principal"] for line in lines if line.get("code") == 429] == ["ada"]
    assert [line["more"] for line in lines if "more" in line] == [500 - REFUSALS]


def test_a_reader_that_does_not_read_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST", 10)
    monkeypatch.setattr(audit_module, "_CLOSING_SECONDS", 0.1)
    reads = threading.Event()
    lines: list[str] = []

    def write(line: str) -> None:
        reads.wait(20)
        lines.append(line)

    audit = Audit(write)
    for number in range(200):
        with audit.of("ada", "status", str(number)):
            pass
    audit.close()
    assert lines == []
    reads.set()
    for _ in range(200):
        if len(lines) >= 11:
            break
        time.sleep(0.02)
    with audit.of("ada", "status", "after"):
        pass
    for _ in range(200):
        if any("lost" in line for line in lines):
            break
        time.sleep(0.02)
    assert any("lost" in json.loads(line) for line in lines)


def test_a_file_is_its_owners_alone_also_after_it_was_moved_away(tmp_path: Path) -> None:
    place = tmp_path / "audit.log"
    old = os.umask(0)
    try:
        audit = audit_to(str(place))
        for name in ("first", "second"):
            with audit.of("ada", "status", name):
                pass
            for _ in range(200):
                if place.exists() and name in place.read_text():
                    break
                time.sleep(0.02)
            assert name in place.read_text()
            assert place.stat().st_mode & 0o777 == 0o600
            place.rename(tmp_path / f"{name}.log")
        audit.close()
    finally:
        os.umask(old)
