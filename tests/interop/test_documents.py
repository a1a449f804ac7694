"""Each GraphQL document against the schema of each release: valid, or a sibling of an older spelling is."""

from __future__ import annotations

import pytest
from graphql import parse, validate

from parts.stack.graph.profiles import RELEASES, schema
from quilt_mcp.catalog.graph import document, documents

NAMES = sorted(name for name in documents() if not document(name).startswith("fragment "))
DOCUMENTS = {name: document(name) for name in NAMES}
OLDER = {
    "SearchPackages": "SearchPackagesByEnum",
    "Buckets": "BucketConfigs",
    "BucketGet": "BucketGetWithoutPrefixes",
    "BucketAdd": "BucketAddWithoutPrefixes",
    "BucketUpdate": "BucketUpdateWithoutPrefixes",
    "TableSet": "TableSetByAdmin",
    "TableRename": "TableRenameByAdmin",
}
SINCE = dict.fromkeys(("KeyCreate", "KeyList", "KeyListOfAll", "KeyRevoke", "KeyRevokeOfAny"), "1.67") | {
    "RestoreObject": "1.70"
}
"""What older releases have nothing for."""


def is_valid(name: str, profile: str) -> bool:
    return not validate(schema(profile), parse(DOCUMENTS[name]))


@pytest.mark.sampled(1)
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
        assert [one.name.value for one in operations] == [name]  # type: ignore[attr-defined]
