"""Verdicts on large manifests (claim C31): when they are made, that each is made once, and what waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
