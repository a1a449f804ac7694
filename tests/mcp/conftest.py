"""A registry made by quilt3, and a client on every wire; the users of a Quilt stack."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import WIRES, Connect, Place, PlaceOnS3, connected, environment, stop_shared
from stack_user import ada, bucket, user

from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

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


@pytest.fixture(scope="module")
def stack_bucket(moto: S3Access) -> str:
    return moto.make_bucket()


@pytest.fixture
def people(stack: Stack, stack_bucket: str) -> Stack:
    """root, who administers; ada, who writes; eve, who reads."""
    stack.add_bucket(stack_bucket)
    stack.add_user("root", admin=True)
    stack.add_user("ada")
    stack.add_user("eve", ["reader"])
    return stack


@pytest.fixture
def opened(
    people: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Session]:
    """A session as a server has it that was started with these settings."""
    for name, value in replace(moto, url=people.s3_url).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    home = tmp_path / "home"
    home.mkdir()

    def open_session(user: str, **more: Any) -> Session:
        given = {"catalog_url": people.url, "cache_dir": tmp_path / "cache", "roots": (home,)}
        given |= {"allow_write": True, "api_key": people.api_key(user, label=f"of {user}")}
        return Session(Settings(**(given | more)))

    return open_session


@pytest.fixture
def calls(opened: Callable[..., Session]) -> Callable[..., Callable[..., dict[str, Any]]]:
    def of_user(user: str, **more: Any) -> Callable[..., dict[str, Any]]:
        session = opened(user, **more)
        return lambda tool, **arguments: asyncio.run(session.call(tool, arguments)).structured

    return of_user


@pytest.fixture
def root(calls: Callable[..., Callable[..., dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    return calls("root")


@pytest.fixture
def judge(people: Stack, moto: S3Access, tmp_path: Path) -> Callable[..., Any]:
    """The real quilt3, as the administrator."""
    client = Quilt3(tmp_path / "judge", replace(moto, url=people.s3_url))

    def ask(script: str, **arguments: Any) -> Any:
        begin = (
            "quilt3.config(arguments['catalog'])\n"
            "quilt3.session.login_with_api_key(arguments['key'])\n"
            "import quilt3.admin as admin\n"
        )
        key = people.api_key("root", label="of the judge")
        return client.run(begin + script, catalog=people.url, key=key, **arguments)

    return ask
