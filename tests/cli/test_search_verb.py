"""``quilt-mcp search`` for a person: facets and hits as tables, orders by metadata, reasons where nothing is found."""

from __future__ import annotations

import json
import re

import pytest
from person import Person
from shell import on_a_terminal

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack

PUSH = """
import quilt3
for name, message, meta in arguments["packages"]:
    package = quilt3.Package()
    with open("reads.csv", "w") as reads:
        reads.write("a,b\\n1,2\\n")
    package.set("data/reads.csv", "reads.csv")
    package.set_meta(meta)
    package.push(name, registry=arguments["registry"], message=message, force=True)
"""
PACKAGES = [
    ["lab/organoids", "confocal stacks of organoids", {"assay": {"lot": "B33"}, "plates": 3}],
    ["lab/controls", "controls of the confocal run", {"assay": {"lot": "B34"}, "plates": 12}],
]


@pytest.fixture(scope="module")
def bucket(moto: S3Access, tmp_path_factory: pytest.TempPathFactory) -> str:
    bucket = moto.make_bucket()
    quilt3 = Quilt3(tmp_path_factory.mktemp("pusher"), moto)
    quilt3.run(PUSH, packages=PACKAGES, registry=f"s3://{bucket}")
    return bucket


@pytest.fixture
def key(person: Person, stack: Stack, bucket: str) -> dict[str, str]:
    stack.add_bucket(bucket)
    return {"QUILT_API_KEY": stack.api_key("ada"), "QUILT_CATALOG_URL": stack.url}


def lines(seen: str) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip("\r ") for line in seen.split("\n")]


def test_facets_and_hits_stand_in_tables(person: Person, key: dict[str, str]) -> None:
    seen = on_a_terminal(
        person.shell, "search", "confocal", "--facets", "*", "--sort", "-/plates",
        columns=100, **(person.variables | key),
    )  # fmt: skip
    shown = lines(seen)
    at = shown.index("facets")
    assert shown[at + 1].split() == ["field", "type", "min", "max", "values"]
    assert any(line.split() == ["/plates", "number", "3", "12"] for line in shown)
    assert any(line.split() == ["/assay/lot", "keyword", "B33,", "B34"] for line in shown)
    hits = [line for line in shown if line.startswith("lab/")]
    assert [line.split("@")[0] for line in hits] == ["lab/controls", "lab/organoids"]
    assert max(map(len, shown)) <= 100


def test_sizes_and_times_of_facets_are_written_for_people(person: Person, key: dict[str, str]) -> None:
    seen = on_a_terminal(
        person.shell, "search", "--facets", "size", "--facets", "modified", **(person.variables | key)
    )
    [size] = [line for line in lines(seen) if line.startswith("size")]
    assert re.search(r"\d+ B +\d+ B$", size)
    [modified] = [line for line in lines(seen) if line.startswith("modified")]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d  \d{4}-\d\d-\d\d \d\d:\d\d$", modified)


def test_what_is_piped_is_hits_alone(person: Person, key: dict[str, str]) -> None:
    done = person.type("search", "--facets", "*", "--sort", "name", "--nl", **key)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["package"].split("@")[0] for row in rows] == ["lab/controls", "lab/organoids"]


def test_a_search_that_finds_nothing_says_where_it_looked(
    person: Person, key: dict[str, str], bucket: str
) -> None:
    done = person.type("search", "--where", "/assay/lott = B33", **key)
    assert done.returncode == 0 and f"s3://{bucket}" in done.stderr and "/assay/lot." in done.stderr
