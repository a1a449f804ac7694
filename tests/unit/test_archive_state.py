"""What an object's archive is told as, from the headers that S3 answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from quilt_mcp.domain.listing import Archive
from quilt_mcp.storage.s3.archives import archive_of

RESTORED = 'ongoing-request="false", expiry-date="Sat, 28 Nov 2026 00:00:00 GMT"'
ENDS = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({}, None),
        ({"StorageClass": "STANDARD_IA"}, None),
        ({"StorageClass": "GLACIER_IR"}, None),
        ({"StorageClass": "INTELLIGENT_TIERING"}, None),
        ({"StorageClass": "GLACIER"}, Archive("GLACIER")),
        (
            {"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'},
            Archive("GLACIER", restoring=True),
        ),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": RESTORED}, Archive("DEEP_ARCHIVE", until=ENDS)),
        (
            {"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "DEEP_ARCHIVE_ACCESS"},
            Archive("INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS"),
        ),
    ],
)
def test_the_state_is_what_the_head_says(head: dict[str, Any], expected: Archive | None) -> None:
    assert archive_of(head) == expected


@pytest.mark.parametrize(
    "date", ["", ', expiry-date="soon"', ', expiry-date="Sat, 40 Nov 2026 00:00:00 GMT"']
)
def test_a_copy_without_a_date_that_means_anything_can_be_read_all_the_same(date: str) -> None:
    found = archive_of({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false"' + date})
    assert found is not None and found.is_readable


def test_an_object_that_moves_by_itself_comes_back_for_good_and_from_the_deepest_archive_late() -> None:
    deep = Archive("INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS")
    assert deep.comes_back and deep.wait("expedited") is None and deep.wait("standard") == "within 12 hours"
    near = Archive("INTELLIGENT_TIERING", "ARCHIVE_ACCESS")
    assert near.comes_back and near.wait("expedited") is not None
    assert not Archive("GLACIER").comes_back
