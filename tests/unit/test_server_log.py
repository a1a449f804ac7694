"""Lines of the log: no secrets, nothing that acts on a terminal, and an end to what repeats."""

from __future__ import annotations

import logging

import pytest

from quilt_mcp.server.watching.log import SAME_LINES, LogHandler, safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer eyJh.b-c_d", "Authorization: Bearer ***"),
        ("https://b/k?X-Amz-Signature=abc&x=1", "https://b/k?X-Amz-Signature=***&x=1"),
        (
            "?X-Amz-Security-Token=a%2Fb&X-Amz-Credential=AK/1",
            "?X-Amz-Security-Token=***&X-Amz-Credential=***",
        ),
        ("https://me:word@host/p and s3://b/k:v@1", "https://me:***@host/p and s3://b/k:v@1"),
        ("the key canary-secret is here", "the key *** is here"),
        ("\x1b[2J\u202eabc\tx\ny", "\\u001b[2J\\u202eabc\tx\ny"),
        ("a bearer of news", "a bearer of news"),
    ],
)
def test_secrets_and_control_characters_are_struck_out(text: str, shown: str) -> None:
    assert safe(text, {"AWS_SECRET_ACCESS_KEY": "canary-secret", "QUILT_API_KEY": "s"}) == shown


def test_a_line_feed_from_data_makes_no_line_and_a_traceback_keeps_its_own() -> None:
    try:
        raise ValueError("two\nlines \x1b[31m")
    except ValueError as error:
        raised = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "name %s", ("x\nERROR forged",), raised)
    lines = LogHandler().format(record).splitlines()
    assert lines[0] == "ERROR a: name x\\nERROR forged"
    assert lines[1].startswith("Traceback")
    assert "\x1b" not in "".join(lines)


def test_case_X10_what_repeats_without_end_is_counted() -> None:
    handler = LogHandler()

    def record(level: int, line: int) -> logging.LogRecord:
        return logging.LogRecord("a", level, __file__, line, "again %d", (1,), None)

    let_through = [one for _ in range(1_000) if (one := handler.filter(record(logging.ERROR, 1)))]
    assert len(let_through) == SAME_LINES
    assert handler.filter(record(logging.ERROR, 2))
    assert all(handler.filter(record(logging.DEBUG, 3)) for _ in range(100))
