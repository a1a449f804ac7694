"""The Platform backend keeps the contract of QuiltOps with an API key of a stack. It uses the AWS keys that the stack gives it,
and no others: those in its environment are refused at S3's door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import pytest
from ops_contract import AnsweringContract, QuiltOpsContract, WritingContract
from s3_ops_contract import BucketContract, OnBuckets

from parts.s3_access import S3Access
from parts.stack import Stack, quilt_stack


@pytest.fixture(scope="module")
def stack(moto: S3Access) -> Iterator[Stack]:
    with quilt_stack(moto) as made:
        made.add_user("ada")
        yield made


class WithApiKey(OnBuckets):
    backend = "platform"
    stack: ClassVar[Stack]

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, moto: S3Access, stack: Stack) -> S3Access:
        cls.stack = stack
        return moto

    def environment(self, server: S3Access) -> dict[str, str]:
        return replace(server, url=self.stack.s3_url).environment()

    def signed_in_by(self) -> dict[str, Any]:
        self.stack.add_bucket(self.bucket)
        return {"catalog_url": self.stack.url, "api_key": self.stack.api_key("ada")}

    @cached_property
    def other_registry(self) -> str:  # type: ignore[override]
        registry = super().other_registry
        self.stack.add_bucket(registry.removeprefix("s3://"))
        return registry


@pytest.mark.nightly
class TestPlatformOps(WithApiKey, BucketContract, WritingContract):
    versioned = False


@pytest.mark.nightly
class TestPlatformOpsAnswering(WithApiKey, AnsweringContract):
    versioned = False


@pytest.mark.nightly
class TestPlatformOpsWithVersions(WithApiKey, BucketContract, QuiltOpsContract):
    """In CI the Quilt3 backend, which is the same but for its bearer, is held to the contract."""
