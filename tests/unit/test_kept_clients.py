"""Clients of S3 are kept in a bounded number, and go with whoever they sign for."""

from __future__ import annotations

import gc
import weakref

from quilt_mcp.storage.s3 import clients as clients_module
from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients
from quilt_mcp.storage.s3.kept import Kept


class Owner:
    pass


def test_the_last_so_many_are_kept_whoever_they_are_of() -> None:
    kept, owners = Kept(most=3), [Owner() for _ in range(5)]
    for number, owner in enumerate(owners):
        kept.set(owner, "bucket", number)
    assert [kept.get(owner, "bucket") for owner in owners] == [None, None, 2, 3, 4]
    assert kept.get(owners[2], "bucket") == 2
    kept.set(Owner(), "bucket", 9)
    assert [kept.get(owner, "bucket") for owner in owners[2:]] == [2, None, 4]


def test_what_is_an_owners_is_no_other_owners_and_goes_with_it() -> None:
    kept, ada, bob = Kept(), Owner(), Owner()
    for owner in (ada, bob):
        kept.belongs_to(owner)
        kept.set(owner, "bucket", owner.__class__())
    assert kept.get(ada, "bucket") is not kept.get(bob, "bucket")
    del ada
    gc.collect()
    assert len(kept._clients) == 1 and kept.get(bob, "bucket") is not None


def test_a_users_clients_do_not_keep_the_user() -> None:
    before = len(clients_module._KEPT._clients)
    clients = S3Clients(lambda: AwsKeys("a", "b"), endpoint_url="http://127.0.0.1:9", region="us-east-1")
    clients.boto("bucket"), clients.fast("bucket")
    gone = weakref.ref(clients)
    del clients
    gc.collect()
    assert gone() is None
    assert len(clients_module._KEPT._clients) == before
