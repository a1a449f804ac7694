"""Writes the folder that becomes the bundle for desktop clients: ``make bundle`` packs it.

It carries the source, so that no index is asked for this project's name (decision 033), and a project file of its own, whose
dependencies are those that the tests ran with. What only another system needs beside them is not pinned.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def write(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        ROOT / "src" / "quilt_mcp", folder / "src" / "quilt_mcp", ignore=shutil.ignore_patterns("__pycache__")
    )
    for file in (ROOT / "LICENSE", ROOT / "README.md", HERE / "server.py"):
        shutil.copy(file, folder)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (folder / "pyproject.toml").write_text(project_file(project), encoding="utf-8")
    manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    manifest["version"] = semantic(project["version"])
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def project_file(project: dict[str, str]) -> str:
    pins = re.findall(r"^[\w.-]+==[^ \\\n]+", (ROOT / "requirements" / "runtime.txt").read_text(), re.M)
    lines = [
        "[project]",
        'name = "quilt-packages-bundle"',
        f'version = "{project["version"]}"',
        f'requires-python = "{project["requires-python"]}"',
        "dependencies = [",
        *(f'    "{pin}",' for pin in pins),
        "]",
        "",
        "[tool.uv]",
        "package = false",
    ]
    return "\n".join(lines) + "\n"


def semantic(version: str) -> str:
    """A version of Python's as the clients compare it: 1.0.0.dev0 is 1.0.0-dev.0."""
    return re.sub(r"\.?(dev|a|b|rc)(\d+)$", r"-\1.\2", version)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
