"""C2, C3, C4, C5: what a push tells when the clock stands still, a rival is quicker, an answer is lost, or quilt3 pushes too."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import registry_checks
from faulty_store import Call, Fault, Opened, at, nothing, open_faulty
from registry_checks import log, pointers

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import Commit, CopyRequest, CreateRequest, InlineFile, PatchRequest, Rename, Source
from quilt_mcp.errors import EntryNotFound, QuiltError, StaleParent
from quilt_mcp.ops import QuiltOps

NAME = "a/b"
NOON = 1_700_000_000.9

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "registry"


def package(ops: QuiltOps) -> PackageUri:
    return PackageUri(ops.default_registry, NAME)


def source(ops: QuiltOps) -> PackageUri:
    return PackageUri(ops.default_registry, "a/source")


async def create(ops: QuiltOps, root: Path) -> Commit:
    data = root / "data"
    data.mkdir(exist_ok=True)
    (data / "one").write_text("1")
    (data / "two").write_text("2")
    return await ops.create(
        CreateRequest(
            package(ops), (Source(str(data)),), (InlineFile("inline", b"3"),), message="made", overwrite=True
        )
    )


async def patch(ops: QuiltOps, root: Path) -> Commit:
    return await ops.patch(
        PatchRequest(
            package(ops),
            files=(InlineFile("new", b"4"),),
            rename=(Rename("one", "uno"),),
            remove=("two",),
            message="patched",
        )
    )


async def copy(ops: QuiltOps, root: Path) -> Commit:
    return await ops.copy(CopyRequest(source(ops), package(ops), message="copied", overwrite=True))


Act = Callable[[QuiltOps, Path], Awaitable[Commit]]
ACTS: dict[str, Act] = {"create": create, "patch": patch, "copy": copy}
FILES = {
    "create": {"one": b"1", "two": b"2", "inline": b"3"},
    "patch": {"uno": b"1", "inline": b"3", "new": b"4"},
    "copy": {"one": b"1", "two": b"2", "inline": b"3"},
}


async def prepared(root: Path, act: str) -> Opened:
    """The package as it stands before the act; made some seconds ago, as quilt3 writes over a pointer of its own second."""
    opened = open_faulty(root, clock=lambda: time.time() - 100)
    if act != "create":
        await create(opened.ops, root)
    if act == "copy":
        await opened.ops.copy(CopyRequest(package(opened.ops), source(opened.ops)))
    return opened


async def calls_of(root: Path, act: str) -> list[Call]:
    """The storage calls of an undisturbed act, to disturb them one by one."""
    await prepared(root, act)
    opened = open_faulty(root)
    await ACTS[act](opened.ops, root)
    return opened.stores.calls


# -- C2 --


async def test_pushes_in_the_same_second_keep_each_their_pointer(tmp_path: Path, registry: Path) -> None:
    ops = open_faulty(tmp_path, clock=lambda: NOON).ops
    made = [(await create(ops, tmp_path)).top_hash]
    for number in range(4):
        request = PatchRequest(package(ops), files=(InlineFile("n", str(number).encode()),))
        made.append((await ops.patch(request)).top_hash)
    assert log(registry, NAME) == made
    assert pointers(registry, NAME)[str(int(NOON))] == made[0]
    assert pointers(registry, NAME)["latest"] == made[-1]


async def test_two_clocks_in_the_same_second_keep_each_their_pointer(tmp_path: Path, registry: Path) -> None:
    """Of two packages' writers that found the same newest second, both take the next free one."""
    first, second = (open_faulty(tmp_path, clock=lambda: NOON) for _ in range(2))
    parent = await create(first.ops, tmp_path)
    raced: list[Commit] = []

    async def race(call: Call) -> Fault | None:
        if call.verb == "put" and call.key.endswith("/1700000001") and not raced:
            raced.append(
                await second.ops.patch(PatchRequest(package(second.ops), files=(InlineFile("theirs", b"t"),)))
            )
        return None

    first.stores.script = race
    ours = await first.ops.patch(
        PatchRequest(package(first.ops), parent.top_hash, files=(InlineFile("ours", b"o"),), merge=True)
    )
    assert ours.merged_onto == raced[0].top_hash
    assert log(registry, NAME) == [parent.top_hash, raced[0].top_hash, ours.top_hash]
    registry_checks.check(registry)


