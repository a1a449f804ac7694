"""The one file of the view: what it is put together of, what it may load, how long it is."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from quilt_mcp.view.page import MODULES, MOST_BYTES, imports, module, page, policy

PARTS = Path(str(resources.files("quilt_mcp.view"))) / "parts"
NODE = Path(__file__).parents[2] / "node_modules" / ".bin" / "node"


def test_each_module_comes_after_those_that_it_imports_and_names_what_they_export() -> None:
    for number, name in enumerate(MODULES):
        assert set(imports(name)) <= set(MODULES[:number]), name
        lines = re.findall(r"^import \{([^}]*)\} from", module(name), re.M)
        for found, source in zip(lines, imports(name), strict=True):
            names = ", ".join(found.replace(",", " ").split())
            exported = set(
                re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", module(source), re.M)
            )
            assert set(names.split(", ")) <= exported, (name, source)
            unused = [one for one in names.split(", ") if len(re.findall(rf"\b{one}\b", module(name))) < 2]
            assert not unused, (name, unused)
        assert module(name).count("import {") == len(imports(name)), f"an import of {name} has another form"


def test_every_module_of_the_folder_is_in_the_file() -> None:
    there = {path.relative_to(PARTS).as_posix().removesuffix(".js") for path in PARTS.rglob("*.*")}
    assert there == {*MODULES, "shell.html", "style.css"}


def test_it_is_one_file_that_loads_nothing_and_is_short() -> None:
    whole = page()
    assert len(whole.encode()) <= MOST_BYTES
    assert set(re.findall(r"https?://[\w./-]+", whole)) == {"http://www.w3.org/2000/svg"}, (
        "a name, not an address"
    )
    assert not re.search(r"\b(src|href)=", whole)
    assert whole.count("<script>") == whole.count("<style>") == 1
    assert "</script" not in whole.partition("<script>")[2].rpartition("</script>")[0]


@pytest.mark.parametrize("tag", ["script", "style"])
def test_the_policy_allows_that_script_and_that_style_alone(tag: str) -> None:
    inner = page().partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    expected = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
    assert f"{tag}-src 'sha256-{expected}'" in policy()
    assert "unsafe" not in policy() and "default-src 'none'" in policy()


def test_markup_is_made_of_no_text() -> None:
    """Elements are made one by one, so that no text from data is ever parsed as markup or as a script."""
    for name in MODULES:
        text = module(name)
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|srcdoc",
            text,
        )
        assert not found, (name, found)
        assert "createElement(" not in text or name in ("elements/dom", "hosts/page_host"), name


@pytest.mark.skipif(not NODE.exists() or shutil.which("npm") is None, reason="needs npm")
def test_what_is_pure_does_what_it_says() -> None:
    """Differences of texts give both texts back, hidden characters are shown, snippets quote; by Node, which loads the modules as
    they stand."""
    script = Path(__file__).with_name("modules.mjs")
    done = subprocess.run([NODE, script, str(PARTS)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all held"
