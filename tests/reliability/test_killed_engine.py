"""C6: killed at any storage call, the engine leaves a registry that reads, and the same call run again completes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import registry_checks
from faulty_store import open_faulty
from killed_engine import ACTS, NAME, SOURCES
from registry_checks import log, objects, pointers

from quilt_mcp.domain.address import PackageUri

LEFT_BY: dict[str, dict[str, bytes] | None] = {
    "create": {"README.md": b"read me", "d/one-more": b"first", **{f"d/{k}": v for k, v in SOURCES.items()}},
    "patch": {"renamed": b"2", **{f"new/{key}": content for key, content in SOURCES.items()}},
    "copy_back": {"old/gone": b"1", "old/kept": b"2"},
    "delete_latest": {"old/gone": b"1", "old/kept": b"2"},
    "delete_all": None,
}
"""The package's files after each act."""


def roots(base: Path, act: str) -> list[Path]:
    """The folders in which the act was killed at one of its calls, and the one in which it came to its end."""
    script = Path(__file__).with_name("killed_engine.py")
    done = subprocess.run(
        [sys.executable, script, base, act], capture_output=True, text=True, timeout=110, check=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [status for _, status in lines] == ["0"] + ["killed"] * (len(lines) - 1), done.stderr[-2000:]
    assert len(lines) > 6
    return [base / name for name, _ in lines]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("act", ACTS)
def test_killed_at_any_storage_call_the_registry_reads_and_the_call_run_again_completes(
    act: str, tmp_path: Path
) -> None:
    kept_in_log: set[int] = set()
    for root in roots(tmp_path, act):
        registry = root / "registry"
        registry_checks.check(registry, logged=act != "delete_all")
        assert registry_checks.files(registry, pointers(registry, "a/b-2")["latest"]) == {"f": b"sibling"}
        before = {path.name: path.stat().st_mtime_ns for path in (registry / ".quilt/objects").glob("*/*")}
        if pointers(registry, NAME) or act not in ("delete_all", "delete_latest"):
            anyio.run(_run_again, root, act)
        registry_checks.check(registry)
        after = {path.name: path.stat().st_mtime_ns for path in (registry / ".quilt/objects").glob("*/*")}
        assert before.items() <= after.items(), "an object that was stored is not stored again"
        expected = LEFT_BY[act]
        found = pointers(registry, NAME).get("latest")
        assert (None if found is None else registry_checks.files(registry, found)) == expected
        if act in ("create", "patch"):
            assert log(registry, NAME)[-1] == found
        kept_in_log.add(len(log(registry, NAME)))
        assert len(objects(registry)) == len(set(objects(registry)))
    if act in ("create", "patch", "copy_back"):
        assert len(kept_in_log) == 1, "an act killed and run again is one line of the log"


async def _run_again(root: Path, act: str) -> None:
    ops = open_faulty(root).ops
    if act == "delete_latest" and await _is_done(root):
        return
    if act == "patch":
        found = await ops.browse(PackageUri(ops.default_registry, NAME))
        if found.message == "patched":
            return
    await ACTS[act](ops, root)


async def _is_done(root: Path) -> bool:
    """Whether the killed deletion of latest had already moved latest; run again it would take the one before."""
    return pointers(root / "registry", NAME)["latest"] == (root / "first").read_text()
