"""A package of 100,000 entries in Chromium: all of them are reached, and no more of them stand in the page than can be seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chromium import Driver
from served import Place, pages_of

from parts.manifests import true_hash

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("view")]

FOLDERS, EACH, FLAT = 50, 1_000, 50_000
ROW = 28
"""Pixels."""
HASH = {"type": "SHA256", "value": "0" * 64}


def written(home: Path) -> Place:
    """A manifest alone: what it names is not there, and nobody asks for it."""
    keys = [f"run-{folder:02}/sample-{number:04}.csv" for folder in range(FOLDERS) for number in range(EACH)]
    keys += [f"flat/{number:05}.csv" for number in range(FLAT)]
    records = [
        {"logical_key": key, "physical_keys": [f"s3://bucket/{key}"], "size": 10, "hash": HASH, "meta": {}}
        for key in sorted(keys)
    ]
    body = "".join(json.dumps(record) + "\n" for record in [{"version": "v0"}, *records]).encode()
    top_hash = true_hash(body)
    place = Place(home, {"lab/large": [top_hash]})
    for folder, name, content in (
        ("packages", top_hash, body),
        ("named_packages/lab/large", "1772352000", top_hash.encode()),
        ("named_packages/lab/large", "latest", top_hash.encode()),
    ):
        (place.registry / ".quilt" / folder).mkdir(parents=True, exist_ok=True)
        (place.registry / ".quilt" / folder / name).write_bytes(content)
    place.here.mkdir()
    return place


def test_a_package_of_100_000_entries_is_scrolled_through(driver: Driver, tmp_path: Path) -> None:
    place = written(tmp_path)
    with pages_of(place) as pages, pages.show(driver, "browse", place.uri("lab/large")) as view:
        assert "100,000 files" in view.text
        view.entry("flat/").press("End").do()
        view.entry("run-49/").press("Enter").do()
        view.entry("sample-0000.csv").waitFor().do()
        view.keys("End")
        view.entry("sample-0999.csv").waitFor().do()
        view.keys("Home", "Enter")
        view.entry("00000.csv").waitFor().do()
        tree = "document.querySelector('.tree')"
        for loaded in range(EACH, FLAT, EACH):
            view.js(f"{tree}.scrollTop = {ROW} * {loaded} - 200")
            view.entry(f"{loaded:05}.csv").waitFor().do()
            assert view.js("document.querySelectorAll('*').length") < 2_000, "elements"
        view.js(f"{tree}.scrollTop = {ROW} * {FLAT}")
        view.entry("49999.csv").waitFor().do()
        view.js(f"{tree}.scrollTop = {ROW} * 25_000")
        view.entry("25000.csv").waitFor().do()
        assert view.seen["errors"] == [], view.seen
