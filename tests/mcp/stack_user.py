"""A user of the tests' stack, who has packages that quilt3 pushed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

PUSH = """
import quilt3
for number, (name, message, meta) in enumerate(arguments["packages"]):
    package = quilt3.Package()
    with open("reads.csv", "w") as reads:
        reads.write("a,b\\n" + "1,2\\n" * (number + 1))
    package.set("data/reads.csv", "reads.csv")
    package.set_meta(meta)
    package.push(name, registry=arguments["registry"], message=message, force=True)
"""
PACKAGES = [
    ["lab/organoids", "confocal stacks of organoids", {"assay": {"lot": "B33"}, "plates": 3}],
    ["lab/controls", "controls of the confocal run", {"assay": {"lot": "B34"}, "plates": 12}],
    ["other/genomes", "assembled genomes", {"plates": 7}],
]


@pytest.fixture(scope="module")
def bucket(moto: S3Access, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Pushed by quilt3."""
    bucket = moto.make_bucket()
    push(moto, bucket, PACKAGES, tmp_path_factory.mktemp("pusher"))
    return bucket


def push(moto: S3Access, bucket: str, packages: list[Any], home: Path) -> None:
    """By quilt3: of each its name, message and metadata."""
    Quilt3(home, moto).run(PUSH, packages=packages, registry=f"s3://{bucket}")


@pytest.fixture
def ada(stack: Stack, bucket: str) -> Stack:
    """A user with two roles, of a stack that has one bucket."""
    stack.add_bucket(bucket)
    stack.change_bucket(bucket, title="Plants & more")
    stack.add_user("ada", roles=("writer", "reader"))
    return stack


class User:
    """Calls tools as a server that was started with these settings and variables does."""

    def __init__(
        self, stack: Stack, server: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any
    ) -> None:
        for name, value in replace(server, url=stack.s3_url).environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
        given = {"catalog_url": stack.url, "allow_write": True, "cache_dir": tmp_path / "cache"} | more
        self.session = Session(Settings(**given))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return asyncio.run(self.session.call(tool, arguments)).structured


@pytest.fixture
def user(ada: Stack, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    return User(ada, moto, tmp_path, monkeypatch, api_key=ada.api_key("ada"))


def names(answer: dict[str, Any]) -> list[str]:
    return [row["package"].split("@")[0] for row in answer["data"]["hits"]]
