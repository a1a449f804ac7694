"""The IAM backend keeps the contract of QuiltOps: on moto, with versions and without, and on Ceph."""

from __future__ import annotations

import pytest
from listing_contract import ListingContract
from ops_contract import (
    AnsweringContract,
    QuiltOpsContract,
    ShowingContract,
    TellingContract,
    WritingContract,
)
from s3_ops_contract import BucketContract, OnBuckets
from upload_contract import UploadContract

from parts.ceph import CephCluster
from parts.s3_access import S3Access


@pytest.mark.sampled(2)
class TestIamOps(BucketContract, WritingContract, ListingContract):
    pass


@pytest.mark.nightly
class TestIamOpsTelling(BucketContract, ShowingContract, TellingContract):
    """In CI a folder is held to it."""


class TestUploads(UploadContract):
    pass


@pytest.mark.nightly
class TestIamOpsWithoutVersions(BucketContract, QuiltOpsContract):
    """In CI the Quilt3 backend is held to the contract on buckets of this kind."""

    versioned = False


@pytest.mark.xdist_group("ceph")
@pytest.mark.timeout(300)  # the server starts in the first
class OnCeph(OnBuckets):
    keeps_conditions = False

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, ceph: CephCluster) -> S3Access:
        return ceph.access


@pytest.mark.nightly
class TestIamOpsOnCeph(OnCeph, BucketContract, WritingContract):
    pass


@pytest.mark.unmeasured
class TestUploadsToCeph(OnCeph, UploadContract):
    checks_signatures = True


@pytest.mark.nightly
class TestIamOpsAnsweringOnCeph(OnCeph, BucketContract, AnsweringContract):
    pass


@pytest.mark.nightly
class TestIamOpsOnCephWithoutVersions(OnCeph, BucketContract, QuiltOpsContract):
    versioned = False
