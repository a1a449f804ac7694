"""Links where there is a Quilt stack: pages of its catalog, and what brings bytes."""

from __future__ import annotations

import json
import urllib.request

from stack_user import User

from parts.stack import Stack
from parts.stack.faults import no_credentials


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


ORGANOIDS = {"package": "lab/organoids"}


def test_a_folder_is_a_page_of_the_catalog_and_with_download_its_files(user: User, stack: Stack) -> None:
    page = user.call("object_link", **ORGANOIDS, path="data")["data"]
    assert page["kind"] == "catalog" and page["url"].startswith(f"{stack.url}/b/")
    assert page["url"].endswith("/data/")
    found = user.call("object_link", **ORGANOIDS, path="data", download=True)["data"]
    assert found["kind"] == "presigned"
    assert [(row["path"], fetched(row["url"])) for row in found["links"]] == [
        ("data/reads.csv", "a,b\n1,2\n")
    ]
    file = {**ORGANOIDS, "path": "data/reads.csv"}
    assert user.call("object_link", **file)["data"]["kind"] == "catalog"
    one = user.call("object_link", **file, download=True)["data"]
    assert one["kind"] == "presigned" and fetched(one["url"]) == "a,b\n1,2\n"


def test_nothing_is_signed_where_the_stack_wants_no_downloads(user: User, stack: Stack) -> None:
    stack.set_config(noDownload=True)
    for path in ("data", "data/reads.csv"):
        assert user.call("object_link", **ORGANOIDS, path=path)["data"]["kind"] == "catalog"
        answer = user.call("object_link", **ORGANOIDS, path=path, download=True)
        assert answer["error"]["details"]["setting"] == "noDownload"
        assert "X-Amz-" not in json.dumps(answer)


def test_through_the_stack_there_is_nothing_to_sign_with(user: User, stack: Stack, bucket: str) -> None:
    stack.fault(no_credentials())
    assert user.call("object_link", **ORGANOIDS, path="data")["data"]["kind"] == "catalog"
    refused = user.call("object_link", **ORGANOIDS, path="data", download=True)["error"]
    assert refused["code"] == "not_supported" and "object_read" in refused["next_step"]
    error = user.call("object_link", uri=f"s3://{bucket}/in/x", upload=True, size=1)["error"]
    assert error["code"] == "not_supported" and "package_create" in error["next_step"]
