"""Each GraphQL document against the schema of each release: valid, or a sibling of an older spelling is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from graphql import parse, validate

from parts.stack.graph.profiles import RELEASES, schema
from quilt_mcp.catalog.graph import document

FOLDER = Path(str(files("quilt_mcp.catalog").joinpath("documents")))
NAMES = sorted(
    one.relative_to(FOLDER).as_posix().removesuffix(".graphql")
    for one in FOLDER.rglob("*.graphql")
    if "fragment " not in one.read_text()
)
DOCUMENTS = {name: document(name) for name in NAMES}
OLDER = {
    "SearchPackages": "SearchPackagesByEnum",
    "Buckets": "BucketConfigs",
    "admin/buckets/BucketGet": "admin/buckets/BucketGetWithoutPrefixes",
    "admin/buckets/BucketAdd": "admin/buckets/BucketAddWithoutPrefixes",
    "admin/buckets/BucketUpdate": "admin/buckets/BucketUpdateWithoutPrefixes",
    "admin/tabulator/TableSet": "admin/tabulator/TableSetByAdmin",
    "admin/tabulator/TableRename": "admin/tabulator/TableRenameByAdmin",
}
SINCE = {name: "1.67" for name in NAMES if name.startswith("admin/keys/")}
"""What older releases have nothing for: API keys."""


def is_valid(name: str, profile: str) -> bool:
    return not validate(schema(profile), parse(DOCUMENTS[name]))


@pytest.mark.parametrize("profile", RELEASES)
def test_a_document_is_valid_in_every_release_or_an_older_one_is(profile: str) -> None:
    release = RELEASES.index(profile)
    for name in sorted(set(NAMES) - set(OLDER.values())):
        has_it = release >= RELEASES.index(SINCE.get(name, RELEASES[0]))
        taken = is_valid(name, profile) or (name in OLDER and is_valid(OLDER[name], profile))
        assert taken == has_it, name


@pytest.mark.parametrize("older", OLDER.values())
def test_no_document_outlives_the_releases_that_need_it(older: str) -> None:
    newer = next(name for name, one in OLDER.items() if one == older)
    assert any(is_valid(older, profile) and not is_valid(newer, profile) for profile in RELEASES)


def test_a_document_holds_one_operation_of_its_own_name() -> None:
    for name in NAMES:
        parsed = parse(DOCUMENTS[name]).definitions
        operations = [one for one in parsed if one.kind == "operation_definition"]
        assert [one.name.value for one in operations] == [name.rpartition("/")[2]]  # type: ignore[attr-defined]
