"""Writes the pinned requirements again: the newest versions that pyproject.toml allows, one ``name==version`` a line.

No hashes and no addresses stand in these files, so that they install from whatever index a machine is set up to use.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
NOTE = "`make requirements` writes this file."


def resolve(*requirements: str) -> dict[str, str]:
    """Distribution names and versions that a fresh install of ``requirements`` would bring."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-qq",
        "--dry-run",
        "--ignore-installed",
        "--report",
        "-",
        *requirements,
    ]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {item["metadata"]["name"]: item["metadata"]["version"] for item in report["install"]}


def write(name: str, head: str, pins: dict[str, str], *included: str) -> None:
    lines = [f"# {head} {NOTE}"]
    lines += [f"-r {other}" for other in included]
    lines += [f"{project}=={pins[project]}" for project in sorted(pins, key=str.lower)]
    (HERE / name).write_text("\n".join(lines) + "\n")


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    runtime = resolve(*project["project"]["dependencies"])
    pinned = [f"{name}=={version}" for name, version in runtime.items()]
    build = resolve(*project["build-system"]["requires"], "editables", *pinned)
    build = {name: version for name, version in build.items() if name not in runtime}
    pinned += [f"{name}=={version}" for name, version in build.items()]
    dev = resolve(*project["dependency-groups"]["dev"], *pinned)
    dev = {name: version for name, version in dev.items() if name not in runtime and name not in build}
    write("runtime.txt", "Every distribution `quilt-mcp` needs to run, pinned.", runtime)
    write("build.txt", "What builds the project itself (an editable install), pinned.", build)
    write(
        "dev.txt",
        "What tests, lint and types need beyond runtime.txt and build.txt, pinned.",
        dev,
        "runtime.txt",
        "build.txt",
    )


if __name__ == "__main__":
    main()
