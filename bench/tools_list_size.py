"""The size of ``tools/list`` as compact JSON: what every agent pays before its first word."""

from __future__ import annotations

import json

from harness import report
from peer import OURS, Peer


def size(*arguments: str) -> tuple[int, int, dict[str, int]]:
    """Bytes of the whole result, number of tools, bytes of each tool."""
    with Peer(OURS, arguments=arguments) as peer:
        peer.initialize()
        result = peer.request("tools/list")
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    each = {tool["name"]: len(json.dumps(tool, **compact).encode()) for tool in result["tools"]}
    return len(json.dumps(result, **compact).encode()), len(each), each


def main() -> None:
    read_bytes, read_tools, read_each = size()
    write_bytes, write_tools, write_each = size("--allow-write")
    report(
        "tools_list_size",
        {
            "read_only_bytes": read_bytes,
            "read_only_limit": 11_000,
            "read_only_tools": read_tools,
            "with_writes_bytes": write_bytes,
            "with_writes_limit": 20_000,
            "with_writes_tools": write_tools,
            "each": dict(sorted((read_each | write_each).items(), key=lambda row: -row[1])),
        },
    )


if __name__ == "__main__":
    main()
