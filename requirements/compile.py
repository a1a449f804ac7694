"""Writes the pinned requirements again: the newest versions that pyproject.toml allows, each with the hashes of all its files.

uv, in an environment that goes afterwards, takes the hashes from the index that pip is set up to use. No address stands in these
files, so that they install from any index, and pip refuses a file that is another than what was pinned.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).parent
NOTE = "`make requirements` writes this file."
UV = "uv==0.13.9"


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
    return {normal(item["metadata"]["name"]): item["metadata"]["version"] for item in report["install"]}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def with_hashes(pins: dict[str, str]) -> dict[str, str]:
    """The lines of each pin: its version, and the hashes of its files for every platform."""
    with tempfile.TemporaryDirectory() as folder:
        tools, wanted = Path(folder) / "tools", Path(folder) / "pins.in"
        venv.create(tools, with_pip=True)
        pip = [tools / "bin/python", "-m", "pip"]
        subprocess.run([*pip, "install", "-qq", UV], check=True)
        asked = subprocess.run(
            [*pip, "config", "get", "global.index-url"], check=False, capture_output=True, text=True
        )
        index = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip()
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        command = [tools / "bin/uv", "pip", "compile", "-q", "--no-deps", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", "--python-version", "3.11", wanted]
        environment = os.environ | ({"UV_DEFAULT_INDEX": index} if index else {})
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    blocks = re.split(r"\n(?=\S)", done.stdout.strip())
    return {normal(block.partition("==")[0]): block for block in blocks}


def write(name: str, head: str, lines: list[str], *included: str) -> None:
    parts = [f"# {head} {NOTE}", *(f"-r {other}" for other in included), *sorted(lines)]
    (HERE / name).write_text("\n".join(parts) + "\n")


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())
    runtime = resolve(*project["project"]["dependencies"])
    pinned = [f"{name}=={version}" for name, version in runtime.items()]
    build = resolve(*project["build-system"]["requires"], "editables", *pinned)
    build = {name: version for name, version in build.items() if name not in runtime}
    pinned += [f"{name}=={version}" for name, version in build.items()]
    dev = resolve(*project["dependency-groups"]["dev"], *pinned)
    dev = {name: version for name, version in dev.items() if name not in runtime and name not in build}
    write_all(runtime, build, dev)
    write_sbom(resolve(*project["dependency-groups"]["sbom"]))


def write_sbom(pins: dict[str, str]) -> None:
    """In an environment of its own, so its versions need not agree with the others."""
    write(
        "sbom.txt",
        "What `make sbom` needs, in an environment of its own, pinned.",
        [*with_hashes(pins).values()],
    )


def write_all(runtime: dict[str, str], build: dict[str, str], dev: dict[str, str]) -> None:
    lines = with_hashes(runtime | build | dev)

    def of(pins: dict[str, str]) -> list[str]:
        return [lines[name] for name in pins]

    write("runtime.txt", "Every distribution `quilt-mcp` needs to run, pinned.", of(runtime))
    write("build.txt", "What builds the project itself (an editable install), pinned.", of(build))
    head = "What tests, lint and types need beyond runtime.txt and build.txt, pinned."
    write("dev.txt", head, of(dev), "runtime.txt", "build.txt")


if __name__ == "__main__":
    main()
