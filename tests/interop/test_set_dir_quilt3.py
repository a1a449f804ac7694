"""Scanning a folder chooses the files, sizes and physical keys that quilt3's ``set_dir`` chooses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import quilt3
from hypothesis import example, given
from hypothesis import strategies as st

from quilt_mcp.storage.local.folder import LocalFolder

NAMES = st.sampled_from(
    ["a", "b", "a-b", "a.b", ".hidden", "data", "x.csv", "y.pyc", "data.tmp", "é", "A", "a b", "[x]", "#"]
)
FILES = st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=12)
RULES = st.lists(
    st.sampled_from(
        ["*.csv", "data", "data/", "data/*", "*/x.csv", "a*", ".*", "[ab]", "[!a]", "é", "*", "?", "a/b", "#", "",
         "!x.csv", "x.csv ", "folder/*", "*.pyc\r", "[", "**/y.pyc"]
    ),
    max_size=4,
)  # fmt: skip
LINKS = st.lists(st.tuples(NAMES, st.sampled_from(["folder", "file", "nothing", "outside"])), max_size=3)


def build(base: Path, files: list[list[str]], rules: list[str] | None, links: list[tuple[str, str]]) -> Path:
    root = base / "folder"
    root.mkdir()
    (base / "elsewhere").mkdir()
    (base / "elsewhere" / "outside").write_bytes(b"outside")
    for number, names in enumerate(files):
        path = root.joinpath(*names)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * number)
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            continue
    for name, kind in links:
        target = {
            "folder": base / "elsewhere",
            "nothing": base / "none",
            "outside": base / "elsewhere/outside",
        }
        found = target.get(
            kind, next((path for path in sorted(root.rglob("*")) if path.is_file()), base / "none")
        )
        if not (root / f"link-{name}").is_symlink():
            (root / f"link-{name}").symlink_to(found)
    if rules is not None:
        (root / ".quiltignore").write_text("\n".join(rules), encoding="utf-8", newline="")
    return root


@example(files=[["data", "x.csv"], ["a", "data"]], rules=["data/"], links=[])
@example(files=[["data", "x.csv"], ["a", "data"]], rules=["data"], links=[])
@example(
    files=[["a", "b", "x.csv"], ["a.b"]],
    rules=["folder/a*"],
    links=[("a", "outside"), ("b", "folder"), ("x.csv", "nothing")],
)
@example(files=[["y.pyc"], ["z"]], rules=["*.pyc\r", "z"], links=[])
@given(files=FILES, rules=st.none() | RULES, links=LINKS)
def test_a_scan_finds_what_set_dir_finds(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[list[str]],
    rules: list[str] | None,
    links: list[tuple[str, str]],
) -> None:
    base = tmp_path_factory.mktemp("set_dir")
    root = build(base, files, rules, links)
    theirs = {
        key: (entry.size, str(entry.physical_key))
        for key, entry in quilt3.Package().set_dir("/", str(root)).walk()
    }
    folder = LocalFolder(base, roots=[base])
    found = list(folder.scan("folder"))
    ours = {file.relative: (file.size, str(file.physical_key)) for file in found}
    assert ours == theirs
    assert [file.relative for file in found] == list(theirs), "walk order"
    shutil.rmtree(base)
