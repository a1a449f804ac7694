"""A registry made by quilt3, and a client on every wire."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import WIRES, Connect, Place, PlaceOnS3, connected, environment, stop_shared
from stack_user import ada, bucket, user

from parts.proxy import Proxy
from parts.s3_access import S3Access

__all__ = ["ada", "bucket", "user"]
"""Fixtures of a stack's user."""
MAKER = Path(__file__).with_name("quilt3_registry.py")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """For reading, and for writing packages of other names."""
    home = tmp_path_factory.mktemp("home")
    yield Place(home, home / "registry", home / "here", made_by_quilt3(home))
    stop_shared()


@pytest.fixture(scope="session")
def place_on_s3(
    moto: S3Access, moto_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlaceOnS3]:
    """The same in a bucket behind the proxy, pushed by quilt3, for servers with AWS keys."""
    home = tmp_path_factory.mktemp("home-on-s3")
    bucket = f"s3://{moto.make_bucket()}"
    hashes = made_by_quilt3(home, bucket, **moto.environment())
    variables = moto.via(moto_proxy.url).environment() | {"QUILT_DEFAULT_REGISTRY": bucket}
    yield PlaceOnS3(home, home / "registry", home / "here", hashes, variables)
    stop_shared()


def made_by_quilt3(home: Path, *bucket: str, **variables: str) -> dict[str, list[str]]:
    quiet = {
        "QUILT_DISABLE_USAGE_METRICS": "true",
        "QUILT_MINIMIZE_STDOUT": "true",
        "XDG_DATA_HOME": str(home / "quilt3"),
    }
    made = subprocess.run(
        [sys.executable, "-W", "ignore", str(MAKER), str(home), *bucket],
        env=environment(home, **quiet, **variables),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout.splitlines()[-1])


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def connect(wire: str, place: Place) -> Connect:
    """A client of a server that it starts: ``async with connect("--allow-write") as client``."""
    return lambda *flags, **variables: connected(place, wire, *flags, **variables)
