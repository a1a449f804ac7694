"""Raw access to an S3 server, beside whatever is under test: boto3 as its makers set it up, and fresh buckets."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from obstore.store import S3Store

_numbers = itertools.count(1)

_session = boto3.session.Session()
"""One for all clients: reading botocore's models anew would cost each test half a second."""
_session_lock = threading.Lock()


@dataclass(frozen=True)
class S3Access:
    """Where a server listens and who asks. ``via`` a proxy's address gives the same through the proxy."""

    url: str
    access_key: str = "testing"
    secret_key: str = "testing-secret"
    session_token: str | None = None
    region: str = "us-east-1"

    def via(self, url: str) -> S3Access:
        return replace(self, url=url)

    @contextmanager
    def boto(
        self, service: str = "s3", *, attempts: int = 1, anonymous: bool = False, connections: int = 50
    ) -> Iterator[Any]:
        """A boto3 client, by default without retries, so that each fault shows as it came."""
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": "path"},
            max_pool_connections=connections,
            connect_timeout=10,
            read_timeout=60,
            signature_version=UNSIGNED if anonymous else "s3v4" if service == "s3" else None,
        )
        with _session_lock:
            client = _session.client(
                service,
                endpoint_url=self.url,
                region_name=self.region,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                aws_session_token=self.session_token,
                config=config,
            )
        try:
            yield client
        finally:
            client.close()

    def obstore(self, bucket: str) -> S3Store:
        """The other client of our engine, without retries."""
        return S3Store(
            bucket,
            endpoint=self.url,
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            region=self.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
        )

    def make_bucket(self, *, versioned: bool = True, name: str | None = None) -> str:
        """A fresh, empty bucket. On a versioned one every write keeps the one before."""
        with self.boto() as s3:
            return make_bucket(s3, versioned=versioned, name=name)

    def environment(self) -> dict[str, str]:
        """For a child process: this server and no other, no profile, no instance metadata."""
        variables = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        if self.session_token:
            variables["AWS_SESSION_TOKEN"] = self.session_token
        return variables


def make_bucket(s3: Any, *, versioned: bool = True, name: str | None = None) -> str:
    """As ``S3Access.make_bucket``, with a client that is there already."""
    name = name or f"bucket-{os.getpid()}-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name
