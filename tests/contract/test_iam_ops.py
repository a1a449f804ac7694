"""The IAM backend keeps the contract of QuiltOps: on moto, with versions and without, and on Ceph."""

from __future__ import annotations

import pytest
from s3_ops_contract import S3OpsContract, WithoutVersions

from parts.ceph import CephCluster
from parts.s3_access import S3Access


class TestIamOps(S3OpsContract):
    pass


class OnCeph(S3OpsContract):
    keeps_conditions = False

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, ceph: CephCluster) -> S3Access:
        return ceph.access


@pytest.mark.xdist_group("ceph")
@pytest.mark.timeout(300)  # the server starts in the first
@pytest.mark.nightly
class TestIamOpsOnCephWithoutVersions(OnCeph, WithoutVersions):
    pass


@pytest.mark.xdist_group("ceph")
@pytest.mark.timeout(300)
@pytest.mark.unmeasured
class TestIamOpsOnCeph(OnCeph):
    pass


@pytest.mark.nightly
class TestIamOpsWithoutVersions(WithoutVersions):
    """In CI the Quilt3 backend is held to the contract on buckets of this kind."""
