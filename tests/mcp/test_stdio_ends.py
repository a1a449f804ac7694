"""However it ends, the process ends at once, cleans up what is its own, and says nothing that nobody asked (C19)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from raw_stdio import INITIALIZED, OPENING, SERVER, RawServer, call, raw_server
from serving import Place

from quilt_mcp.server import surface

SIZE = 3 << 30
SOON = 20.0
"""Seconds: far below any time-out, the 45 of a silent S3 included, and far above what a loaded machine needs."""


@pytest.fixture(scope="module")
def big(place: Place) -> Iterator[Path]:
    """A file that takes seconds to store; sparse, so that it costs no disk."""
    path = place.here / "big.bin"
    with path.open("wb") as file:
        file.truncate(SIZE)
    yield path
    path.unlink()


def unfinished(place: Place) -> list[Path]:
    return [path for path in place.home.rglob(".quilt-mcp-tmp-*") if path.is_file()]


def creating(server: RawServer, place: Place, big: Path) -> None:
    """Returns in mid-create: a temporary file stands and grows."""
    server.open()
    server.say(call(1, "package_create", package="ends/never", sources=[{"from": str(big)}]))
    bound = time.monotonic() + 60
    while not any(path.stat().st_size for path in unfinished(place)):
        assert time.monotonic() < bound
        time.sleep(0.01)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("often", [1, 2])
def test_case_P3_an_interrupt_ends_an_idle_server_at_once(often: int, place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        began = time.monotonic()
        for _ in range(often):
            server.process.send_signal(signal.SIGINT)
        said = server.ended(SOON)
    assert (server.process.returncode, said) == (130, "")
    assert time.monotonic() - began < SOON


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ((signal.SIGTERM,), 143),
        ((signal.SIGINT,), 130),
        ((signal.SIGHUP,), 129),
    ],
)
def test_case_P4_a_signal_in_mid_create_removes_ones_own_files(
    sent: tuple[signal.Signals, ...], code: int, place: Place, big: Path
) -> None:
    with raw_server(place, "--allow-write") as server:
        creating(server, place, big)
        for one in sent:
            server.process.send_signal(one)
        said = server.ended(SOON)
    assert (server.process.returncode, said) == (code, "")
    assert unfinished(place) == []


def test_case_P3_a_second_signal_waits_for_nothing(place: Place, big: Path) -> None:
    with raw_server(place, "--allow-write") as server:
        creating(server, place, big)
        server.process.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGINT)
        server.ended(SOON)
    assert server.process.returncode == 130
    for path in unfinished(place):  # may stand: that is what the second signal says
        path.unlink()


def test_case_P4_a_signal_ends_a_server_whose_client_reads_nothing(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        for number in range(100):  # far more than a pipe holds
            server.say(call(number, "packages_list"))
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        said = server.ended(SOON)
    assert (server.process.returncode, said) == (143, "")


def test_case_P5_a_client_that_dies_in_mid_call_leaves_no_traceback_and_no_files(
    place: Place, big: Path
) -> None:
    with raw_server(place, "--allow-write") as server:
        creating(server, place, big)
        server.output.close()
        server.input.close()
        said = server.ended(SOON)
    assert (server.process.returncode, said) == (0, "")
    assert unfinished(place) == []


def test_case_P5_a_client_that_closes_only_its_ear_ends_the_server(place: Place) -> None:
    with raw_server(place) as server:
        server.open()
        server.output.close()
        server.say(call(1, "status"))
        said = server.ended(SOON)
    assert (server.process.returncode, said) == (0, "")


def asked(place: Place, shell: str, *flags: str) -> subprocess.CompletedProcess[bytes]:
    """The answer to ``status`` of a server that a shell starts with redirections of its own."""
    command = " ".join([*SERVER, *flags, shell])
    lines = "\n".join(json.dumps(one) for one in (OPENING, INITIALIZED, call(1, "status")))
    return subprocess.run(
        ["/bin/sh", "-c", command],
        input=lines.encode(),
        env=place.environment(),
        cwd=place.here,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.sampled(1)
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "2>/dev/null"])
def test_closed_or_full_standard_error_changes_nothing(stderr: str, place: Place) -> None:
    done = asked(place, stderr, "--log-level", "debug")
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines()) if "id" in one}
    assert "result" in answers[1]
    assert done.returncode == 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize("shell", [">&-", "<&-", ">/dev/full", "<&- >&- 2>&-"])
def test_closed_or_full_standard_output_or_closed_input_ends_quietly(shell: str, place: Place) -> None:
    done = asked(place, shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_standard_error_that_nobody_reads_holds_nothing_up(place: Place) -> None:
    """A pipe holds 64 KiB; each refused line is logged."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*SERVER, "--log-level", "debug"],
        env=place.environment(),
        cwd=place.here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=writing,
    )
    os.close(writing)
    assert process.stdin is not None and process.stdout is not None
    with process, process.stdin as input, process.stdout as output:
        for one in (OPENING, INITIALIZED):
            input.write(json.dumps(one).encode() + b"\n")
        for number in range(1, 1_501):
            input.write(json.dumps(call(number, "nothing")).encode() + b"\n")
            input.flush()
            while json.loads(output.readline())["id"] not in (number, 0):
                pass
        input.close()
        assert process.wait(SOON) == 0
    os.close(reading)


