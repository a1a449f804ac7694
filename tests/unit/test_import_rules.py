"""The contracts of .importlinter are able to fail. That they hold is said by ``make imports``."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).parent / "lint-imports"

BROKEN_BY = {
    "layers": ("domain/climbs.py", "import quilt_mcp.storage.store"),
    "tools-know-ops": ("tools/knows.py", "import quilt_mcp.backends.direct"),
    "child-by-itself": ("preview/decode/tells.py", "import quilt_mcp.errors"),
    "sql-child-by-itself": ("sql/inside/tells.py", "import quilt_mcp.errors"),
    "rooms-of-sql": ("sql/spelling.py", "import quilt_mcp.sql.gate"),
    "rooms-of-publishing": ("publishing/state.py", "import quilt_mcp.publishing.publisher"),
    "rooms-of-preview": ("preview/kinds.py", "import quilt_mcp.preview.looks"),
    "engine-without-framework": ("registry/layout.py", "import rich"),
    "athena-without-duckdb": ("athena/runs.py", "import duckdb"),
    "rooms-of-athena": ("athena/tables.py", "import quilt_mcp.athena.gate"),
    "pure-domain": ("domain/reads.py", "import socket"),
    "rooms-of-the-registry": ("registry/manifests/writes.py", "import quilt_mcp.registry.writing.author"),
    "rooms-of-storage": ("storage/local/reaches.py", "import quilt_mcp.storage.s3.clients"),
    "buckets-without-folders": ("storage/s3/reaches.py", "import quilt_mcp.storage.local.store"),
    "no-circle": ("domain/names.py", "import quilt_mcp.domain.address"),
}
"""A file, made or added to, and the import that breaks the contract."""


@pytest.mark.nightly
def test_each_contract_reports_an_import_that_breaks_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src" / "quilt_mcp", tmp_path / "quilt_mcp")
    for name, line in BROKEN_BY.values():
        with (tmp_path / "quilt_mcp" / name).open("a") as file:
            file.write(f"{line}\n")
    command = [LINT, "--no-cache", "--config", ROOT / ".importlinter"]
    environ = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    contracts = {
        section.rpartition(":")[2]: rules[section]["name"] for section in rules.sections() if ":" in section
    }
    assert contracts.keys() == BROKEN_BY.keys()
    said = " ".join(done.stdout.split())
    assert [name for name, title in contracts.items() if f"{title} BROKEN" not in said] == []
