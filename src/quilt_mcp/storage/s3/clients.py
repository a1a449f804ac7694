"""S3Clients: the shared clients of one identity, one a region, never one a call.

obstore (Rust) carries the bytes; boto3 does what it cannot: object versions, checksums, server-side copies, signed links,
keys that are not plain paths. Both ask one credentials source, so a refresh is seen by both.
Both are imported at first use, and untyped: neither ships types that strict checking can use.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from quilt_mcp.environment import proxy_before
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.storage.s3.answers.bounds import bound_answers
from quilt_mcp.storage.s3.answers.listing import read_listings
from quilt_mcp.storage.s3.errors import s3_errors
from quilt_mcp.storage.s3.kept import Kept
from quilt_mcp.storage.s3.network import NOWHERE

DEFAULT_REGION: Final = "us-east-1"
CONNECTIONS: Final = 32
CONNECT_SECONDS = 10.0
READ_SECONDS = 15.0
"""How long a server may be silent. With what is tried again, any request to one that falls silent ends within a minute."""
PATIENT_SECONDS = 60.0
"""For a copy inside S3, of which nothing is heard until it is done."""
_ATTEMPTS: Final = 3
_FAST_RETRIES: Final = 3
_FAST_RETRY_FACTOR: Final = 1.5
"""obstore tries again as long as this many silences have not passed."""
_REGION_HEADER: Final = "x-amz-bucket-region"
_STATIC_KEYS_LAST: Final = timedelta(days=365)
_MOMENT: Final = 0.02


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Keys as of now. ``expires``: when they have to be asked for again, None for never; ``end``: when they stop working, where
    that is later. Never shown in ``repr``."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    end: datetime | None = None


_KEPT: Final = Kept()
_lost_in_fork = False
"""Whether a parent of this process had used obstore."""
KeySource = Callable[[], AwsKeys]
"""Answers current keys, refreshing them where it must. May block; called from worker threads."""


@dataclass(eq=False, repr=False)
class S3Clients:
    """``keys`` None: unsigned requests (public buckets). ``endpoint_url`` None: AWS itself. ``ca_bundle``: a file of certificate
    authorities to trust. What the environment says of these is not looked at here, nor by the clients that are made.
    ``s3_proxy``: where requests go, signed for AWS, as a Quilt stack forwards them (without ``endpoint_url``)."""

    keys: KeySource | None
    _: KW_ONLY
    endpoint_url: str | None = None
    region: str | None = None
    ca_bundle: str | None = None
    requester_pays: bool = False
    s3_proxy: str | None = None

    def __post_init__(self) -> None:
        self._region = self.region or DEFAULT_REGION
        self._regions: dict[str, str] = {}
        self._lock = threading.Lock()
        _KEPT.belongs_to(self)

    def keys_end(self) -> datetime | None:
        """When the keys in use expire; what they signed ends then too."""
        keys = None if self.keys is None else self.keys()
        return keys and (keys.end or keys.expires)

    def boto(self, bucket: str | None = None, *, patient: bool = False) -> Any:
        """The boto3 S3 client of the bucket's region. Blocks at its first use of a region (0.2 s and one request)."""
        wanted = (self._region if bucket is None else self.region_of(bucket), patient)
        return self._kept(wanted, lambda: self._new_boto(*wanted))

    def fast(self, bucket: str) -> Any:
        """The obstore store of the bucket. Blocks at its first use of a bucket."""
        region = self.region_of(bucket)
        endpoint = self.endpoint_url or self.boto(bucket).meta.endpoint_url
        return self._kept(bucket, lambda: self._new_fast(bucket, region, endpoint))

    def kept_fast(self, bucket: str) -> Any | None:
        """As ``fast``, where it asks nobody and makes nothing; else None."""
        return _KEPT.get(self, bucket)

    def _kept(self, key: Hashable, make: Callable[[], Any]) -> Any:
        found = _KEPT.get(self, key)
        if found is None:
            with self._lock:
                found = _KEPT.get(self, key) or _KEPT.set(self, key, make())
        return found

    def by_path(self, bucket: str) -> bool:
        """Whether the bucket stands in the path of a request, not in the host's name."""
        return self.endpoint_url is not None or self.s3_proxy is not None or "." in bucket

    @functools.cached_property
    def by_boto_alone(self) -> bool:
        """Whether boto3 alone carries the bytes. Where a proxy of the environment stands before a server other than AWS: there
        obstore cannot be kept from following a redirect to any host, and boto3 follows none. And where a stack forwards them:
        obstore signs for the host that it asks. And in a process that was forked from one that had used obstore: it would wait
        for ever for threads that only its parent has."""
        if self.s3_proxy is not None or _lost_in_fork:
            return True
        return self.endpoint_url is not None and proxy_before(self.endpoint_url) is not None

    def region_of(self, bucket: str) -> str:
        """The bucket's own region, asked once. An S3-compatible server has the configured one."""
        if self.endpoint_url is not None:
            return self._region
        if bucket not in self._regions:
            self._regions[bucket] = self._ask_region(bucket)
        return self._regions[bucket]

    def _ask_region(self, bucket: str) -> str:
        client = self.boto()
        with s3_errors(bucket, None, "s3:ListBucket"):
            try:
                about: dict[str, Any] = client.head_bucket(Bucket=bucket)["ResponseMetadata"]
            except client.exceptions.ClientError as error:
                # S3 names the region even where it refuses the request.
                about = error.response["ResponseMetadata"]
                if _REGION_HEADER not in about.get("HTTPHeaders", {}):
                    raise
        return about.get("HTTPHeaders", {}).get(_REGION_HEADER) or self._region

    def _new_boto(self, region: str, patient: bool) -> Any:
        session = _new_session()
        if (source := self.keys) is not None:

            def metadata() -> dict[str, str | None]:
                keys = source()
                expires = keys.expires or datetime.now(UTC) + _STATIC_KEYS_LAST
                return {
                    "access_key": keys.access_key,
                    "secret_key": keys.secret_key,
                    "token": keys.token,
                    "expiry_time": expires.isoformat(),
                }

            refreshable = import_module("botocore.credentials").RefreshableCredentials
            session._credentials = refreshable.create_from_metadata(metadata(), metadata, "quilt-mcp")
        config = import_module("botocore.config").Config(
            signature_version=import_module("botocore").UNSIGNED if self.keys is None else "s3v4",
            max_pool_connections=CONNECTIONS,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=PATIENT_SECONDS if patient else READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            proxies=self._proxies(region),
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # What is sent has its SHA256 in a header that is signed; hashed for the signature once more, it would cost twice.
            s3={
                "payload_signing_enabled": False,
                # By "auto" boto3 signs links for a host of all regions, which sends who asks for a new bucket to another host.
                "addressing_style": "path" if self.endpoint_url else "virtual",
            }
            | ({} if self.s3_proxy is None else {"us_east_1_regional_endpoint": "regional"}),
            ignore_configured_endpoint_urls=True,
        )
        boto = import_module("boto3").Session(botocore_session=session)
        client = boto.client(
            "s3",
            region_name=region,
            endpoint_url=self.endpoint_url,
            verify=self.ca_bundle if self._authorities() else None,
            config=config,
        )
        if self.s3_proxy is not None:
            client.meta.events.register("before-send.s3", functools.partial(_send_by, self.s3_proxy))
        read_listings(client)
        bound_answers(client, import_module("botocore.exceptions"))
        return client

    def _new_fast(self, bucket: str, region: str, endpoint: str) -> Any:
        _once_obstore_is_used()
        client: dict[str, Any] = {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=READ_SECONDS),
            "timeout": timedelta(minutes=30),
            "allow_http": endpoint.startswith("http://"),
            "allow_invalid_certificates": False,
        }
        if self.endpoint_url is not None:
            client |= {"proxy_url": NOWHERE, "proxy_excludes": urlsplit(self.endpoint_url).hostname}
        if authorities := self._authorities():
            client["root_certificate"] = authorities
        # obstore takes from the environment what it is not given, by rules of its own; so it is given all that matters.
        given: dict[str, Any] = {
            "region": region,
            "endpoint": endpoint,
            "aws_endpoint_url_s3": endpoint,
            "virtual_hosted_style_request": False,
            "s3_express": False,
            "conditional_put": "etag",
            "unsigned_payload": False,
            "request_payer": self.requester_pays,
            "skip_signature": self.keys is None,
            "checksum_algorithm": "SHA256",
            "client_options": client,
            "retry_config": {
                "max_retries": _FAST_RETRIES,
                "retry_timeout": timedelta(seconds=READ_SECONDS * _FAST_RETRY_FACTOR),
            },
        }
        if (source := self.keys) is not None:

            def provide() -> dict[str, Any]:
                keys = source()
                return {
                    "access_key_id": keys.access_key,
                    "secret_access_key": keys.secret_key,
                    "token": keys.token,
                    "expires_at": keys.expires,
                }

            given["credential_provider"] = provide
        return import_module("obstore.store").S3Store(bucket, **given)

    def _proxies(self, region: str) -> dict[str, str]:
        """By scheme: the one before the host that is asked."""
        url = self.s3_proxy or self.endpoint_url or f"https://s3.{region}.amazonaws.com"
        proxy = proxy_before(url)
        return {} if proxy is None else {urlsplit(url).scheme: proxy}

    def _authorities(self) -> bytes | None:
        """The certificate authorities to trust beside the system's. Raises InvalidArgument when they cannot be read."""
        if self.ca_bundle is None:
            return None
        try:
            return Path(self.ca_bundle).read_bytes()
        except OSError as error:
            raise InvalidArgument(
                f"The certificate bundle {self.ca_bundle} cannot be read: {error.strerror}.",
                next_step="Set AWS_CA_BUNDLE (or REQUESTS_CA_BUNDLE, or SSL_CERT_FILE, whichever names it) to a file of "
                "certificates (PEM), or unset it.",
                details={"ca_bundle": self.ca_bundle},
            ) from error


