"""Search in the tests' stack: what is found, in which order, page by page, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from parts.s3_access import S3Access
from parts.stack import Stack

pytestmark = pytest.mark.nightly

CREATE = """
mutation Create($params: PackagePushParams!, $src: PackageConstructSource!) {
  packageConstruct(params: $params, src: $src) { ... on PackagePushSuccess { revision { hash } } }
}
"""
PACKAGES = """
query Search($text: String, $latest: Boolean = false, $ordering: PackageOrdering, $size: Int = 30) {
  searchPackages(searchString: $text, latestOnly: $latest) {
    __typename
    ... on InvalidInput { errors { path name message context } }
    ... on PackagesSearchResultSet {
      total
      firstPage(size: $size, ordering: $ordering) {
        ... on PackagesSearchResultSetPage { cursor hits { name hash comment } }
        ... on InvalidInput { errors { name } }
      }
    }
  }
}
"""
FOUND = """
query Found($filter: PackagesSearchFilter, $meta: [PackageUserMetaPredicate!], $path: String = "") {
  searchPackages(filter: $filter, userMetaFilters: $meta, latestOnly: true) {
    ... on PackagesSearchResultSet {
      total
      stats {
        size { min max }
        entries { min max }
        userMeta {
          __typename
          ... on IPackageUserMetaFacet { path sortable }
          ... on NumberPackageUserMetaFacet { number: extents { min max } }
          ... on KeywordPackageUserMetaFacet { keyword: extents { values } }
        }
      }
      filteredUserMetaFacets(path: $path) { ... on IPackageUserMetaFacet { path } }
      firstPage(ordering: "sys:name:asc") {
        ... on PackagesSearchResultSetPage {
          hits { name matchLocations { name } matchingEntries { logicalKey } }
        }
      }
    }
  }
}
"""
OBJECTS = """
query Objects($text: String, $filter: ObjectsSearchFilter, $size: Int = 30) {
  searchObjects(searchString: $text, filter: $filter) {
    ... on ObjectsSearchResultSet {
      total
      stats { ext { values } }
      firstPage(size: $size, order: LEX_ASC) { cursor hits { key deleted indexedContent } }
    }
  }
}
"""


@pytest.fixture
def bucket(moto: S3Access, stack: Stack) -> str:
    bucket = moto.make_bucket()
    stack.add_bucket(bucket)
    with moto.boto() as s3:
        s3.put_object(Bucket=bucket, Key="raw/a b.txt", Body=b"0123456789")
    return bucket


@pytest.fixture
def bearer(stack: Stack) -> str:
    stack.add_user("ada")
    return stack.token("ada")


def create(stack: Stack, bearer: str, bucket: str, name: str, **params: Any) -> None:
    given = {"bucket": bucket, "name": name, "message": "made", **params}
    entries = [{"logicalKey": "data/a b.txt", "physicalKey": f"s3://{bucket}/raw/a%20b.txt"}]
    answer = stack.ask(CREATE, bearer, params=given, src={"entries": entries})
    assert answer["data"]["packageConstruct"]["revision"]["hash"]


def test_packages_are_found_sorted_and_paged(stack: Stack, bearer: str, bucket: str) -> None:
    for number, name in enumerate(("lab/one", "lab/two", "lab/three")):
        create(stack, bearer, bucket, name, message=f"round {number}", userMeta={"n": number})

    def found(**given: Any) -> dict[str, Any]:
        return stack.ask(PACKAGES, bearer, **given)["data"]["searchPackages"]

    def names(**given: Any) -> list[str]:
        return [hit["name"] for hit in found(**given)["firstPage"]["hits"]]

    assert names(text="round AND lab", ordering="sys:name:asc") == ["lab/one", "lab/three", "lab/two"]
    assert names(text="ptr_name:lab\\/t*", ordering="usr:/n:number:desc") == ["lab/three", "lab/two"]
    assert found(text="nowhere")["__typename"] == "EmptySearchResultSet"
    assert found(ordering="sys:comment:asc")["firstPage"]["errors"] == [{"name": "UnsupportedSort"}]
    assert found(ordering="by name")["firstPage"]["errors"] == [{"name": "ordering"}]
    first = found(size=2, ordering="sys:name:asc")
    assert (first["total"], [hit["name"] for hit in first["firstPage"]["hits"]]) == (
        3,
        ["lab/one", "lab/three"],
    )
    more = """query($after: String!) { searchMorePackages(after: $after) {
        ... on PackagesSearchResultSetPage { cursor hits { name } } } }"""
    rest = stack.ask(more, bearer, after=first["firstPage"]["cursor"])["data"]["searchMorePackages"]
    assert rest == {"cursor": None, "hits": [{"name": "lab/two"}]}


@pytest.mark.parametrize(
    "text", ["key:results/*", "ext:.csv AND (", "size:abc", "foo:bar:baz", '"open', "a)", "AND b"]
)
def test_a_malformed_search_is_invalid_input(stack: Stack, bearer: str, bucket: str, text: str) -> None:
    answer = stack.ask(PACKAGES, bearer, text=text)["data"]["searchPackages"]
    assert answer["__typename"] == "InvalidInput"
    assert answer["errors"][0]["path"] == "searchString"
    stack.set_profile("1.69")
    older = stack.ask(
        "query($text: String) { searchPackages(searchString: $text) { __typename } }", bearer, text=text
    )
    assert older["errors"][0]["message"] == "Internal Server Error"


def test_user_metadata_is_filtered_by_and_told_in_facets(stack: Stack, bearer: str, bucket: str) -> None:
    for number, name in enumerate(("lab/one", "lab/two")):
        meta = {
            "run": {"n": number},
            "kind": f"kind {number}",
            "on": f"2026-0{number + 1}-01",
            "ok": bool(number),
        }
        create(stack, bearer, bucket, name, userMeta=meta)

    def found(**given: Any) -> dict[str, Any]:
        return stack.ask(FOUND, bearer, **given)["data"]["searchPackages"]

    def names(*meta: dict[str, Any], **given: Any) -> list[str]:
        return [hit["name"] for hit in found(meta=list(meta), **given).get("firstPage", {"hits": []})["hits"]]

    every = found(path="ki")
    assert every["stats"]["entries"] == {"min": 1.0, "max": 1.0}
    assert every["filteredUserMetaFacets"] == [{"path": "/kind"}]
    facets = {facet["path"]: facet for facet in every["stats"]["userMeta"]}
    assert {
        path: facet["__typename"].removesuffix("PackageUserMetaFacet") for path, facet in facets.items()
    } == {
        "/kind": "Keyword",
        "/ok": "Boolean",
        "/on": "Datetime",
        "/run/n": "Number",
    }
    assert facets["/run/n"]["number"] == {"min": 0.0, "max": 1.0}
    assert facets["/kind"]["keyword"] == {"values": ["kind 0", "kind 1"]}
    assert names({"path": "/run/n", "number": {"gte": 1}}) == ["lab/two"]
    assert names({"path": "/kind", "keyword": {"wildcard": "*0"}}) == ["lab/one"]
    assert names({"path": "/kind", "text": {"queryString": "kind"}}) == ["lab/one", "lab/two"]
    assert names({"path": "/on", "datetime": {"lte": "2026-01-15"}}) == ["lab/one"]
    assert names({"path": "/ok", "boolean": {"true": True}}) == ["lab/two"]
    assert names({"path": "/run/n", "keyword": {"terms": ["1"]}}) == []
    assert names(filter={"name": {"terms": ["lab/two"]}, "comment": {"queryString": "made"}}) == ["lab/two"]
    assert names(filter={"modified": {"lte": "2020-01-01T00:00:00Z"}}) == []


def test_a_sort_by_what_is_not_kept_so_is_refused(stack: Stack, bearer: str, bucket: str) -> None:
    create(stack, bearer, bucket, "lab/one", userMeta={"n": 1, "kind": "a", "long": "x " * 200})

    def refused(ordering: str) -> str | None:
        page = stack.ask(PACKAGES, bearer, ordering=ordering)["data"]["searchPackages"]["firstPage"]
        return page["errors"][0]["name"] if "errors" in page else None

    assert refused("usr:/kind:text:asc") is None
    assert refused("usr:/kind:keyword:desc") is None
    for ordering in ("usr:/n:keyword:asc", "usr:/long:text:asc", "usr:/none:number:asc"):
        assert refused(ordering) == "UnsupportedSort"


def test_objects_are_found_by_key_content_and_what_was_deleted(
    stack: Stack, bearer: str, bucket: str, moto: S3Access
) -> None:
    with moto.boto() as s3:
        s3.put_object(Bucket=bucket, Key="raw/table.csv", Body=b"gene,count")
        s3.put_object(Bucket=bucket, Key="raw/gone.csv", Body=b"gene")
        s3.delete_object(Bucket=bucket, Key="raw/gone.csv")

    def keys(**given: Any) -> list[str]:
        found = stack.ask(OBJECTS, bearer, **given)["data"]["searchObjects"]
        return [hit["key"] for hit in found.get("firstPage", {"hits": []})["hits"]]

    assert keys(text="gene") == ["raw/table.csv"]
    assert keys(text="ext:.csv") == ["raw/gone.csv", "raw/table.csv"]
    assert keys(filter={"deleted": {"false": True}, "ext": {"terms": [".csv"]}}) == ["raw/table.csv"]
    assert keys(filter={"key": {"wildcard": "raw/*"}, "size": {"gte": 10}}) == [
        "raw/a b.txt",
        "raw/table.csv",
    ]
    first = stack.ask(OBJECTS, bearer, size=2)["data"]["searchObjects"]
    more = "query($after: String!) { searchMoreObjects(after: $after) { ... on ObjectsSearchResultSetPage { hits { key } } } }"
    rest = stack.ask(more, bearer, after=first["firstPage"]["cursor"])["data"]["searchMoreObjects"]
    assert (first["total"], rest) == (3, {"hits": [{"key": "raw/table.csv"}]})


def test_what_a_role_may_not_read_is_not_found(
    stack: Stack, bearer: str, bucket: str, moto: S3Access
) -> None:
    other = moto.make_bucket()
    stack.add_bucket(other)
    create(stack, bearer, bucket, "lab/one")
    with moto.boto() as s3:
        s3.put_object(Bucket=other, Key="raw/a b.txt", Body=b"x")
    create(stack, bearer, other, "lab/two")
    stack.add_role("narrow", {other: "READ"})
    stack.set_role("ada", "narrow")
    found = stack.ask(FOUND, bearer)["data"]["searchPackages"]
    assert [hit["name"] for hit in found["firstPage"]["hits"]] == ["lab/two"]
