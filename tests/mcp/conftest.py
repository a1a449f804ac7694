"""A registry made by quilt3, and a client on every wire."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import WIRES, Connect, Place, connected, environment, stop_shared

MAKER = Path(__file__).with_name("quilt3_registry.py")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """For reading, and for writing packages of other names."""
    home = tmp_path_factory.mktemp("home")
    quiet = {
        "QUILT_DISABLE_USAGE_METRICS": "true",
        "QUILT_MINIMIZE_STDOUT": "true",
        "XDG_DATA_HOME": str(home / "quilt3"),
    }
    made = subprocess.run(
        [sys.executable, "-W", "ignore", str(MAKER), str(home)],
        env=environment(home, **quiet),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    yield Place(home, home / "registry", home / "here", json.loads(made.stdout.splitlines()[-1]))
    stop_shared()


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def connect(wire: str, place: Place) -> Connect:
    """A client of a server that it starts: ``async with connect("--allow-write") as client``."""
    return lambda *flags, **variables: connected(place, wire, *flags, **variables)
