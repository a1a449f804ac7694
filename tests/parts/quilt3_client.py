"""quilt3 with one S3 client. By itself it makes a session and a client for each thing it does, which is most of its time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import quilt3.data_transfer
import quilt3.hooks
import quilt3.session
from botocore.config import Config


@contextmanager
def one_client() -> Iterator[None]:
    """The client finds its server as a user's would, by the environment."""
    make = quilt3.data_transfer.get_boto3_session
    session = functools.cache(quilt3.session.get_boto3_session)
    client = functools.cache(lambda: session().client("s3", config=Config(max_pool_connections=20)))
    quilt3.data_transfer.get_boto3_session = session
    before = quilt3.hooks.set_build_s3_client_hook(lambda *_: client())
    try:
        yield
    finally:
        quilt3.hooks.set_build_s3_client_hook(before)
        quilt3.data_transfer.get_boto3_session = make
