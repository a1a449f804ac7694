"""Folders that go away, or are not folders, in the middle of a call: a typed error with a next step, or a whole answer."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from faulty_store import Call, Fault, open_faulty

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.errors import QuiltError
from quilt_mcp.ops import QuiltOps

pytestmark = pytest.mark.anyio

NAME = "a/b"
Act = Callable[[QuiltOps, Path], Awaitable[object]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def package(ops: QuiltOps, path: str | None = None) -> PackageUri:
    return PackageUri(ops.default_registry, NAME, path=path)


ACTS: dict[str, Act] = {
    "create": lambda ops, root: ops.create(
        CreateRequest(package(ops), (Source(str(root / "data")),), (InlineFile("i", b"3"),), overwrite=True)
    ),
    "create in place": lambda ops, root: ops.create(
        CreateRequest(package(ops), (Source(str(root / "data")),), overwrite=True, copy=False)
    ),
    "patch": lambda ops, _: ops.patch(PatchRequest(package(ops), files=(InlineFile("i", b"4"),), merge=True)),
    "copy": lambda ops, _: ops.copy(CopyRequest(package(ops), package(ops), message="new")),
    "rollback": lambda ops, _: ops.rollback(package(ops)),
    "delete": lambda ops, _: ops.delete(package(ops)),
    "browse": lambda ops, _: ops.browse(package(ops)),
    "read": lambda ops, _: ops.read(package(ops, "one")),
    "log": lambda ops, _: ops.log(package(ops)),
    "list": lambda ops, _: ops.list_packages(ops.default_registry),
    "diff": lambda ops, _: ops.diff(package(ops), package(ops)),
    "verify": lambda ops, _: ops.verify(package(ops)),
    "install": lambda ops, root: ops.install(package(ops), str(root / "installed")),
    "put": lambda ops, _: ops.put_object(f"{ops.default_registry}/x", b"1", overwrite=True),
    "objects": lambda ops, _: ops.list_objects(f"{ops.default_registry}/"),
}
"""Each is given a package of two files to work on."""


async def prepare(root: Path) -> None:
    (root / "data").mkdir(parents=True)
    (root / "data/one").write_text("1")
    (root / "data/two").write_text("2")
    await ACTS["create"](open_faulty(root).ops, root)


async def typed(act: Act, ops: QuiltOps, root: Path) -> None:
    try:
        await act(ops, root)
    except QuiltError as error:
        assert error.next_step
        assert error.code != "internal_error"


@pytest.mark.parametrize("folder", ["registry", "registry/.quilt", "data", "cache/scratch", "cache"])
@pytest.mark.parametrize("act", ACTS)
async def test_a_folder_removed_at_any_call_is_a_typed_error(act: str, folder: str, tmp_path: Path) -> None:
    await prepare(tmp_path / "whole")
    undisturbed = open_faulty(tmp_path / "whole")
    await ACTS[act](undisturbed.ops, tmp_path / "whole")
    for number in range(len(undisturbed.stores.calls)):
        root = tmp_path / str(number)
        await prepare(root)

        async def remove(call: Call) -> Fault | None:
            if call.number == number:  # noqa: B023 - used within this turn of the loop
                shutil.rmtree(root / folder, ignore_errors=True)  # noqa: B023
            return None

        await typed(ACTS[act], open_faulty(root, remove).ops, root)


@pytest.mark.parametrize(
    "folder",
    ["registry/.quilt/packages", "registry/.quilt/named_packages", "registry/.quilt/objects", "registry/.quilt/tmp",
     "registry/.quilt/locks", "cache/scratch", "cache", "installed", "data"],
)  # fmt: skip
@pytest.mark.parametrize("act", ACTS)
async def test_a_file_where_a_folder_should_be_is_a_typed_error(
    act: str, folder: str, tmp_path: Path
) -> None:
    await prepare(tmp_path)
    shutil.rmtree(tmp_path / folder, ignore_errors=True)
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / folder).write_text("in the way")
    await typed(ACTS[act], open_faulty(tmp_path).ops, tmp_path)