def _send_by(proxy: str, request: Any, **_: Any) -> None:
    """botocore's event, after a request was signed: its URL becomes a path of the stack's."""
    request.url = f"{proxy}/{request.url.partition('://')[2]}"


def _new_session() -> Any:
    """botocore's session, with the settings of the profile in use. Keys are given, so a variable that names a profile which is
    not there (a quilt3 session is in use, say) is no reason to fail."""
    make = import_module("botocore.session").Session
    session = make()
    if session.profile is not None and session.profile not in session.available_profiles:
        session = make(session_vars={"profile": (None, None, None, None)})
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))
    return session


@functools.cache
def _once_obstore_is_used() -> None:
    """A thread of obstore's comes back to the interpreter a moment after it has handed over an answer. When the interpreter is
    being taken down by then the process aborts, its work done, with the exit status of a failure. So its end waits a moment.
    A process that is forked from now on knows that it has none of these threads."""
    atexit.register(time.sleep, _MOMENT)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_note_fork)


def _note_fork() -> None:
    global _lost_in_fork  # noqa: PLW0603 - of the process, as obstore's threads are
    _lost_in_fork = True


@functools.cache
def _models(data_path: str | None) -> Any:
    """botocore's models of AWS, read once for all identities: 0.1 s and some megabytes each."""
    return import_module("botocore.loaders").create_loader(data_path)