async def test_a_clock_that_went_back_does_not_turn_the_log_round(tmp_path: Path, registry: Path) -> None:
    times = iter([NOON, NOON - 1000, NOON - 5])
    ops = open_faulty(tmp_path, clock=lambda: next(times)).ops
    made = [(await create(ops, tmp_path)).top_hash]
    for number in range(2):
        request = PatchRequest(package(ops), files=(InlineFile("n", str(number).encode()),))
        made.append((await ops.patch(request)).top_hash)
    assert log(registry, NAME) == made


# -- C3 --


async def rival_at_every_call(
    root: Path, act: str, rival: Callable[[Path], Awaitable[str]]
) -> list[tuple[str, Commit | StaleParent]]:
    """The act with a rival's whole push between it and its n-th storage call, for every n: (the rival's hash, what came)."""
    outcomes: list[tuple[str, Commit | StaleParent]] = []
    count = len(await calls_of(root / "undisturbed", act))
    for number in range(count):
        here = root / str(number)
        await prepared(here, act)
        before = len(log(here / "registry", NAME))
        rivals: list[str] = []

        async def script(call: Call) -> Fault | None:
            if call.number == number and not rivals:  # noqa: B023 - used within this turn of the loop
                rivals.append("")  # noqa: B023
                rivals[0] = await rival(here)  # noqa: B023
            return None

        opened = open_faulty(here, script)
        try:
            outcome: Commit | StaleParent = await ACTS[act](opened.ops, here)
        except StaleParent as conflict:
            outcome = conflict
        except EntryNotFound:
            continue  # the rival came first, and left nothing of what the act would change
        outcomes.append((rivals[0], outcome))
        check_nothing_lost(here / "registry", rivals[0], outcome, came_last=number == count - 1)
        if isinstance(outcome, StaleParent):
            assert len(log(here / "registry", NAME)) == before + 1, "a revision that lost is in no line"
    return outcomes


def check_nothing_lost(registry: Path, rival: str, outcome: Commit | StaleParent, *, came_last: bool) -> None:
    """``came_last``: the rival pushed once latest had been read back, which is to push after us."""
    registry_checks.check(registry)
    lines = log(registry, NAME)
    assert rival in lines, "the rival's revision is in the log"
    latest = pointers(registry, NAME)["latest"]
    if isinstance(outcome, Commit):
        assert outcome.top_hash in lines, "a revision that was acknowledged is in the log"
        assert latest == outcome.top_hash or latest == rival
        assert latest == outcome.top_hash or outcome.warnings or came_last, "never overwritten in silence"
    else:
        assert latest == rival
        assert outcome.details["actual"] == rival
        assert outcome.details["expected"] != rival


async def rival_patch(root: Path) -> str:
    ops = open_faulty(root).ops
    if "latest" not in pointers(root / "registry", NAME):
        request = CreateRequest(package(ops), files=(InlineFile("theirs", b"t"),))
        return (await ops.create(request)).top_hash
    return (await ops.patch(PatchRequest(package(ops), files=(InlineFile("theirs", b"t"),)))).top_hash


@pytest.mark.sampled(1)
@pytest.mark.parametrize("act", ACTS)
async def test_a_rival_between_any_two_calls_is_built_on_or_told_of_and_never_overwritten(
    act: str, tmp_path: Path
) -> None:
    outcomes = await rival_at_every_call(tmp_path, act, rival_patch)
    kinds = [type(outcome).__name__ for _, outcome in outcomes]
    assert "StaleParent" in kinds
    for rival, outcome in outcomes:
        if isinstance(outcome, Commit) and outcome.plan.parent == rival and act == "patch":
            files = registry_checks.files(_registry_of(outcome), outcome.top_hash)
            assert files["theirs"] == b"t"


def _registry_of(commit: Commit) -> Path:
    return Path(commit.plan.package.registry.removeprefix("file://"))


# -- C4 and C8 --


