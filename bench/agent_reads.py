"""Bytes that a model reads: of the listing, and of the results of a fixed walk over a registry of three packages.

Of a result the larger copy counts, its text or its structured content, as hosts show one of them. ``--as-before`` keeps the
figures as what later runs are compared with.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import RESULTS, report
from peer import OURS, Peer

LIMITS = {
    "root of 20 files with README": 3_000,
    "browse 50 files": 4_000,
    "create 1,000 files": 1_500,
}
NAME = "agent_reads"


def compact(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def read(result: dict[str, Any]) -> int:
    texts = sum(len(block["text"].encode()) for block in result["content"] if block["type"] == "text")
    return max(texts, compact(result.get("structuredContent", {})))


def listed(*arguments: str) -> dict[str, int]:
    """Of ``tools/list``: what a model reads, and what the wire carries."""
    with Peer(OURS, arguments=arguments) as peer:
        peer.initialize()
        tools = peer.request("tools/list")["tools"]
    shown = [{part: tool[part] for part in ("name", "description", "inputSchema")} for tool in tools]
    return {"model": compact(shown), "wire": compact(tools)}


def write(folder: Path, count: int) -> None:
    for number in range(count):
        file = folder / f"plate_{number // 25:02}" / f"well_{number:04}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"time,value\n0,{number}\n")


def walk(home: Path) -> dict[str, int]:
    """Sixteen calls of one conversation. Each answers without an error, and has what was asked of it."""
    registry = home / "registry"
    for name, count in (("small", 19), ("fifty", 50), ("thousand", 1_000)):
        write(home / name, count)
    (home / "small" / "README.md").write_text(
        "# Growth\n\n" + "Seedlings under four lights, fifteen days. " * 8
    )
    read_bytes: dict[str, int] = {}
    with Peer(OURS, arguments=("--allow-write", "--root", str(home)), registry=registry) as peer:
        peer.initialize()

        def call(step: str, tool: str, **arguments: Any) -> dict[str, Any]:
            result = peer.call(tool, arguments)
            if result.get("isError"):
                raise RuntimeError(f"{step}: {result['content'][0]['text']}")
            if step:
                read_bytes[step] = read(result)
            return result["structuredContent"]["data"]

        def create(step: str, name: str, count: int, **more: Any) -> dict[str, Any]:
            facts = {"instrument": "confocal", "year": 2026}
            source = [{"from": f"{home / name}/"}]
            made = call(step, "package_create", package=f"lab/{name}", sources=source, metadata=facts, **more)
            assert made["added"] == count, made
            return made

        call("status", "status")
        create("", "small", 20, message="Seedlings")
        create("plan 50 files", "fifty", 50, dry_run=True)
        create("create 50 files", "fifty", 50)
        create("create 1,000 files", "thousand", 1_000)
        first = call("", "package_browse", package="lab/small")["top_hash"]
        (home / "small" / "plate_00" / "well_0001.csv").write_text("time,value\n0,1\n1,2\n")
        patch = {"add": [{"from": f"{home / 'small'}/"}], "metadata": {"year": 2027}, "message": "Second day"}
        call("patch", "package_patch", package="lab/small", **patch)
        call("packages", "packages_list")
        call("root of 20 files with README", "package_browse", package="lab/small")
        found = call("browse 50 files", "package_browse", package="lab/fifty", recursive=True, limit=50)
        assert len(found["entries"]) == 50
        found = call(
            "browse 1,000 files", "package_browse", package="lab/thousand", recursive=True, limit=1000
        )
        read_bytes["files in a page of 1,000"] = len(found["entries"])
        call("log", "package_log", package="lab/small")
        call("diff", "package_diff", before=f"lab/small@{first}", after="lab/small")
        uri = f"quilt+{registry.as_uri()}#package=lab/small&path="
        call("read README", "object_read", uri=f"{uri}README.md")
        call("info of a table", "object_read", uri=f"{uri}plate_00/well_0001.csv", mode="info")
        call("objects", "object_list", location=f"{home}/fifty/plate_00/")
        call("verify", "package_verify", package="lab/small")
    return read_bytes


def main(*options: str) -> None:
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        calls = walk(Path(folder))
    listing = {"read only": listed(), "with writes": listed("--allow-write")}
    pages = calls.pop("files in a page of 1,000")
    now = {
        "listing": listing,
        "calls": calls,
        "all calls": sum(calls.values()),
        "files in a page of 1,000": pages,
    }
    kept = RESULTS / f"{NAME}.json"
    before = now if "--as-before" in options else json.loads(kept.read_text())["figures"]["before"]
    report(NAME, {"limits": LIMITS, "now": now, "before": before})


if __name__ == "__main__":
    main(*sys.argv[1:])
