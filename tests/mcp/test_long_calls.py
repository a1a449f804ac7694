"""Long calls tell how far they are, and when they are cancelled or the client is lost they leave nothing behind (C18)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from serving import Place, connected, connected_alone, failure, http_server, result

pytestmark = pytest.mark.anyio
FILES = 240


@pytest.fixture(scope="module")
def many(place: Place) -> Path:
    """Files enough that a call on them reports more than once."""
    folder = place.here / "many"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"file-{number:04d}.bin").write_bytes(os.urandom(64) * 3_000)
    return folder


def standing(*folders: Path) -> set[str]:
    """Every path below, empty folders and hidden files too; locks are part of a registry and stay."""
    return {str(path) for folder in folders for path in folder.rglob("*") if ".quilt/locks" not in str(path)}


@pytest.mark.sampled(1)
async def test_creating_verifying_and_installing_report_rising_progress(
    wire: str, place: Place, many: Path
) -> None:
    name, other = f"long/progress-{wire}", place.here / f"other-{wire}"
    other.mkdir()
    async with connected(place, wire, "--allow-write") as client:
        for tool, arguments in (
            ("package_create", {"package": name, "sources": [{"from": f"{many}/"}]}),
            ("package_verify", {"package": name}),
            ("package_install", {"package": name, "dest": f"progress-{wire}"}),
            (
                "package_copy",
                {"package": name, "to": f"{name}-copy", "to_registry": str(other)},
            ),
        ):
            seen: list[tuple[float, float | None, str | None]] = []

            async def note(done: float, total: float | None, message: str | None, seen: list = seen) -> None:
                seen.append((done, total, message))

            answer = await client.call_tool(tool, arguments, progress_callback=note)
            assert not answer.is_error, answer.content[0].text
            assert seen, tool
            done = [one[0] for one in seen]
            assert done == sorted(set(done)), tool
            assert all(total is None or total >= last for last, total, _ in seen)
            of_a_total = [one for one in seen if one[1] is not None]  # the others say only that it is at work
            assert of_a_total[-1][0] == of_a_total[-1][1], tool
            assert all(message for _, _, message in seen)
            assert str(of_a_total[-1][2]).endswith(f", {FILES} of {FILES} files"), tool


@pytest.mark.sampled(1)
@pytest.mark.parametrize("tool", ["package_create", "package_install"])
@pytest.mark.parametrize("cancelling", ["stdio-modern", "stdio-legacy", "http-modern"])
async def test_a_cancelled_call_leaves_nothing_and_can_be_made_again(
    tool: str, cancelling: str, place: Place, many: Path
) -> None:
    """Cancelled at its first progress report. Over HTTP in the older era there is no way to cancel a call of a server
    without sessions, and the specification says that a closed stream does not: there the call runs to its end."""
    name, dest = f"long/cancelled-{tool}-{cancelling}", place.here / f"cancelled-{tool}-{cancelling}"
    arguments: dict[str, object] = {"package": name, "sources": [{"from": f"{many}/"}]}
    async with connected_alone(place, cancelling, "--allow-write") as client:
        if tool == "package_install":
            # Into the registry, in place: nothing is copied before the install.
            await result(client, "package_create", **arguments, copy=False)
            arguments = {"package": name, "dest": str(dest)}
        before = standing(place.registry)
        reported = anyio.Event()

        async def note(done: float, total: float | None, message: str | None) -> None:
            reported.set()

        async with anyio.create_task_group() as group:

            async def call() -> None:
                await client.call_tool(tool, arguments, progress_callback=note)

            group.start_soon(call)
            await reported.wait()
            group.cancel_scope.cancel()
        assert (await result(client, "status"))["data"]["writes"] is True
    # The server has ended, and so let go of everything: what stands now stays.
    left = {
        path for path in standing(place.registry) - before if Path(path).is_file() and "/objects/" not in path
    }
    assert left == set()
    if tool == "package_install":
        # Files that stand are whole; no temporary one is among them.
        assert {path.name for path in dest.rglob("*")} < {path.name for path in many.iterdir()}
        assert {path.stat().st_size for path in dest.rglob("*")} <= {64 * 3_000}
    async with connected_alone(place, cancelling, "--allow-write") as client:
        if tool == "package_create":
            assert (await failure(client, "package_browse", package=name))["code"] == "package_not_found"
        made = await result(client, tool, **arguments)
        assert made["data"]["done"] is True
        if tool == "package_install":
            assert {path.name for path in dest.iterdir()} == {path.name for path in many.iterdir()}
            checked = await result(client, "package_verify", package=name, dest=str(dest))
            assert checked["data"]["ok"] is True


async def test_a_client_that_vanishes_in_mid_call_leaves_no_process_and_no_half_written_file(
    place: Place, many: Path
) -> None:
    name = "long/vanished"
    before = standing(place.registry)
    process: list[int] = []
    reported = anyio.Event()

    async def note(done: float, total: float | None, message: str | None) -> None:
        reported.set()

    shell = f"echo $$ > {place.home}/pid; exec {sys.executable} -m quilt_mcp --allow-write"
    server = StdioServerParameters(
        command="/bin/sh", args=["-c", shell], env=place.environment(), cwd=place.here
    )
    with anyio.move_on_after(60) as scope:
        async with Client(server, mode="legacy") as client, anyio.create_task_group() as group:

            async def call() -> None:
                await client.call_tool(
                    "package_create",
                    {"package": name, "sources": [{"from": f"{many}/"}]},
                    progress_callback=note,
                )

            group.start_soon(call)
            await reported.wait()
            process.append(int((place.home / "pid").read_text()))
            scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(process[0], 0)
    left = {one for one in standing(place.registry) - before if "/objects/" not in one}
    if str(place.registry / ".quilt/named_packages" / name / "latest") not in left:
        # It had no time to finish while its client waited for its end, and so left nothing.
        assert not {one for one in left if Path(one).is_file()}
    assert not any(".quilt-mcp-tmp-" in one for one in left)
    async with connected(place, "stdio-modern", "--allow-write") as client:
        made = await result(
            client, "package_create", package=name, sources=[{"from": f"{many}/"}], overwrite=True
        )
        assert (await result(client, "package_verify", package=made["uri"]))["data"]["ok"] is True


@pytest.mark.sampled(1)
async def test_a_long_call_does_not_hold_up_a_short_one(wire: str, place: Place, many: Path) -> None:
    ended: list[str] = []
    reported = anyio.Event()

    async def note(done: float, total: float | None, message: str | None) -> None:
        reported.set()

    async with connected(place, wire, "--allow-write") as client, anyio.create_task_group() as group:

        async def create() -> None:
            source = {"from": f"{many}/", "to": wire}
            await client.call_tool(
                "package_create",
                {"package": f"long/beside-{wire}", "sources": [source]},
                progress_callback=note,
            )
            ended.append("package_create")

        group.start_soon(create)
        await reported.wait()
        await result(client, "status")
        ended.append("status")
    assert ended == ["status", "package_create"]


def test_a_server_told_to_stop_stops(place: Place) -> None:
    server = http_server(place)
    with server:
        pass
    assert server.process.returncode == 128 + signal.SIGTERM
    done = subprocess.run(["/bin/kill", "-0", str(server.process.pid)], capture_output=True, check=False)
    assert done.returncode != 0