@pytest.mark.sampled(3)
@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.TWICE])
@pytest.mark.parametrize("act", ACTS)
async def test_an_answer_lost_at_any_pointer_or_manifest_write_is_success_once(
    act: str, fault: Fault, tmp_path: Path
) -> None:
    calls = await calls_of(tmp_path / "undisturbed", act)
    writes = [call for call in calls if call.verb == "put" and "/objects/" not in call.key]
    assert len(writes) == 3, "manifest, timestamp, latest"
    for call in writes:
        here = tmp_path / call.key.rpartition("/")[2][:12]
        await prepared(here, act)
        before = log(here / "registry", NAME)
        lost: list[Call] = []

        async def script(met: Call) -> Fault | None:
            folder = call.key.rpartition("/")[0]  # noqa: B023 - used within this turn of the loop
            is_it = met.verb == "put" and met.key.startswith(folder) and not lost  # noqa: B023
            if is_it and (met.key.endswith("/latest")) == (call.key.endswith("/latest")):  # noqa: B023
                lost.append(met)  # noqa: B023
                return fault
            return None

        commit = await ACTS[act](open_faulty(here, script).ops, here)
        assert lost
        assert commit.created
        assert log(here / "registry", NAME) == [*before, commit.top_hash]
        assert registry_checks.files(here / "registry", commit.top_hash) == FILES[act]
        registry_checks.check(here / "registry")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE])
@pytest.mark.parametrize("act", ACTS)
async def test_a_failure_at_any_call_is_a_typed_error_or_success_and_run_again_it_is_one_line_of_log(
    act: str, fault: Fault, tmp_path: Path
) -> None:
    count = len(await calls_of(tmp_path / "undisturbed", act))
    failed = 0
    for number in range(count):
        here = tmp_path / str(number)
        await prepared(here, act)
        before = log(here / "registry", NAME)
        opened = open_faulty(here, at(number, fault))
        try:
            commit = await ACTS[act](opened.ops, here)
        except QuiltError as error:
            failed += 1
            assert error.retryable
            assert error.next_step
            registry_checks.check(here / "registry")
            assert not registry_checks.unfinished(here)
            if pointers(here / "registry", NAME).get("latest") != (before or [None])[-1]:
                continue  # a call that failed once it was done: act again on what it left would be another act
            commit = await ACTS[act](open_faulty(here).ops, here)
        assert log(here / "registry", NAME) == [*before, commit.top_hash]
        assert registry_checks.files(here / "registry", commit.top_hash) == FILES[act]
        registry_checks.check(here / "registry")
    assert failed


@pytest.mark.sampled(1)
@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE, Fault.TWICE])
async def test_a_failure_at_any_call_of_a_rollback_is_a_typed_error_or_success_and_adds_no_line_of_log(
    fault: Fault, tmp_path: Path
) -> None:
    async def roll_back(opened: Opened) -> Commit:
        whole = package(opened.ops)
        return await opened.ops.copy(CopyRequest(replace(whole, top_hash=lines[0]), whole))

    number, called = 0, True
    while called:
        here = tmp_path / str(number)
        made = await prepared(here, "patch")
        await patch(made.ops, here)
        lines = log(here / "registry", NAME)
        opened = open_faulty(here, at(number, fault))
        try:
            assert (await roll_back(opened)).created
        except QuiltError as error:
            assert error.retryable and error.next_step
            await roll_back(open_faulty(here))
        called = len(opened.stores.calls) > number
        assert pointers(here / "registry", NAME)["latest"] == lines[0]
        assert log(here / "registry", NAME) == lines
        number += 1


