"""What `pyproject.toml` tells an index, and what the README would look like there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from trove_classifiers import classifiers

from quilt_mcp import __version__

ROOT = Path(__file__).parents[2]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_its_classifiers_are_some_that_there_are() -> None:
    assert set(project()["classifiers"]) - classifiers - {"Private :: Do Not Upload"} == set()
    assert project()["classifiers"] == sorted(project()["classifiers"])


def test_it_names_no_person() -> None:
    assert project().keys() & {"authors", "maintainers"} == set()


def test_it_cannot_be_uploaded_under_a_name_that_is_anothers() -> None:
    """Together with its links, which are relative for as long as there is no address that they could begin with."""
    assert "Private :: Do Not Upload" in project()["classifiers"]
    assert "urls" not in project()


def test_each_relative_link_of_the_readme_leads_to_something() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    relative = [one for one in links if "://" not in one]
    assert len(relative) > 8
    assert [one for one in relative if not (ROOT / one).exists()] == []


def test_there_is_one_version() -> None:
    assert project()["version"] == __version__
