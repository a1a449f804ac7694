"""The contracts of .importlinter hold, and they are able to fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--no-cache", "--config", str(ROOT / ".importlinter")]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_run_downward_only() -> None:
    result = lint(ROOT / "src")
    assert result.returncode == 0, result.stdout


def test_an_upward_import_is_reported(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "quilt_mcp", tmp_path / "quilt_mcp")
    (tmp_path / "quilt_mcp" / "domain" / "climbs.py").write_text("from quilt_mcp.storage import store\n")
    result = lint(tmp_path)
    assert result.returncode != 0
    assert "quilt_mcp.domain.climbs -> quilt_mcp.storage" in result.stdout