async def test_a_failure_at_any_call_of_reading_is_a_typed_error(tmp_path: Path) -> None:
    await prepared(tmp_path, "patch")
    uri = package(open_faulty(tmp_path).ops)
    file = PackageUri(uri.registry, NAME, path="one")
    turn = itertools.count()
    reads: list[Callable[[QuiltOps], Awaitable[object]]] = [
        lambda ops: ops.list_packages(uri.registry),
        lambda ops: ops.log(uri),
        lambda ops: ops.browse(uri),
        lambda ops: ops.stat(file),
        lambda ops: ops.read(file),
        lambda ops: ops.verify(uri),
        lambda ops: ops.diff(uri, uri),
        lambda ops: ops.resolve(
            PackageUri(uri.registry, NAME, top_hash=log(tmp_path / "registry", NAME)[0][:8])
        ),
        lambda ops: ops.install(uri, str(tmp_path / f"installed-{next(turn)}")),
        lambda ops: ops.list_objects(f"{uri.registry}/"),
    ]
    for read in reads:
        opened = open_faulty(tmp_path)
        await read(opened.ops)
        for number in range(len(opened.stores.calls)):
            faulty = open_faulty(tmp_path, at(number, Fault.FAIL)).ops
            try:
                found = await read(faulty)
            except QuiltError as error:
                assert error.retryable, error
            else:
                assert getattr(found, "warnings", None) or getattr(found, "problems", None), (
                    "an answer that misses something says so"
                )


# -- C5 --


async def quilt3_build(root: Path) -> str:
    return await anyio.to_thread.run_sync(_quilt3_build, root)


def _quilt3_build(root: Path) -> str:
    import quilt3

    (root / "theirs").write_text("t")
    pushed = quilt3.Package()
    pushed.set("theirs", str(root / "theirs"))
    pushed.build(NAME, registry=(root / "registry").as_uri(), message="quilt3")
    return pushed.top_hash


@pytest.mark.sampled(1)
@pytest.mark.parametrize("act", ["create", "patch"])
async def test_quilt3_pushing_between_any_two_calls_is_told_of_and_its_revision_kept(
    act: str, tmp_path: Path
) -> None:
    outcomes = await rival_at_every_call(tmp_path, act, quilt3_build)
    told = [
        outcome
        for rival, outcome in outcomes
        if isinstance(outcome, StaleParent)
        or any(warning.startswith("latest_moved") for warning in outcome.warnings)
    ]
    assert told


async def test_a_pointer_that_quilt3_replaced_in_the_same_second_is_written_again(
    tmp_path: Path, registry: Path
) -> None:
    """quilt3 writes its timestamp pointer whatever stands there; here it does so just after ours."""
    opened = open_faulty(tmp_path)
    await create(opened.ops, tmp_path)
    replaced: list[str] = []

    async def script(call: Call) -> Fault | None:
        if call.verb == "put" and call.key.endswith("/latest"):
            stamp = max(int(tag) for tag in pointers(registry, NAME) if tag != "latest")
            theirs = log(registry, NAME)[0]
            (registry / ".quilt/named_packages" / NAME / str(stamp)).write_text(theirs)
            replaced.append(theirs)
        return None

    opened.stores.script = script
    commit = await patch(opened.ops, tmp_path)
    assert replaced
    assert log(registry, NAME)[-1] == commit.top_hash
    assert [warning.partition(":")[0] for warning in commit.warnings] == ["timestamp_replaced"]


async def test_a_deletion_by_tag_that_fails_in_between_tells_what_is_left_to_delete(tmp_path: Path) -> None:
    """The same call again would take the tag for the revision that it names by then."""
    opened = open_faulty(tmp_path)
    package = PackageUri((tmp_path / "registry").as_uri(), "a/b")
    hashes: list[str] = []
    for number in range(3):
        content = (InlineFile("f", str(number).encode()),)
        request = CreateRequest(package, files=content, overwrite=True)
        hashes.append((await opened.ops.create(request)).top_hash)

    async def fail_once(call: Call) -> Fault | None:
        if call.verb == "delete":
            opened.stores.script = nothing
            return Fault.FAIL
        return None

    opened.stores.script = fail_once
    with pytest.raises(QuiltError) as caught:
        await opened.ops.delete(replace(package, tag="latest"))
    assert f"a/b@{hashes[2]}" in caught.value.next_step
    await opened.ops.delete(replace(package, top_hash=hashes[2]))
    assert [revision.top_hash for revision in (await opened.ops.log(package)).items] == [hashes[1], hashes[0]]
    assert pointers(tmp_path / "registry", "a/b")["latest"] == hashes[1]
