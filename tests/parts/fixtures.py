"""Fixtures over the real parts. The servers start once a session (one for each xdist worker), and only when a test asks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from parts.ceph import CephCluster, absence, ceph_cluster
from parts.moto_server import moto_server
from parts.proxy import Proxy
from parts.s3_access import S3Access
from parts.stack import Stack, quilt_stack


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Access]:
    with moto_server() as access:
        yield access


@pytest.fixture(scope="session")
def moto_proxy(moto: S3Access) -> Iterator[Proxy]:
    with Proxy(moto.url) as proxy:
        yield proxy
        assert proxy.failures == []


@pytest.fixture
def s3(moto: S3Access, moto_proxy: Proxy) -> S3Access:
    """moto through the proxy."""
    return moto.via(moto_proxy.url)


@pytest.fixture(scope="session")
def _one_stack(moto: S3Access) -> Iterator[Stack]:
    with quilt_stack(moto) as stack:
        yield stack


@pytest.fixture
def stack(_one_stack: Stack) -> Stack:
    """A Quilt stack of the newest release, without buckets and users."""
    _one_stack.reset()
    return _one_stack


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephCluster]:
    """Tests that ask for this bear ``pytest.mark.xdist_group("ceph")``, so that one worker alone starts it.

    They are skipped where it is not installed, but where CI has promised it.
    """
    lacking = absence()
    if lacking is not None and not os.environ.get("CEPH_REQUIRED"):
        pytest.skip(lacking)
    with ceph_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ceph_proxy(ceph: CephCluster) -> Iterator[Proxy]:
    with Proxy(ceph.access.url) as proxy:
        yield proxy
        assert proxy.failures == []
