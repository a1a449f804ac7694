"""Search of a stack whose GraphQL has none: by /api/search, with a query of Elasticsearch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from stack_user import User, names, push

from parts.s3_access import S3Access
from parts.stack import Fault, Stack
from quilt_mcp.catalog.search import stack_search

OLDER = "/api/search"


@pytest.fixture
def older(ada: Stack) -> Stack:
    ada.set_graph_search(False)
    return ada


def asked(stack: Stack) -> list[dict[str, list[str]]]:
    return [parse_qs(one["query"]) for one in stack.requests(OLDER)]


def test_words_find_packages_by_name_message_metadata_and_files(user: User, older: Stack) -> None:
    for query, expected in [
        ("confocal", ["lab/controls", "lab/organoids"]),
        ("genomes", ["other/genomes"]),
        ("B34", ["lab/controls"]),
        ("reads", ["lab/controls", "lab/organoids", "other/genomes"]),
        ("ptr_name:lab/*", ["lab/controls", "lab/organoids"]),
        ("nosuchword", []),
    ]:
        found = user.call("search", query=query)
        assert sorted(names(found)) == expected, query
        assert found["page"]["total"] == len(expected)
        assert any(one.startswith("older_search: ") for one in found["warnings"])


def test_what_is_found_is_what_graphql_finds(
    user: User, older: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> list[dict[str, Any]]:
        found = user.call("search", query="confocal", sort="name", detail=True)["data"]["hits"]
        return [{key: value for key, value in row.items() if key != "matched"} for row in found]

    before = rows()
    assert before[0]["metadata"] == {"assay": {"lot": "B34"}, "plates": 12}
    older.set_graph_search(True)
    monkeypatch.setattr(stack_search, "LOOK_AGAIN", 0.0)
    assert rows() == before


@pytest.mark.nightly
def test_files_that_match_are_told(user: User, older: Stack) -> None:
    found = user.call("search", query="reads AND csv", where="name = 'other/genomes'")
    [row] = found["data"]["hits"]
    assert row["files"] == ["data/reads.csv"]
    opened = user.call("object_read", uri=f"{row['package']}/data/reads.csv")
    assert opened["data"]["size"] == 16


@pytest.mark.nightly
@pytest.mark.parametrize(("where", "expected"), [
    ("/assay/lot = B33", ["lab/organoids"]),
    ("/plates >= 7", ["lab/controls", "other/genomes"]),
    ("name like 'lab/%'", ["lab/controls", "lab/organoids"]),
    ("name in ('lab/controls', 'other/genomes') and /plates <= 7", ["other/genomes"]),
    ("modified >= 2020-01-01", ["lab/controls", "lab/organoids", "other/genomes"]),
    ("modified <= 2020-01-01", []),
    ("/assay/lot contains 'b3'", ["lab/controls", "lab/organoids"]),
    ("name contains 'ORGAN'", ["lab/organoids"]),
    ("name contains 'lab.'", []),
    ("name like 'LAB/%'", []),
    ("/assay/lot like 'B__'", ["lab/controls", "lab/organoids"]),
    ("/assay/lot like '*33'", []),
    ("size > 0 and entries < 2", ["lab/controls", "lab/organoids", "other/genomes"]),
    ("size >= 0 and size <= 0", []),
    ("/plates = '7'", []),
])  # fmt: skip
def test_conditions_narrow_exactly(user: User, older: Stack, where: str, expected: list[str]) -> None:
    found = user.call("search", where=where)
    assert "error" not in found, found
    assert sorted(names(found)) == expected


def test_words_and_conditions_narrow_each_other(user: User, older: Stack) -> None:
    assert names(user.call("search", query="confocal", where="/plates >= 7")) == ["lab/controls"]


def test_pages_add_up_to_the_whole_each_by_one_request(user: User, older: Stack) -> None:
    whole = names(user.call("search", sort="name"))
    older.forget()
    seen, cursor = [], None
    while True:
        page = user.call("search", sort="name", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += names(page)
        cursor = page["page"]["next_cursor"]
        if cursor is None:
            break
    assert seen == whole == ["lab/controls", "lab/organoids", "other/genomes"]
    assert [one["path"] for one in older.requests()] == [OLDER, OLDER], "remembered, and the buckets too"


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("sort", "first"),
    [("name", "lab/controls"), ("-name", "other/genomes"), ("-modified", "other/genomes")],
)
def test_packages_are_sorted_by_what_their_pointers_have(
    user: User, older: Stack, sort: str, first: str
) -> None:
    assert names(user.call("search", sort=sort))[0] == first


@pytest.mark.sampled(1)
@pytest.mark.parametrize("arguments", [{"sort": "-size"}, {"sort": "/plates"}, {"facets": ["*"]}])
def test_what_this_way_cannot_do_is_refused(user: User, older: Stack, arguments: dict[str, Any]) -> None:
    error = user.call("search", **arguments)["error"]
    assert error["code"] == "not_supported" and "older search" in error["message"]


@pytest.mark.nightly
def test_old_revisions_are_found_where_they_are_asked_for(
    user: User, older: Stack, moto: S3Access, tmp_path: Path
) -> None:
    bucket = moto.make_bucket()
    older.add_bucket(bucket)
    push(moto, bucket, [["a/b", "first", {}]], tmp_path / "one")
    push(moto, bucket, [["a/b", "second", {"n": 1}]], tmp_path / "two")
    where = {"registries": [f"s3://{bucket}"]}
    assert [row["message"] for row in user.call("search", **where)["data"]["hits"]] == ["second"]
    rows = user.call("search", all_revisions=True, **where)["data"]["hits"]
    assert sorted(row["message"] for row in rows) == ["first", "second"]
    assert user.call("search", query="first", **where)["data"]["hits"] == []


def test_objects_are_found_sorted_and_narrowed(user: User, older: Stack, bucket: str) -> None:
    found = user.call("search", query="reads", scope="objects", where="ext = .csv", sort="-size")
    assert "error" not in found, found
    sizes = [row["size"] for row in found["data"]["hits"]]
    assert sizes and sizes == sorted(sizes, reverse=True)
    for row in found["data"]["hits"]:
        assert row["uri"].startswith(f"s3://{bucket}/")
        assert user.call("object_read", uri=row["uri"])["data"]["size"] == row["size"]


def test_a_search_for_the_total_alone_has_no_hits(user: User, older: Stack) -> None:
    found = user.call("search", query="confocal", limit=0)
    assert found["data"]["hits"] == [] and found["page"] == {"next_cursor": None, "total": 2}


def test_only_indexes_of_buckets_that_are_shown_and_allowed_are_named(
    older: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, hidden = moto.make_bucket(), moto.make_bucket()
    older.add_bucket(other)
    older.add_bucket(hidden)
    older.add_role("two", {bucket: "READ", other: "READ"})
    older.add_user("eve", roles=("two",))
    key = older.api_key("eve")
    user = User(older, moto, tmp_path, monkeypatch, api_key=key)
    user.call("search", scope="objects")
    user.call("search", registries=[f"s3://{other}", f"s3://{hidden}"])
    nothing = user.call("search", registries=[f"s3://{hidden}"])
    assert nothing["data"]["hits"] == [] and "does not show" in str(nothing["warnings"])
    allowed = User(older, moto, tmp_path, monkeypatch, api_key=key, allowed_buckets=(other, hidden))
    allowed.call("search")
    assert allowed.call("search", registries=[f"s3://{bucket}"])["error"]["code"] == "permission_denied"
    index = [one["index"] for one in asked(older)]
    assert index == [[",".join(sorted((bucket, other)))], [f"{other}_packages"], [f"{other}_packages"]]


def test_a_role_that_was_switched_is_searched_with_its_own_buckets(
    older: Stack, moto: S3Access, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = moto.make_bucket()
    older.add_bucket(other)
    older.add_role("one", {bucket: "READ"})
    older.add_role("two", {other: "READ"})
    older.add_user("eve", roles=("one", "two"))
    user = User(older, moto, tmp_path, monkeypatch, api_key=older.api_key("eve"))
    assert len(names(user.call("search"))) == 3
    older.set_role("eve", "two")
    assert user.call("search")["data"]["hits"] == []
    older.fault(Fault(OLDER, status=403, body="{}"))
    assert user.call("search")["error"]["code"] == "permission_denied"


def test_no_text_of_a_caller_becomes_a_part_of_the_query(user: User, older: Stack) -> None:
    text = '"}}}, "terms": {"key": {"index": "other", "id": "1", "path": "x"}}'
    found = user.call(
        "search", query=f'"{text.replace(chr(34), "")}"', where=f"name = '{text}' and /a = '{text}'"
    )
    assert "error" not in found, found
    [given] = asked(older)
    assert set(json.loads(given["body"][0])) == {
        "query",
        "sort",
        "from",
        "size",
        "_source",
        "track_total_hits",
    }


def test_a_malformed_query_is_told_with_its_reason(user: User, older: Stack) -> None:
    error = user.call("search", query="name:(lab AND", syntax="stack")["error"]
    assert error["code"] == "stack_refused" and error["details"]["reason"] and "bracket" in error["next_step"]


def test_a_question_that_is_too_long_is_refused_and_none_is_left_out(user: User, older: Stack) -> None:
    error = user.call("search", where=f"name = '{'é' * 2_000}'")["error"]
    assert error["code"] == "invalid_argument" and "fewer registries" in error["next_step"]


def test_the_older_way_is_remembered_and_an_upgrade_is_noticed(
    user: User, older: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.call("search", query="genomes")
    older.set_graph_search(True)
    older.forget()
    assert any(one.startswith("older_search") for one in user.call("search", query="genomes")["warnings"])
    assert older.requests("/graphql") == []
    monkeypatch.setattr(stack_search, "LOOK_AGAIN", 0.0)
    found = user.call("search", query="genomes")
    assert names(found) == ["other/genomes"] and not found.get("warnings")


def test_an_older_way_that_stops_working_gives_way_to_graphql(user: User, older: Stack) -> None:
    user.call("search", query="genomes")
    older.set_graph_search(True)
    older.fault(Fault(OLDER, status=404, body="{}"))
    found = user.call("search", query="genomes")
    assert names(found) == ["other/genomes"] and not found.get("warnings")


def test_a_stack_without_any_search_says_so(user: User, older: Stack) -> None:
    older.fault(Fault(OLDER, status=404, body="<html>"))
    error = user.call("search", query="genomes")["error"]
    assert error["code"] == "not_supported" and "packages_list" in error["next_step"]


def test_a_cursor_of_the_other_way_is_refused(user: User, ada: Stack) -> None:
    cursor = user.call("search", sort="name", limit=1)["page"]["next_cursor"]
    ada.set_graph_search(False)
    error = user.call("search", sort="name", limit=1, cursor=cursor)["error"]
    assert error["code"] == "invalid_argument" and "without cursor" in error["next_step"]


def _hit(bucket: str, **change: Any) -> dict[str, Any]:
    manifest = {"hits": {"hits": [{"_source": {"mnfst_hash": "0" * 64}}]}}
    hit = {
        "_index": f"{bucket}_packages",
        "_source": {"ptr_name": "a/b"},
        "inner_hits": {"manifest": manifest},
    }
    return hit | change


def _inner(source: Any) -> dict[str, Any]:
    return {"inner_hits": {"manifest": {"hits": {"hits": [{"_source": source}]}}}}


@pytest.mark.nightly
@pytest.mark.parametrize("hit", [
    None, 3, {"_index": None}, {"_index": "x/y_packages"}, {"_index": "other-bucket_packages"}, {"_source": None},
    {"_source": {"ptr_name": 3}}, {"inner_hits": None}, {"inner_hits": {"manifest": {"hits": {"hits": None}}}},
    {"inner_hits": {"manifest": []}}, _inner({"mnfst_hash": "short"}), _inner(None), {"_source": {"ptr_name": "a/b\u202e"}},
])  # fmt: skip
def test_what_the_index_names_wrongly_is_counted_and_the_rest_answered(
    user: User, older: Stack, bucket: str, hit: Any
) -> None:
    odd = _hit(bucket) | hit if isinstance(hit, dict) else hit
    told = {"total": {"value": 2, "relation": "eq"}, "hits": [odd, _hit(bucket)]}
    body = {"hits": told}
    older.fault(Fault(OLDER, status=200, body=json.dumps(body)))
    found = user.call("search", query="x")
    assert names(found) == ["a/b"] and any(one.startswith("odd_hits: 1 ") for one in found["warnings"])


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("change", "code"), [
    ({"hits": None}, "stack_failed"),
    ({"hits": {"hits": {}}}, "stack_failed"),
    ({"timed_out": True}, "stack_failed"),
    ({"_shards": {"failed": 2}}, "stack_failed"),
])  # fmt: skip
def test_an_answer_in_part_is_not_believed(
    user: User, older: Stack, bucket: str, change: dict[str, Any], code: str
) -> None:
    body = {"hits": {"total": 1, "hits": [_hit(bucket)]}} | change
    older.fault(Fault(OLDER, status=200, body=json.dumps(body)))
    assert user.call("search", query="x")["error"]["code"] == code


@pytest.mark.nightly
@pytest.mark.parametrize(("status", "body", "code"), [
    (403, "{}", "permission_denied"), (502, "<html>", "storage_unavailable"), (400, "<html>", "stack_refused"),
    (200, "<html>", "storage_unavailable"), (302, "", "storage_unavailable"),
])  # fmt: skip
def test_a_refusal_of_the_registry_is_told(
    user: User, older: Stack, status: int, body: str, code: str
) -> None:
    older.fault(Fault(OLDER, status=status, body=body, times=None))
    assert user.call("search", query="x")["error"]["code"] == code


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("total", "told"), [
    (3, 3), ({"value": 3, "relation": "eq"}, 3), ({"value": 10_000, "relation": "gte"}, None), (-1, None), ("x", None),
])  # fmt: skip
def test_a_total_is_told_where_it_is_exact(
    user: User, older: Stack, bucket: str, total: Any, told: int | None
) -> None:
    older.fault(Fault(OLDER, status=200, body=json.dumps({"hits": {"total": total, "hits": [_hit(bucket)]}})))
    assert user.call("search", query="x")["page"]["total"] == told


def test_no_further_page_than_the_index_has_is_offered(user: User, older: Stack, bucket: str) -> None:
    body = {"hits": {"total": 14_000, "hits": [_hit(bucket)] * 1_000}}
    older.fault(Fault(OLDER, status=200, body=json.dumps(body), times=None))
    pages: list[Callable[[], Any]] = []
    cursor, found = None, {}
    while len(pages) < 12:
        found = user.call("search", query="x", limit=1_000, **({"cursor": cursor} if cursor else {}))
        pages.append(found)
        cursor = found["page"]["next_cursor"]
        if cursor is None:
            break
    assert any(
        one.startswith("ends_early: the stack pages no further than 10,000") for one in found["warnings"]
    )
