"""docs/contributing.md names what is there, and all that only the nightly run does."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
MARKED = re.compile(r"pytest\.mark\.nightly|== \"nightly\"")


def test_every_path_that_is_named_exists() -> None:
    paths = set(re.findall(r"\b(?:src|tests|docs)/[\w./-]*\w", PAGE))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_file_with_a_nightly_test_stands_in_the_list() -> None:
    section = PAGE.split("\n### What only the nightly run does\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`(tests/[^`]+)`", section))
    files = (path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    marked = {
        str(path.relative_to(ROOT)) for path in files if MARKED.search(path.read_text(encoding="utf-8"))
    }
    assert named == marked
