"""Narrowing and history against quilt3: what its own walk, its packages and its diffs say of the same registry."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import packages
import pytest
import quilt3

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri

ROUNDS = 6


@pytest.fixture
def ops(tmp_path: Path) -> LocalOps:
    (tmp_path / "registry").mkdir()
    options = Options(roots=(tmp_path,), writable=False, cache=tmp_path / "cache", cache_bytes=1 << 20)
    return LocalOps((tmp_path / "registry").as_uri(), options)


def built(package: Any, ops: LocalOps, name: str, message: str) -> Any:
    package.build(name, registry=ops.default_registry, message=message)
    return quilt3.Package.browse(name, registry=ops.default_registry)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_browse_finds_what_a_walk_of_quilt3s_package_finds(ops: LocalOps, seed: int) -> None:
    spec = packages.generate(seed)
    walked = dict(built(packages.quilt3_package(spec), ops, spec.name, "m").walk())
    uri = PackageUri(ops.default_registry, spec.name)

    async def browse(**asked: Any) -> list[str]:
        found = await ops.browse(uri, limit=1000, **asked)
        assert found.shown.bytes == sum(walked[item.path].size for item in found.page.items)
        return [item.path for item in found.page.items]

    for letter in {key[0] for key in walked if key[0].isalnum()}:
        pattern = f"*{letter}*"
        found = anyio.run(partial(browse, match=pattern))
        assert found == [key for key in walked if any(fnmatchcase(name, pattern) for name in key.split("/"))]
    largest = anyio.run(lambda: browse(recursive=True, sort="-size"))
    assert [walked[path].size for path in largest] == sorted(
        (one.size for one in walked.values()), reverse=True
    )


def test_the_log_of_a_path_has_the_revisions_between_which_quilt3_finds_a_difference(ops: LocalOps) -> None:
    name = "a/b"
    package, revisions = quilt3.Package(), list[Any]()
    for number in range(ROUNDS):
        package.set(f"d/f{number % 3}", packages_file(ops, number))
        if number == 4:
            package.delete("d/f0")
        revisions.append(built(package, ops, name, f"m{number}"))
        time.sleep(1.01)  # quilt3 names a revision by the second
    theirs = {"m0"}
    for number, (before, after) in enumerate(pairwise(revisions), 1):
        if any("d/f0" in keys for keys in before.diff(after)):
            theirs.add(f"m{number}")
    page = anyio.run(lambda: ops.log(PackageUri(ops.default_registry, name, path="d/f0")))
    assert {one.message for one in page.items} == theirs == {"m0", "m3", "m4"}
    assert [one.change.kind for one in page.items if one.change] == ["removed", "modified", "added"]


def packages_file(ops: LocalOps, number: int) -> str:
    file = Path(ops.default_registry.removeprefix("file://")).parent / f"file{number}"
    file.write_text(f"content {number}")
    return str(file)
