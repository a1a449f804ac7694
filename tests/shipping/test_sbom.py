"""`make sbom` tells all that an installation brings."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([\w.-]+)==([^ \\\n;]+)((?:[^\n]*\\\n)*[^\n]*)", re.M)


pytestmark = pytest.mark.xdist_group("sbom")


@pytest.fixture(scope="module")
def bom() -> Any:
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True, capture_output=True)
    return json.loads((ROOT / "build" / "sbom.json").read_text())


def test_each_pinned_requirement_stands_in_it_with_its_version_and_its_hashes(bom: Any) -> None:
    assert (bom["bomFormat"], bom["metadata"]["component"]["name"]) == ("CycloneDX", "quilt-mcp")
    told = {
        (_normal(one["name"]), one["version"]): {
            digest["content"] for source in one["externalReferences"] for digest in source.get("hashes", ())
        }
        for one in bom["components"]
    }
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    pins = {
        (_normal(name), version): set(re.findall(r"sha256:([0-9a-f]{64})", rest))
        for name, version, rest in PIN.findall(text)
    }
    assert len(pins) > 40 and told == pins
    assert all(one["purl"].startswith("pkg:pypi/") for one in bom["components"])


def test_it_gives_this_project_no_address_in_an_index(bom: Any) -> None:
    assert "purl" not in bom["metadata"]["component"]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
