"""What each dependency weighs: megabytes installed (its own distribution), and milliseconds to import it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from statistics import median

from harness import report

DEPENDENCIES = {
    "mcp": "mcp.server.lowlevel",
    "orjson": "orjson",
    "duckdb": "duckdb",
    "google-re2": "re2",
    "jsonschema": "jsonschema",
    "pyyaml": "yaml",
    "awscrt": "awscrt.checksums",
    "platformdirs": "platformdirs",
    "rich": "rich.console",
    "httpx2": "httpx2",
    "obstore": "obstore.store",
    "fsspec": "fsspec",
    "boto3": "boto3",
    "sqlglot": "sqlglot",
}
PROBE = """
import time
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin)
"""


def import_seconds(module: str, times: int = 7) -> float:
    command = [sys.executable, "-c", PROBE.format(module=module)]
    return median(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(times)
    )


def installed(name: str) -> int:
    files = distribution(name).files or []
    paths = (file.locate() for file in files if "__pycache__" not in str(file))
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> None:
    figures = {
        name: {
            "installed_mb": round(installed(name) / 1e6, 1),
            "import_ms": round(import_seconds(module) * 1e3),
        }
        for name, module in DEPENDENCIES.items()
    }
    report("dependency_cost", figures)


if __name__ == "__main__":
    main()
