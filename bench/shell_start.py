"""What a verb costs a person at a shell, from the key to the prompt, against ``call`` of the same tool; the two run in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness import report

PAIRS = {
    "status": (["status"], ["call", "status"]),
    "ls": (["ls"], ["call", "packages_list"]),
    "complete": (["__complete", "fish", "bro"], ["call", "status"]),
}


def timed(words: list[str], folder: Path) -> float:
    command = [sys.executable, "-m", "quilt_mcp", *words]
    environment = {
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "QUILT_DEFAULT_REGISTRY": str(folder / "registry"),
        **{key: value for key, value in os.environ.items() if key == "PYTHONPATH"},
    }
    begin = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - begin


def main(pairs: int = 15) -> None:
    figures: dict[str, object] = {"pairs": pairs}
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        for verb, (ours, call) in PAIRS.items():
            timed(ours, folder), timed(call, folder)  # page cache and bytecode
            runs = [(timed(ours, folder), timed(call, folder)) for _ in range(pairs)]
            figures[verb] = {
                "verb_seconds": round(median(verb for verb, _ in runs), 3),
                "call_seconds": round(median(call for _, call in runs), 3),
                "ratio": round(median(verb / call for verb, call in runs), 3),
                "ratio_limit": 1.1,
            }
    report("shell_start", figures)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
