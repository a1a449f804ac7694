"""Search of a Quilt stack: facets, orders by metadata, what is said where nothing is found, and stacks of any age."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stack_user import User, names, push

from parts.s3_access import S3Access
from parts.stack import Fault, Stack


def facets(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["field"]: one for one in answer["data"]["facets"]}


def searches(stack: Stack) -> list[str]:
    return [one["operation"] for one in stack.requests("/graphql") if "Search" in str(one["operation"])]


@pytest.fixture
def more(ada: Stack, moto: S3Access, tmp_path: Path) -> str:
    """A bucket of the stack with packages of odd metadata, beside that which has the usual ones."""
    bucket = moto.make_bucket()
    push(moto, bucket, [
        ["odd/one", "one", {"lot": 3, "on": "2026-01-05", "ok": True, "long": "x " * 300}],
        ["odd/two", "two", {"lot": "A7", "on": "2025-11-05", "ok": False}],
        ["odd/three", "three", {"lot": 12, "tags": ["a", "b"]}],
    ], tmp_path / "pusher")  # fmt: skip
    ada.add_bucket(bucket)
    return bucket


# orders by metadata


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("sort", "expected"), [
    ("/plates", ["lab/organoids", "other/genomes", "lab/controls"]),
    ("-/plates", ["lab/controls", "other/genomes", "lab/organoids"]),
    ("/assay/lot", ["lab/organoids", "lab/controls", "other/genomes"]),
    ("-/assay/lot", ["lab/controls", "lab/organoids", "other/genomes"]),
    ("-entries", None),
])  # fmt: skip
def test_packages_are_sorted_by_metadata_of_any_kind(
    user: User, sort: str, expected: list[str] | None
) -> None:
    found = names(user.call("search", sort=sort))
    assert found == expected or (expected is None and len(found) == 3)


@pytest.mark.nightly
def test_a_sort_by_metadata_costs_one_request_more_at_first_and_none_later(user: User, ada: Stack) -> None:
    counts = []
    for _ in range(2):
        ada.forget()
        user.call("search", sort="/plates")
        counts.append(len(searches(ada)))
    assert counts == [2, 1], "the guess was a keyword, and plates are numbers"
    ada.forget()
    user.call("search", sort="/assay/lot")
    assert len(searches(ada)) == 1, "which the guess is right of"


def test_a_condition_on_the_pointer_tells_its_kind(user: User, ada: Stack) -> None:
    ada.forget()
    found = user.call("search", sort="-/plates", where="/plates >= 7")
    assert names(found) == ["lab/controls", "other/genomes"]
    assert len(searches(ada)) == 1


def test_pages_of_a_sort_by_metadata_go_on_where_they_ended(user: User) -> None:
    first = user.call("search", sort="/plates", limit=2)
    rest = user.call("search", sort="/plates", limit=2, cursor=first["page"]["next_cursor"])
    assert [*names(first), *names(rest)] == ["lab/organoids", "other/genomes", "lab/controls"]
    assert rest["page"] == {"next_cursor": None, "total": 3}


@pytest.mark.nightly
def test_a_pointer_of_two_kinds_is_sorted_by_one_and_that_is_said(user: User, more: str) -> None:
    for _ in range(2):
        found = user.call("search", registries=[f"s3://{more}"], sort="-/lot")
        assert names(found) == ["odd/three", "odd/one", "odd/two"]
        said = "mixed: /lot is a number in some packages and keyword in others"
        assert any(one.startswith(said) for one in found["warnings"])


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("sort", "near"), [("/assay/lott", "/assay/lot"), ("/plate", "/plates")])
def test_a_pointer_that_no_package_has_is_no_order_and_what_is_near_is_told(
    user: User, sort: str, near: str
) -> None:
    error = user.call("search", sort=sort)["error"]
    assert error["code"] == "invalid_argument" and near in error["next_step"]


@pytest.mark.nightly
def test_a_pointer_to_long_texts_is_no_order(user: User, more: str) -> None:
    error = user.call("search", registries=[f"s3://{more}"], sort="/long")["error"]
    assert error["code"] == "invalid_argument" and "long texts" in error["message"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("sort", ["/plates", "-size", "entries"])
def test_a_release_that_cannot_sort_so_says_what_it_can(user: User, ada: Stack, sort: str) -> None:
    ada.set_profile("1.69")
    error = user.call("search", sort=sort)["error"]
    assert error["code"] == "not_supported"
    assert "-modified" in error["next_step"] and "26.8" in error["next_step"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("scope", "sort", "near"), [
    ("packages", "modifed", "modified"), ("objects", "/lot", "best"), ("objects", "entries", "best"),
])  # fmt: skip
def test_an_order_that_there_is_not_is_told_with_what_there_is(
    user: User, scope: str, sort: str, near: str
) -> None:
    error = user.call("search", scope=scope, sort=sort)["error"]
    assert error["code"] == "invalid_argument" and near in error["next_step"]


# facets


@pytest.mark.sampled(1)
@pytest.mark.parametrize("profile", ["2025-autumn", "1.67", "1.69", "26.8"])
def test_facets_come_with_the_page_in_one_request(user: User, ada: Stack, profile: str) -> None:
    ada.set_profile(profile)
    user.call("search", query="genomes")
    ada.forget()
    found = user.call("search", facets=["*"])
    told = facets(found)
    assert len(names(found)) == 3 and len(searches(ada)) == 1
    assert told["/assay/lot"] == {"field": "/assay/lot", "type": "keyword", "values": ["B33", "B34"]}
    assert told["/plates"] == {"field": "/plates", "type": "number", "min": 3, "max": 12}
    assert told["entries"] == {"field": "entries", "type": "number", "min": 1, "max": 1}
    assert told["modified"]["min"] <= told["modified"]["max"]


def test_facets_alone_are_told_of_what_the_search_finds(user: User, ada: Stack) -> None:
    found = user.call("search", where="/plates <= 7", facets=["/plates", "size"], limit=0)
    assert found["data"]["hits"] == [] and found["page"]["total"] == 2
    assert set(facets(found)) == {"/plates", "size"}
    assert facets(found)["/plates"]["max"] == 7


def test_a_pointer_to_an_object_tells_the_facets_below_it(user: User) -> None:
    assert set(facets(user.call("search", facets=["/assay"], limit=0))) == {"/assay/lot"}


def test_facets_of_objects_are_their_endings_sizes_and_times(user: User) -> None:
    told = facets(user.call("search", scope="objects", facets=["*"], limit=1))
    assert ".csv" in told["ext"]["values"] and told["size"]["min"] >= 0
    assert set(told) <= {"ext", "size", "modified"}


def test_facets_are_told_once_and_not_with_further_pages(user: User) -> None:
    first = user.call("search", facets=["*"], limit=2)
    rest = user.call("search", facets=["*"], limit=2, cursor=first["page"]["next_cursor"])
    assert "facets" in first["data"] and "facets" not in rest["data"]


def test_facets_of_nothing_are_none(user: User) -> None:
    assert user.call("search", query="nosuchword", facets=["*"])["data"]["facets"] == []


def test_what_the_stack_cuts_is_told_and_what_is_named_is_asked_for(
    user: User, ada: Stack, moto: S3Access, tmp_path: Path
) -> None:
    """The stack of the tests tells fifty pointers at most."""
    bucket = moto.make_bucket()
    push(
        moto,
        bucket,
        [["wide/one", "m", {f"field{number:03}": number for number in range(80)}]],
        tmp_path / "pusher",
    )
    ada.add_bucket(bucket)
    whole = user.call("search", registries=[f"s3://{bucket}"], facets=["*"], limit=0)
    assert whole["data"]["facets_cut"] is True
    assert "/field079" not in facets(whole)
    for wanted in (["/field079"], ["size", "/field001", "/field078", "/field079"]):
        found = facets(user.call("search", registries=[f"s3://{bucket}"], facets=wanted, limit=1))
        assert set(found) == set(wanted)
        assert found["/field079"]["max"] == 79


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("scope", "wanted", "said"), [
    ("packages", [f"/field{number}" for number in range(21)], "more than 20"),
    ("packages", ["modifed"], "Did you mean modified"),
    ("packages", ["lot"], "a JSON pointer"),
    ("objects", ["/lot"], "Name modified, size, ext; * is all"),
])  # fmt: skip
def test_facets_that_no_search_has_are_refused(user: User, scope: str, wanted: list[str], said: str) -> None:
    error = user.call("search", scope=scope, facets=wanted)["error"]
    assert error["code"] == "invalid_argument" and said in error["message"] + error["next_step"]


def test_a_facet_that_nothing_has_is_told_with_what_is_near(user: User) -> None:
    found = user.call("search", facets=["/assay/lott", "/plates"])
    assert set(facets(found)) == {"/plates"}
    assert found["warnings"] == ["no_facet: nothing that is found has /assay/lott. Close to it: /assay/lot."]


def test_facets_may_be_asked_for_by_one_star(user: User) -> None:
    assert "/plates" in facets(user.call("search", facets="*"))


def keyword(path: str, values: Any, typename: str = "KeywordPackageUserMetaFacet") -> dict[str, Any]:
    return {"__typename": typename, "path": path, "keyword": {"values": values}}


def told_by(ada: Stack, stats: Any, near: Any = None) -> None:
    page = {"__typename": "PackagesSearchResultSetPage", "cursor": None, "hits": []}
    found = {"__typename": "PackagesSearchResultSet", "total": 0, "firstPage": page, "stats": stats}
    found |= {"near": near}
    ada.fault(Fault("/graphql", "SearchPackages", status=200, body=json.dumps({"data": {"search": found}})))


def test_facets_of_a_million_values_are_few_and_short(user: User, ada: Stack) -> None:
    user.call("status")
    values = [f"value {number}" for number in range(1_000_000)]
    stats = {"workflow": {"values": ["x" * 5_000, "alpha"]}, "userMetaTruncated": True}
    stats["userMeta"] = [
        keyword("/many", values),
        *(keyword(f"/f{number}", ["a"]) for number in range(5_000)),
    ]
    told_by(ada, stats)
    found = user.call("search", facets=["*"])
    told = facets(found)
    assert told["/many"]["values"] == [f"value {number}" for number in range(5)]
    assert told["/many"]["more_values"] == 999_995
    assert told["workflow"] == {"field": "workflow", "type": "keyword", "values": ["alpha"], "more_values": 1}
    assert found["data"]["facets_cut"] is True
    assert len(json.dumps(found)) < 8_000


@pytest.mark.sampled(1)
@pytest.mark.parametrize("stats", [
    None, [], "facets", {"userMeta": None}, {"userMeta": {"a": 1}}, {"userMeta": [None, 3, "x", [], {}]},
    {"userMeta": [keyword("/a", None), keyword("/b", [None, 3, {}]), keyword("no pointer", ["a"])]},
    {"userMeta": [keyword("/c", ["a"], "OtherFacet"), {"__typename": "NumberPackageUserMetaFacet", "path": 3}]},
    {"size": None, "modified": [], "entries": {"min": "x", "max": True}, "workflow": {"values": "abc"}},
    {"size": {"min": -1e308, "max": 1e308}, "modified": {"min": "x" * 10_000, "max": {}}},
    {"userMetaTruncated": "yes", "userMeta": [keyword("/" + "d" * 10_000, ["a"])]},
])  # fmt: skip
def test_facets_of_odd_shapes_are_left_out(user: User, ada: Stack, stats: Any) -> None:
    user.call("status")
    told_by(ada, stats, stats)
    for wanted in (["*"], ["/a", "size"]):
        found = user.call("search", facets=wanted)
        assert "error" not in found
        assert all(set(one) <= {"field", "type", "more_values"} for one in found["data"]["facets"]), found


def test_what_hides_in_a_facet_is_shown(user: User, ada: Stack) -> None:
    user.call("status")
    told_by(ada, {"userMeta": [keyword("/lot\u202e\u200b", ["B\u202e33", "\x1b[2J"])]})
    found = user.call("search", facets=["*"])
    text = json.dumps(found, ensure_ascii=False)
    assert "\u202e" not in text and "\x1b" not in text and "\\\\u202e" in text
    assert any(one.startswith("escaped: ") for one in found["warnings"])


# nothing is found


def said(answer: dict[str, Any]) -> str:
    return " ".join(one for one in answer.get("warnings", ()) if one.startswith("no_match: "))


def test_where_nothing_matches_the_buckets_that_were_searched_are_named(
    user: User, ada: Stack, bucket: str
) -> None:
    assert f"the 1 bucket that the stack shows you (s3://{bucket})" in said(
        user.call("search", query="nosuchword")
    )
    named = user.call("search", query="nosuchword", registries=[f"s3://{bucket}"])
    assert f"nothing in s3://{bucket} matches" in said(named) and "fewer words" in said(named)


def test_a_bucket_that_the_stack_does_not_show_is_told_with_what_is_near(user: User, bucket: str) -> None:
    found = user.call("search", registries=[f"s3://{bucket}x"])
    assert "does not show" in said(found) and f"Close to it: s3://{bucket}." in said(found)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("where", "expected"), [
    ("/assay/lott = 'B33'", "none of them has /assay/lott. Close to it: /assay/lot."),
    ("/assay/lot = 'B35'", "/assay/lot is there B33, B34."),
    ("/plates = '7'", "/plates is of type number there, and is compared as keyword. Write the value without quotes."),
    ("/assay/lot >= 3", "/assay/lot is of type keyword there, and is compared as number."),
    ("/plates >= 100", "/plates goes from 3 to 12 there."),
    ("size >= 1000000", "size goes from "),
    ("modified <= 2020-01-01", "modified goes from 20"),
    ("workflow = 'none'", "without where 3 packages would match."),
])  # fmt: skip
def test_where_nothing_matches_each_condition_is_told_what_there_is(
    user: User, where: str, expected: str
) -> None:
    found = user.call("search", where=where)
    assert found["data"]["hits"] == [] and expected in said(found)
    assert "without where 3 packages would match." in said(found)


def test_where_nothing_matches_without_conditions_either_that_is_said(user: User) -> None:
    found = user.call("search", query="nosuchword", where="/plates >= 1")
    assert "without where nothing matches either" in said(found)


def test_what_tells_why_nothing_matches_costs_two_requests_and_may_fail(user: User, ada: Stack) -> None:
    user.call("search", query="genomes")
    ada.forget()
    user.call("search", where="/plates >= 100")
    assert len(ada.requests("/graphql")) <= 3
    ada.fault(Fault("/graphql", "Buckets", error="no", field="Query.buckets"))
    found = user.call("search", query="nosuchword")
    assert "any bucket that the stack shows you" in said(found)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("scope", "query", "told"), [
    ("packages", "name:lab", "no field name; write ptr_name."),
    ("packages", "confocal OR Comment:run", "no field Comment; write mnfst_message."),
    ("packages", "ptr_nam:lab", "no field ptr_nam; write ptr_name"),
    ("objects", "extension:.csv", "no field extension; write ext."),
    ("objects", "s3:bucket", "no field s3; it has key, key_text, ext"),
])  # fmt: skip
def test_a_field_that_the_index_has_not_is_told_with_what_is_meant(
    user: User, scope: str, query: str, told: str
) -> None:
    """In the language of the stack itself, where no error tells it."""
    assert told in str(user.call("search", query=query, scope=scope, syntax="stack")["warnings"])


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "query",
    ["ptr_name:lab*", '"name: x"', r"a\:b", "mnfst_stats.total_files:>0", "_exists_:ptr_name", "*:*"],
)
def test_fields_that_there_are_and_what_is_no_field_are_not_told(user: User, query: str) -> None:
    for syntax in ("auto", "stack"):
        found = user.call("search", query=query, syntax=syntax)
        assert "error" not in found and "no_field" not in str(found.get("warnings"))


# the language of queries


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("query", "expected"), [
    ("name:lab/* confocal", ["lab/controls", "lab/organoids"]),
    ("name:LAB/*", ["lab/controls", "lab/organoids"]),
    ("message:assembled", ["other/genomes"]),
    ("NOT message:confocal", ["other/genomes"]),
    ("meta./assay/lot:b33", ["lab/organoids"]),
    ("meta./plates:>3 reads", ["lab/controls", "other/genomes"]),
    ("meta:B34 OR path:*.tsv", ["lab/controls"]),
    ("path:data/*.csv file_size:>=12", ["lab/controls", "other/genomes"]),
    ("ext:csv message:confocal meta./plates:<=3", ["lab/organoids"]),
    ("modified:>now-1d -message:confocal", ["other/genomes"]),
    ("modified:>now-1d name:other/*", ["other/genomes"]),
])  # fmt: skip
@pytest.mark.parametrize("is_older", [False, True])
def test_the_stack_is_asked_in_the_language_of_all_searches(
    user: User, ada: Stack, query: str, expected: list[str], is_older: bool
) -> None:
    ada.set_graph_search(not is_older)
    found = user.call("search", query=query)
    assert "error" not in found, found
    assert sorted(names(found)) == expected


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("query", "code", "said"), [
    ("ptr_nam:lab", "invalid_query", "Did you mean ptr_name"),
    ("confocal AND (", "invalid_query", "at its end"),
    ("entry_contents:reads", "invalid_query", "syntax=stack"),
    ("confocal~1", "invalid_query", "syntax=stack"),
    ("/confoc.*/", "not_supported", "syntax=stack"),
    ("NOT ext:csv", "not_supported", "engine=local"),
])  # fmt: skip
def test_what_is_not_understood_is_never_sent(
    user: User, ada: Stack, query: str, code: str, said: str
) -> None:
    user.call("status")
    ada.forget()
    error = user.call("search", query=query)["error"]
    assert error["code"] == code and said in error["message"] + error["next_step"]
    assert searches(ada) == []


def test_words_side_by_side_are_found_in_one_place_and_that_is_said(user: User) -> None:
    found = user.call("search", query="controls confocal")
    assert names(found) == ["lab/controls"]
    assert any(one.startswith("same_document: ") for one in found["warnings"])


def test_where_nothing_matches_a_condition_of_the_query_is_none_of_where(user: User) -> None:
    found = user.call("search", query="size:>1GB", where="/plates >= 1")
    assert "without where nothing matches either" in said(found)


def test_a_cursor_of_one_syntax_is_none_of_the_other(user: User) -> None:
    cursor = user.call("search", query="reads", limit=1)["page"]["next_cursor"]
    error = user.call("search", query="reads", limit=1, syntax="stack", cursor=cursor)["error"]
    assert error["code"] == "invalid_argument"


def test_a_catalog_of_this_server_reads_no_syntax_of_a_stack(user: User, bucket: str) -> None:
    error = user.call("search", query="reads", syntax="stack", engine="local", registries=[f"s3://{bucket}"])[
        "error"
    ]
    assert error["code"] == "not_supported" and "search-syntax" in error["next_step"]


# what else a stack may answer


def test_what_files_have_is_no_field_of_packages_and_is_one_of_objects(user: User) -> None:
    for field in ("path", "ext"):
        error = user.call("search", where=f"{field} like '%csv'")["error"]
        assert error["code"] == "invalid_argument" and "entry_lk" in error["next_step"]
        assert user.call("search", scope="objects", where=f"{field} like '%csv'")["data"]["hits"]
    assert user.call("search", scope="objects", where="name like '%.csv'")["data"]["hits"]
    near = user.call("search", scope="objects", where="name = 'nothing' and ext = '.csx'")
    assert "ext is there .csv" in str(near["warnings"])


def test_a_folder_is_no_bucket_to_search(user: User, tmp_path: Path) -> None:
    error = user.call("search", registries=[tmp_path.as_uri()])["error"]
    assert error["code"] in ("invalid_argument", "outside_roots")


@pytest.mark.parametrize("profile", ["1.69", "26.8"])
def test_a_malformed_query_is_told_with_what_helps(user: User, ada: Stack, profile: str) -> None:
    ada.set_profile(profile)
    error = user.call("search", query='name:(a/b "x', syntax="stack")["error"]
    assert error["code"] == ("stack_refused" if profile == "26.8" else "stack_failed")
    assert "bracket" in error["next_step"]
    if profile == "26.8":
        assert error["details"]["query"] == 'name:(a\\/b "x'


def test_a_stack_that_pages_no_further_than_it_finds_is_told(user: User, ada: Stack, bucket: str) -> None:
    user.call("status")
    hit = {"bucket": bucket, "name": "a/b", "hash": "0" * 64}
    page = {"__typename": "PackagesSearchResultSetPage", "cursor": None, "hits": [hit] * 10}
    found = {"__typename": "PackagesSearchResultSet", "total": 14_000, "firstPage": page}
    ada.fault(Fault("/graphql", status=200, body=json.dumps({"data": {"search": found}})))
    told = user.call("search", query="x")
    assert any(
        one.startswith("ends_early: the stack pages no further than 10 of 14,000") for one in told["warnings"]
    )


def test_a_total_that_is_not_told_is_none(user: User, ada: Stack, bucket: str) -> None:
    user.call("status")
    hits = [{"bucket": bucket, "name": "a/b", "hash": "0" * 64}]
    page = {"__typename": "PackagesSearchResultSetPage", "cursor": "c", "hits": hits}
    found = {"__typename": "PackagesSearchResultSet", "total": -1, "firstPage": page}
    ada.fault(Fault("/graphql", status=200, body=json.dumps({"data": {"search": found}})))
    assert "warnings" not in user.call("search", query="x", limit=0), "that nothing is shown says nothing"
    told = user.call("search", query="x")
    assert told["page"]["total"] is None and told["page"]["next_cursor"] and len(told["data"]["hits"]) == 1


def test_files_that_matched_are_counted_where_not_all_are_named(user: User, ada: Stack, bucket: str) -> None:
    user.call("status")
    files = [{"logicalKey": f"f{number}", "size": 1} for number in range(7)]
    hit = {"bucket": bucket, "name": "a/b", "hash": "0" * 64, "matchingEntries": files}
    page = {"__typename": "PackagesSearchResultSetPage", "cursor": None, "hits": [hit]}
    found = {"__typename": "PackagesSearchResultSet", "total": 1, "firstPage": page}
    ada.fault(Fault("/graphql", status=200, body=json.dumps({"data": {"search": found}})))
    [row] = user.call("search", query="x")["data"]["hits"]
    assert (row["files"], row["more_files"]) == (["f0", "f1"], 5)


def test_an_object_that_was_deleted_says_so(user: User, ada: Stack, moto: S3Access) -> None:
    bucket = moto.make_bucket()
    ada.add_bucket(bucket)
    with moto.boto() as s3:
        s3.put_object(Bucket=bucket, Key="gone.csv", Body=b"x")
        s3.delete_object(Bucket=bucket, Key="gone.csv")
    rows = user.call("search", scope="objects", registries=[f"s3://{bucket}"])["data"]["hits"]
    assert [row for row in rows if row.get("deleted")], rows
    live = user.call("search", scope="objects", registries=[f"s3://{bucket}"], where="deleted = false")
    assert all("deleted" not in row for row in live["data"]["hits"])


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("arguments", "files"), [({}, 0), ({"sort": "-modified"}, 0), ({}, 9)])
def test_a_page_of_thirty_hits_is_read_in_three_kilobytes(
    user: User, ada: Stack, bucket: str, arguments: dict[str, Any], files: int
) -> None:
    user.call("status")
    entries = [{"logicalKey": f"plate_0{number}/well.csv", "size": 1} for number in range(files)]
    hit = {
        "bucket": bucket, "name": "imaging/confocal-run", "hash": "0123456789abcdef" * 4, "size": 5.0,
        "modified": "2026-01-31T12:00:00Z", "totalEntriesCount": 3, "comment": "second delivery of the organoids, whole",
        "meta": None, "matchLocations": {"name": True, "comment": True, "meta": False, "workflow": False},
        "matchingEntries": entries,
    }  # fmt: skip
    page = {"__typename": "PackagesSearchResultSetPage", "cursor": "next", "hits": [hit] * 30}
    found = {"__typename": "PackagesSearchResultSet", "total": 300, "firstPage": page}
    ada.fault(Fault("/graphql", status=200, body=json.dumps({"data": {"search": found}})))
    answered = user.call("search", query="x", **arguments)
    rows = answered["data"]["hits"]
    assert len(rows) == 30 and (files or rows[0]["message"].startswith("second de"))
    assert ("modified" in rows[0]) == ("sort" in arguments) and len(rows[0].get("files", ())) == min(files, 1)
    assert len(json.dumps(answered, separators=(",", ":"), ensure_ascii=False).encode()) <= 3_000
