"""The schemas of the tests' stack: what came in which release, and what went."""

from __future__ import annotations

import pytest
from graphql import parse, validate, validate_schema

from parts.stack.graph.profiles import PROFILES, schema

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("profile", PROFILES)
def test_each_release_is_a_schema(profile: str) -> None:
    assert validate_schema(schema(profile)) == []


@pytest.mark.parametrize(
    ("document", "releases"),
    [
        ("{ me { apiKeys { userEmail } } }", ["1.67", "1.69", "26.8"]),
        ("{ buckets { collaborators { permissionLevel } } }", ["1.69", "26.8"]),
        ("{ bucketConfigs { collaborators { permissionLevel } } }", ["2025-autumn", "1.67"]),
        ("{ bucketConfigs { prefixes } }", ["1.67", "1.69", "26.8"]),
        (
            "{ searchPackages { ... on PackagesSearchResultSet { firstPage { ... on InvalidInput { errors { name } } } } } }",
            ["26.8"],
        ),
        (
            "{ searchPackages { ... on PackagesSearchResultSet { firstPage(order: NEWEST) { cursor } } } }",
            ["2025-autumn", "1.67", "1.69"],
        ),
        (
            'mutation { restoreObject(bucket: "", key: "", tier: BULK, days: 1) { __typename } }',
            ["26.8"],
        ),
    ],
)
def test_what_came_later_or_went_is_unknown_elsewhere(document: str, releases: list[str]) -> None:
    assert [profile for profile in PROFILES if not validate(schema(profile), parse(document))] == releases
