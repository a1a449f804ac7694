"""Verdicts on large manifests (claim C31): when they are made, that each is made once, and what waits for them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from parts.manifests import true_hash
from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.errors import CorruptManifest
from quilt_mcp.ops import QuiltOps
from quilt_mcp.registry.manifests import cache as cache_module
from quilt_mcp.registry.manifests.manifest import Manifest

pytestmark = pytest.mark.anyio


class Counted:
    """How often a manifest's lines were read to find their hash."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        find_hash = Manifest.find_hash

        def counting(manifest: Manifest, *arguments: object) -> str:
            self.times += 1
            return find_hash(manifest, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Manifest, "find_hash", counting)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Each manifest is taken for one of more than 64 MiB."""
    monkeypatch.setattr(cache_module, "VERIFIED_AT_ONCE", 0)
    return Counted(monkeypatch)


def manifest_bytes(entries: int) -> bytes:
    lines = ['{"version": "v0"}\n']
    for number in range(entries):
        lines.append(
            f'{{"logical_key": "f{number:06}", "physical_keys": ["s3://b/{number}"], "size": 1, '
            f'"hash": {{"type": "SHA256", "value": "{number:064x}"}}, "meta": {{}}}}\n'
        )
    return "".join(lines).encode()


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "registry"


def write(registry: Path, body: bytes, top_hash: str) -> None:
    (registry / ".quilt/packages").mkdir(parents=True, exist_ok=True)
    (registry / ".quilt/packages" / top_hash).write_bytes(body)
    named = registry / ".quilt/named_packages/t/p"
    named.mkdir(parents=True, exist_ok=True)
    for tag in ("latest", "1700000000"):
        (named / tag).write_text(top_hash)


def opened(registry: Path) -> QuiltOps:
    """A new process, as far as a cache can tell; of this one every manifest is large."""
    options = Options((registry.parent,), True, registry.parent / "cache", 1 << 30)
    ops = LocalOps(registry.as_uri(), options)
    ops._manifests._small = 0
    return ops


@pytest.fixture
def pinned(registry: Path) -> Iterator[PackageUri]:
    body = manifest_bytes(300)
    write(registry, body, true_hash(body))
    yield PackageUri(registry.as_uri(), "t/p", top_hash=true_hash(body))


async def test_the_first_answer_comes_ahead_and_says_so_and_the_next_waits(
    registry: Path, pinned: PackageUri, counted: Counted
) -> None:
    ops = opened(registry)
    assert (await ops.browse(pinned)).verified is None
    assert counted.times == 0
    assert [revision.verified for revision in (await ops.log(pinned)).items] == [None]
    for _ in range(3):
        assert (await ops.browse(pinned)).verified is True
    assert counted.times == 1
    assert [revision.verified for revision in (await ops.log(pinned)).items] == [True]
    assert [package.verified for package in (await ops.list_packages(registry.as_uri())).items] == [True]


async def test_a_verdict_is_kept_for_the_next_process(
    registry: Path, pinned: PackageUri, counted: Counted
) -> None:
    ops = opened(registry)
    for _ in range(2):
        await ops.browse(pinned)
    assert counted.times == 1
    assert (await opened(registry).browse(pinned)).verified is True
    assert counted.times == 1


async def test_what_acts_at_once_is_answered_by_the_look(
    registry: Path, pinned: PackageUri, counted: Counted
) -> None:
    await opened(registry).diff(pinned, pinned)
    assert (await opened(registry).browse(pinned)).verified is True
    assert counted.times == 0


async def test_what_acts_waits_for_the_verdict(registry: Path, pinned: PackageUri, counted: Counted) -> None:
    (registry / ".quilt/packages" / str(pinned.top_hash)).write_bytes(manifest_bytes(299))
    ops = opened(registry)
    assert (await ops.browse(pinned)).verified is None
    for call in (
        lambda: ops.diff(pinned, pinned),
        lambda: ops.read(replace(pinned, path="f000001")),
        lambda: ops.install(pinned, str(registry.parent / "dest")),
        lambda: ops.browse(pinned),
    ):
        with pytest.raises(CorruptManifest) as caught:
            await call()
        assert caught.value.details["found"] == true_hash(manifest_bytes(299))
    assert counted.times == 1
    with pytest.raises(CorruptManifest):
        await opened(registry).browse(pinned)
    assert counted.times == 1


async def test_other_bytes_under_the_same_name_are_asked_anew(
    registry: Path, pinned: PackageUri, counted: Counted
) -> None:
    ops = opened(registry)
    for _ in range(2):
        await ops.browse(pinned)
    write(registry, manifest_bytes(299), str(pinned.top_hash))
    assert (await ops.browse(pinned)).verified is None
    with pytest.raises(CorruptManifest):
        await ops.browse(pinned)
    write(registry, manifest_bytes(300), str(pinned.top_hash))
    assert (await ops.browse(pinned)).verified is True
    assert counted.times == 2  # the first bytes are known by their etag


async def test_up_to_64_mib_the_verdict_comes_with_the_look(
    registry: Path, pinned: PackageUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    assert cache_module.VERIFIED_AT_ONCE == 64 << 20
    assert (await opened(registry).browse(pinned)).verified is True
    assert counted.times == 0


FILES_TO_READ = 20_000


@pytest.mark.nightly
async def test_verifying_many_small_files_is_cancelled_within_two_seconds(tmp_path: Path) -> None:
    """Review R12: an installed copy of many files is gone through once, and between any two of them it may be cancelled."""
    registry, dest = tmp_path / "registry", tmp_path / "dest"
    dest.mkdir()
    (dest / "one").write_bytes(b"1")
    digest = hashlib.sha256(b"1").hexdigest()
    lines = ['{"version": "v0"}\n']
    for number in range(FILES_TO_READ):
        lines.append(
            f'{{"logical_key": "f{number:06}", "physical_keys": ["s3://b/{number}"], "size": 1, '
            f'"hash": {{"type": "SHA256", "value": "{digest}"}}, "meta": {{}}}}\n'
        )
        os.link(dest / "one", dest / f"f{number:06}")
    body = "".join(lines).encode()
    write(registry, body, true_hash(body))
    package, ops = PackageUri(registry.as_uri(), "t/p"), opened(registry)
    with anyio.CancelScope() as scope:

        async def cancel_midway(done: float, total: float | None, message: str) -> None:
            if done > FILES_TO_READ / 4:
                scope.deadline = anyio.current_time()

        await ops.verify(package, dest=str(dest), progress=cancel_midway)
    assert scope.cancelled_caught
    assert anyio.current_time() - scope.deadline < 2
    report = await ops.verify(package, dest=str(dest))
    assert [(problem.path, problem.problem) for problem in report.problems] == [("one", "extra")]
