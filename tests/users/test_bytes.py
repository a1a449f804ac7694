"""Bytes of users who have no folder here: sent by a signed upload, fetched by signed links, by a plain HTTP client."""

from __future__ import annotations

import httpx2
from company import Company, Two

BODY = b"plate,count\nA,1\n"


def test_a_user_sends_a_file_packages_it_and_fetches_a_folder(two: Two, served: Company) -> None:
    ada = two.token("ada")
    uri = f"s3://{two.hers}/in/counts.csv"
    link = served.call(ada, "object_link", uri=uri, upload=True, size=len(BODY))
    with httpx2.Client(trust_env=False, timeout=30) as plain:
        data = link["data"]
        assert (
            plain.request(data["method"], data["url"], content=BODY, headers=data["headers"]).status_code
            == 200
        )
        sources = [{"from": link["uri"], "to": "data/counts.csv"}]
        registry = f"s3://{two.hers}"
        made = served.call(ada, "package_create", package="lab/sent", registry=registry, sources=sources)
        assert made["data"]["created"], made
        found = served.call(
            ada, "object_link", package="lab/sent", registry=registry, path="data", download=True
        )
        assert {one["path"]: plain.get(one["url"]).content for one in found["data"]["links"]} == {
            "data/counts.csv": BODY
        }


def test_a_link_opens_what_its_user_may_open_and_no_more(two: Two, served: Company) -> None:
    """bob's own keys sign his links, so S3 refuses what they may not do."""
    uri = f"s3://{two.hers}/in/forged.csv"
    data = served.call(two.token("bob"), "object_link", uri=uri, upload=True, size=len(BODY))["data"]
    with httpx2.Client(trust_env=False, timeout=30) as plain:
        assert plain.put(data["url"], content=BODY, headers=data["headers"]).status_code == 403
    with two.server.boto() as raw:
        assert raw.list_objects_v2(Bucket=two.hers, Prefix="in/forged")["KeyCount"] == 0


def test_no_link_is_noted_in_the_audit(two: Two, served: Company) -> None:
    served.call(two.token("ada"), "object_link", package="lab/reads", download=True)
    assert "X-Amz-Signature" not in served.log.read_text()


def test_who_asks_for_a_folder_here_is_told_the_links(two: Two, served: Company) -> None:
    error = served.call(two.token("ada"), "package_install", package="lab/reads", dest="copy")["error"]
    assert error["code"] == "not_supported" and "download=true" in error["next_step"]
    refused = served.call(two.token("ada"), "object_link", uri="file:///etc/new", upload=True, size=1)[
        "error"
    ]
    assert "upload=true" in refused["next_step"]