def test_a_vanished_working_folder_is_no_root_and_no_crash(place: Place) -> None:
    gone = place.home / "gone"
    gone.mkdir()
    shell = f"cd {gone} && rmdir {gone} && exec {' '.join(SERVER)} --allow-write"
    lines = [
        OPENING,
        INITIALIZED,
        call(1, "status"),
        call(2, "packages_list"),
        call(3, "package_create", package="gone/away", sources=[{"from": "a.txt"}]),
        call(4, "package_create", package="gone/inline", files=[{"path": "a.txt", "text": "a"}]),
    ]
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        input="\n".join(json.dumps(one) for one in lines).encode(),
        env=place.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    answers = {one["id"]: one for one in map(json.loads, done.stdout.splitlines()) if "id" in one}
    assert done.returncode == 0
    assert [line.split(b": ")[1] for line in done.stderr.splitlines()] == [b"no_root"]
    assert not answers[1]["result"]["isError"]
    assert not answers[2]["result"]["isError"]
    assert answers[3]["result"]["structuredContent"]["error"]["code"] in ("outside_roots", "source_not_found")
    assert not answers[4]["result"]["isError"], answers[4]


def test_a_working_folder_that_vanishes_under_a_server_ends_no_call(place: Place) -> None:
    here = place.home / "short-lived"
    here.mkdir()
    with raw_server(Place(place.home, place.registry, here, place.hashes)) as server:
        server.open()
        for number, tool in enumerate(("status", "status", "packages_list"), 1):
            server.say(call(number, tool))
            assert not server.hear_answer(number)["result"]["isError"]
            shutil.rmtree(here, ignore_errors=True)
        server.input.close()
        assert server.ended() == ""


LONG_CALLS: dict[str, dict[str, object]] = {
    "package_create": {"package": "a/b", "files": [{"path": "a.txt", "text": "a"}]},
    "package_patch": {"package": "a/b", "metadata": {"a": 1}},
    "package_copy": {"package": "a/b", "to": "a/c"},
    "package_install": {"package": "a/b", "dest": "copy"},
    "package_verify": {"package": "a/b"},
    "package_diff": {"before": "a/b", "after": "a/c"},
    "package_browse": {"package": "a/b", "match": "*.csv", "sort": "-size"},
    "package_log": {"package": "a/b", "path": "a.txt"},
    "packages_list": {},
}


@contextmanager
def asking_silent_s3(place: Place, tool: str = "packages_list") -> Iterator[tuple[RawServer, socket.socket]]:
    """A server in the middle of a call to an S3 server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
        flags = ("--registry", "s3://silent", "--allow-write")
        with raw_server(place, *flags, AWS_ENDPOINT_URL=url, **keys) as server:
            server.open()
            server.say(call(5, tool, **LONG_CALLS[tool]))
            yield server, silent


def test_case_P5_a_dead_client_s_call_that_waits_for_S3_holds_no_process(place: Place) -> None:
    with asking_silent_s3(place) as (server, silent):
        with silent.accept()[0]:
            server.output.close()
            server.input.close()
            said = server.ended(SOON)
        assert (server.process.returncode, said) == (0, "")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("tool", LONG_CALLS)
def test_case_P6_a_silent_call_says_that_it_is_at_work_and_a_signal_ends_it(place: Place, tool: str) -> None:
    with asking_silent_s3(place, tool) as (server, _):
        notes = [server.hear()["params"] for _ in range(2)]
        assert 0 <= notes[0]["progress"] < notes[1]["progress"]
        assert all(note["message"] for note in notes)
        server.process.send_signal(signal.SIGTERM)
        said = server.ended(SOON)
        assert (server.process.returncode, said) == (143, "")


def test_case_P6_silence_is_shorter_than_a_person_waits_for_a_word() -> None:
    """The first note within two seconds, and then one every three."""
    assert surface.FIRST_BEAT + surface.BEAT_CHECK < 2
    assert surface.HEARTBEAT + surface.BEAT_CHECK < 3
