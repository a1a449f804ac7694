"""Each GraphQL document against the schema of each release: valid, or a sibling of an older spelling is."""

from __future__ import annotations

from importlib.resources import files

import pytest
from graphql import parse, validate

from parts.stack.graph.profiles import PROFILES, schema
from quilt_mcp.catalog.graph import document

NAMES = sorted(
    one.name.removesuffix(".graphql")
    for one in files("quilt_mcp.catalog").joinpath("documents").iterdir()
    if "fragment " not in one.read_text()
)
DOCUMENTS = {name: document(name) for name in NAMES}
SINCE = {"RestoreObject": "26.8"}
"""What has no older spelling, and the first of the releases here that takes it."""
OLDER = {"SearchPackages": "SearchPackagesByEnum", "Buckets": "BucketConfigs"}


def is_valid(name: str, profile: str) -> bool:
    return not validate(schema(profile), parse(DOCUMENTS[name]))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(OLDER.values())))
def test_a_document_is_valid_in_every_release_or_an_older_one_is(name: str, profile: str) -> None:
    if name in SINCE:
        assert is_valid(name, profile) is (list(PROFILES).index(profile) >= list(PROFILES).index(SINCE[name]))
    else:
        assert is_valid(name, profile) or is_valid(OLDER[name], profile)


@pytest.mark.parametrize("older", OLDER.values())
def test_no_document_outlives_the_releases_that_need_it(older: str) -> None:
    newer = next(name for name, one in OLDER.items() if one == older)
    assert any(is_valid(older, profile) and not is_valid(newer, profile) for profile in PROFILES)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_holds_one_operation_of_its_own_name(name: str) -> None:
    operations = [one for one in parse(DOCUMENTS[name]).definitions if one.kind == "operation_definition"]
    assert [one.name.value for one in operations] == [name]  # type: ignore[attr-defined]
