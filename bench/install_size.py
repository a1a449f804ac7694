"""How many distributions and megabytes ``quilt-mcp`` brings into a fresh environment (its own and pip's not counted)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from harness import report

ROOT = Path(__file__).parents[1]


def tree_size(folder: Path) -> int:
    return sum(
        path.lstat().st_size
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        builder = venv.EnvBuilder(with_pip=False)
        builder.create(folder)
        context = builder.ensure_directories(folder)
        target = (
            Path(context.env_dir)
            / "lib"
            / f"python{sys.version_info[0]}.{sys.version_info[1]}"
            / "site-packages"
        )
        pip = [sys.executable, "-m", "pip", "--python", context.env_exec_cmd]
        install = [*pip, "install", "-qq", "--no-compile"]
        subprocess.run([*install, "-r", str(ROOT / "requirements" / "runtime.txt")], check=True)
        listing = subprocess.run(
            [*pip, "list", "--format", "json"], check=True, capture_output=True, text=True
        )
        distributions = json.loads(listing.stdout)
        packages = sorted(
            ((tree_size(path) or path.lstat().st_size, path.name) for path in target.iterdir()), reverse=True
        )
        report(
            "install_size",
            {
                "distributions": len(distributions) + 1,
                "distributions_limit": 60,
                "megabytes": round((tree_size(target) + tree_size(ROOT / "src")) / 1e6, 1),
                "megabytes_limit": 220,
                "largest_megabytes": {name: round(size / 1e6, 1) for size, name in packages[:8]},
            },
        )


if __name__ == "__main__":
    main()
