"""case_S2, case_E4: a single user's local registry and buckets in one session, whichever of them is the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parts.s3_access import S3Access
from quilt_mcp.config import Settings
from quilt_mcp.session import Session

CONTENT = {"path": "a.csv", "text": "1,2\n"}


class Person:
    """Somebody with a local registry of quilt3's, a folder to work in, and a bucket."""

    def __init__(self, home: Path, bucket: str) -> None:
        self.local = (home / "data/Quilt/packages").as_uri()
        self.bucket = f"s3://{bucket}"
        self.work = home / "work"
        self.work.mkdir()
        self.settings = {"allow_write": True, "roots": (self.work,), "cache_dir": home / "cache"}

    def session(self, **more: Any) -> Session:
        return Session(Settings(**{**self.settings, **more}))


async def call(session: Session, tool: str, **arguments: Any) -> dict[str, Any]:
    reply = await session.call(tool, arguments)
    assert not reply.is_error, reply.structured
    return reply.structured["data"]


async def buckets(session: Session) -> dict[str, dict[str, Any]]:
    """All of them by address: other tests have theirs on this server, too."""
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, Any] = {}
    while True:
        reply = await session.call("registry_list", {"limit": 1000, **cursor})
        found |= {one["registry"]: one for one in reply.structured["data"]["registries"]}
        after = (reply.structured.get("page") or {}).get("next_cursor")
        if after is None:
            return found
        cursor = {"cursor": after}


@pytest.fixture
def person(tmp_path: Path, moto: S3Access, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    return Person(tmp_path, moto.make_bucket())


@pytest.mark.sampled(1)
@pytest.mark.anyio
@pytest.mark.parametrize("default", ["bucket", "local", "folder", "none"])
async def test_case_S2_packages_go_between_folder_and_bucket_in_one_session(
    person: Person, default: str
) -> None:
    named = {
        "bucket": person.bucket, "local": person.local, "folder": str(person.work / "registry"), "none": None,
    }[default]  # fmt: skip
    session = person.session(default_registry=named)
    assert (await call(session, "status"))["backend"] == "iam"
    found = await buckets(session)
    assert {person.local, person.bucket} <= set(found)
    assert found[person.local]["writable"] is True
    assert (await call(session, "packages_list", registry=person.local))["packages"] == []

    await call(session, "package_create", package="me/one", registry=person.local, files=[CONTENT])
    there = f"quilt+{person.local}#package=me/one"
    await call(session, "package_copy", package=there, to="me/two", to_registry=person.bucket)
    away = f"quilt+{person.bucket}#package=me/two"
    await call(session, "package_copy", package=away, to="me/three", to_registry=person.local)
    sources = [{"from": away, "to": "up"}, {"from": there, "to": "down"}]
    await call(session, "package_create", package="me/four", registry=person.local, sources=sources)
    for name, registry in (("me/two", person.bucket), ("me/three", person.local), ("me/four", person.local)):
        assert (await call(session, "package_verify", package=name, registry=registry))["ok"]
    dest = str(person.work / "installed")
    await call(session, "package_install", package="me/two", registry=person.bucket, dest=dest)
    assert (person.work / "installed/a.csv").read_text() == "1,2\n"


@pytest.mark.anyio
async def test_case_E4_unsigned_requests_go_beside_a_folder_too(person: Person) -> None:
    session = person.session(default_registry=person.local, anonymous=True)
    found = await call(session, "status")
    assert (found["backend"], found["principal"], found["registry"]) == ("iam", "anonymous", person.local)


@pytest.mark.anyio
async def test_case_E3_without_credentials_a_bucket_is_refused_with_anonymous_first(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for session in (person.session(), person.session(default_registry=person.bucket)):
        reply = await session.call("packages_list", {"registry": person.bucket})
        error = reply.structured["error"]
        assert error["next_step"].startswith("If ") and "--anonymous" in error["next_step"].partition(".")[0]


@pytest.mark.anyio
async def test_case_E5_without_a_registry_another_server_is_not_asked_for_the_example_of_aws(
    person: Person,
) -> None:
    found = await call(person.session(), "status")
    assert found["registry"] == person.local
    assert "--registry" in found["why"]


@pytest.mark.anyio
async def test_a_server_for_many_has_no_local_registry_of_anybody(person: Person) -> None:
    from quilt_mcp.backends.options import Options

    assert Options.of(Settings(http=True)).local_registry is None
    assert Options.of(Settings(http=True, single_user=True)).local_registry is not None
