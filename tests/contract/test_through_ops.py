"""The Platform backend keeps the contract of QuiltOps for a user whom the stack gives no AWS credentials. What that way cannot
bring in (bytes) is brought by IAM beside it, so that every answer about it is the stack's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
from deletion_contract import DeletionContract
from front_contract import FrontContract
from history_contract import HistoryContract
from install_contract import InstallContract
from listing_contract import ListingContract
from narrowing_contract import NarrowingContract
from packages_contract import PackagesContract
from reading_contract import ReadingContract
from s3_ops_contract import OnBuckets

from parts.iam_ops import iam_ops
from parts.s3_access import S3Access
from parts.stack import Stack, quilt_stack
from parts.stack.faults import no_credentials
from quilt_mcp.ops import QuiltOps

BROUGHT_IN = frozenset({"create", "patch", "plan_create", "plan_patch", "put_object"})


@pytest.fixture(scope="module")
def stack(moto: S3Access) -> Iterator[Stack]:
    with quilt_stack(moto) as made:
        made.add_user("ada")
        made.fault(no_credentials())
        yield made


class TwoHands:
    """Asks one backend for what it says, and has another bring files in."""

    def __init__(self, told: QuiltOps, direct: QuiltOps) -> None:
        self.told, self.direct = told, direct

    def __getattr__(self, name: str) -> Any:
        return getattr(self.direct if name in BROUGHT_IN else self.told, name)


class Through(OnBuckets):
    backend = "platform"
    stack: ClassVar[Stack]

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, moto: S3Access, stack: Stack) -> S3Access:
        cls.stack = stack
        return moto

    @pytest.fixture(autouse=True)
    def with_both_hands(self, open_backend: None, tmp_path: Path, server: S3Access) -> None:
        roots = (self.folder.parent,)
        direct = iam_ops(server, self.bucket, roots=roots, cache=tmp_path / "direct")
        self.ops = TwoHands(self.ops, direct)  # type: ignore[assignment]

    def environment(self, server: S3Access) -> dict[str, str]:
        return server.environment()

    def signed_in_by(self) -> dict[str, Any]:
        self.stack.add_bucket(self.bucket)
        return {"catalog_url": self.stack.url, "api_key": self.stack.api_key("ada")}

    @cached_property
    def other_registry(self) -> str:  # type: ignore[override]
        registry = super().other_registry
        self.stack.add_bucket(registry.removeprefix("s3://"))
        return registry


@pytest.mark.nightly
class TestReadingThroughTheStack(Through, ReadingContract, FrontContract, HistoryContract):
    test_a_link_is_made_for_a_file_and_for_an_object = None
    test_a_link_to_nothing_is_refused = None
    """Objects by themselves are out of reach."""
    test_bytes_that_changed_are_not_read_as_the_packages_own = None
    test_a_readme_that_cannot_be_read_is_a_warning_and_the_browse_stands = None
    """They have a manifest name other places, and a stack knows a revision by its hash. See ``test_through_stack``."""
    test_after_a_rollback_one_line_alone_is_the_latest = None
    test_an_unlogged_latest_stands_in_one_line_of_all_pages = None
    """A rollback is a new line of the log, and without a line there is no package to a stack."""
    test_what_cannot_be_read_is_passed_over_with_a_warning = None
    """A revision that the stack fails to tell may be told in a moment: nothing is compared past it."""


@pytest.mark.nightly
class TestListingThroughTheStack(Through, ListingContract, PackagesContract, NarrowingContract):
    """The stack of the tests lists hundreds of packages by quilt3, which takes its time."""

    test_a_long_look_pauses_and_goes_on_by_its_cursor = None
    """The stack tells metadata by the page: its bounds are others. See ``test_through_stack``."""
    test_a_package_that_cannot_be_looked_at_is_warned_of_once_and_not_found = None
    test_a_package_that_cannot_be_read_stays_in_the_listing_with_a_warning = None
    test_what_is_no_pointer_is_named_with_how_to_remove_it = None
    test_what_stands_among_packages_and_is_none_is_warned_of_and_passed_over = None
    test_a_latest_pointer_that_is_no_hash_is_corrupt = None
    test_a_latest_that_no_timestamp_logs_is_shown_and_warned_of = None
    test_malformed_pointers_are_warned_of_and_the_rest_of_the_log_stands = None
    test_a_place_that_is_no_registry_is_told_from_an_empty_one = None
    """A stack tells of packages, and of nothing else that stands in their place."""
    test_of_large_manifests_the_files_are_not_counted_for_a_listing = None
    test_the_newest_come_first_when_asked_for = None
    test_metadata_is_told_whole_or_by_pointer = None
    test_details_are_those_of_the_latest_revision = None
    test_packages_are_found_by_words_and_by_a_pattern = None
    """It counts packages and files itself, where a bucket's listing tells no total. See ``test_through_stack``."""


@pytest.mark.nightly
class TestTakingThroughTheStack(Through, InstallContract, DeletionContract):
    test_a_deletion_at_any_moment_of_a_push_takes_what_was_there_and_no_more = None
    """A stack deletes under no condition."""
    test_what_was_left_is_looked_for_within_bounds_and_past_damage = None
    test_damaged_bytes_are_not_installed = None
    test_verify_reads_no_more_than_the_path_asks = None
    test_a_changed_manifest_does_not_verify = None
    """They change a manifest under its name, and a stack knows a revision by its hash. See ``test_through_stack``."""
