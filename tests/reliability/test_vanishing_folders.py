"""Folders that go away, or are not folders, in the middle of a call: a typed error with a next step, or the whole of what was
asked, which is looked at without the engine."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import registry_checks
from faulty_store import Call, Fault, open_faulty

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Commit, CopyRequest, CreateRequest, InlineFile, PatchRequest, Source
from quilt_mcp.errors import QuiltError
from quilt_mcp.ops import QuiltOps

pytestmark = pytest.mark.anyio

NAME = "a/b"
MADE = {"i": b"3", "one": b"1", "two": b"2"}
Act = Callable[[QuiltOps, Path], Awaitable[Any]]
Check = Callable[[Any, Path], None]
"""Of an act that succeeded: what it answered, and what lies there."""


def package(ops: QuiltOps, path: str | None = None) -> PackageUri:
    return PackageUri(ops.default_registry, NAME, path=path)


async def create(ops: QuiltOps, root: Path, inline: bytes) -> Commit:
    sources = (Source(str(root / "data")),)
    return await ops.create(CreateRequest(package(ops), sources, (InlineFile("i", inline),), overwrite=True))


ACTS: dict[str, Act] = {
    "create": lambda ops, root: create(ops, root, b"4"),
    "create in place": lambda ops, root: ops.create(
        CreateRequest(package(ops), (Source(str(root / "data")),), overwrite=True, copy=False)
    ),
    "patch": lambda ops, _: ops.patch(PatchRequest(package(ops), files=(InlineFile("i", b"4"),), merge=True)),
    "copy": lambda ops, _: ops.copy(
        CopyRequest(PackageUri(ops.default_registry, "a/other"), package(ops), overwrite=True)
    ),
    "rollback": lambda ops, _: ops.copy(CopyRequest(package(ops), package(ops))),
    "delete": lambda ops, _: ops.delete(package(ops), whole=True),
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


MEDDLED = ("not_read_back: ", "latest_moved: ", "timestamp_replaced: ")


def published(stored: dict[str, bytes], *, beside: Iterable[str] = ()) -> Check:
    """The revision that was answered is the latest and the newest of the log, unless the answer warns that another was there
    after it. ``stored`` is there, whole; what it names ``beside`` that may have gone: the act had no reason to look."""

    def check(answer: Any, root: Path) -> None:
        registry = root / "registry"
        if isinstance(answer, Commit) and any(warning.startswith(MEDDLED) for warning in answer.warnings):
            return
        assert registry_checks.pointers(registry, NAME)["latest"] == answer.top_hash
        assert registry_checks.log(registry, NAME)[-1] == answer.top_hash
        _, records = registry_checks.manifest(registry, answer.top_hash)
        assert {record["logical_key"] for record in records} == {*stored, *beside}
        whole = registry_checks.files(registry, answer.top_hash, of=[*stored])
        assert whole == stored

    return check


def nothing(answer: Any, root: Path) -> None:
    """Answers that tell what they found."""


def deleted(answer: Any, root: Path) -> None:
    assert answer.done
    assert registry_checks.pointers(root / "registry", NAME) == {}


def installed(answer: Any, root: Path) -> None:
    assert answer.done
    assert {path.name: path.read_bytes() for path in (root / "installed").iterdir()} == MADE


def put(answer: Any, root: Path) -> None:
    assert (root / "registry/x").read_bytes() == b"1"


def browsed(answer: Any, root: Path) -> None:
    assert [item.path for item in answer.page.items] == [*MADE]


def read(answer: Any, root: Path) -> None:
    assert answer.data == b"1"


CHECKS: dict[str, Check] = {
    "create": published(MADE | {"i": b"4"}),
    "create in place": published({}, beside=("one", "two")),
    "patch": published({"i": b"4"}, beside=("one", "two")),
    "copy": published({}, beside=MADE),
    "rollback": published({}, beside=MADE),
    "delete": deleted,
    "install": installed,
    "put": put,
    "browse": browsed,
    "read": read,
}


async def prepare(root: Path) -> None:
    (root / "data").mkdir(parents=True)
    (root / "data/one").write_text("1")
    (root / "data/two").write_text("2")
    ops = open_faulty(root).ops
    await create(ops, root, b"3")
    other = PackageUri(ops.default_registry, "a/other")
    await ops.copy(CopyRequest(package(ops), other, message="other"))


async def whole_or_typed(act: str, ops: QuiltOps, root: Path) -> None:
    try:
        answer = await ACTS[act](ops, root)
    except QuiltError as error:
        assert error.next_step
        assert error.code != "internal_error"
    else:
        CHECKS.get(act, nothing)(answer, root)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("folder", ["registry", "registry/.quilt", "data", "cache/scratch", "cache"])
@pytest.mark.parametrize("act", ACTS)
async def test_a_folder_removed_at_any_call_is_told_or_harms_nothing(
    act: str, folder: str, tmp_path: Path
) -> None:
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

        await whole_or_typed(act, open_faulty(root, remove).ops, root)


@pytest.mark.sampled(12)
@pytest.mark.parametrize(
    "folder",
    ["registry/.quilt/packages", "registry/.quilt/named_packages", "registry/.quilt/objects", "registry/.quilt/tmp",
     "registry/.quilt/locks", "cache/scratch", "cache", "installed"],
)  # fmt: skip
@pytest.mark.parametrize("act", ACTS)
async def test_a_file_where_a_folder_should_be_is_told_or_harms_nothing(
    act: str, folder: str, tmp_path: Path
) -> None:
    await prepare(tmp_path)
    shutil.rmtree(tmp_path / folder, ignore_errors=True)
    (tmp_path / folder).parent.mkdir(exist_ok=True)
    (tmp_path / folder).write_text("in the way")
    await whole_or_typed(act, open_faulty(tmp_path).ops, tmp_path)
