"""No argument of a tool is repeated in a header."""

from __future__ import annotations

import json

from quilt_mcp.tools import TOOLS


def test_no_tool_declares_a_header_so_that_the_sdk_need_not_look_for_one() -> None:
    assert not [one.name for one in TOOLS if "x-mcp-header" in json.dumps(one.input_schema())]
