"""What the child gives up, tried in a process that has given it up; and its conversation, in this one."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from quilt_mcp.lockdown import seccomp
from quilt_mcp.preview.decode.process import serve

ROOT = Path(__file__).parents[2]
TRY = """
import ctypes, fcntl, json, os, resource, signal, socket, sys, threading
tkill, tgkill, ioctl = (200, 234, 16) if os.uname().machine == "x86_64" else (130, 131, 29)
system = ctypes.CDLL(None, use_errno=True).syscall
def refuse():
    raise PermissionError(ctypes.get_errno(), "refused")
def refused(answer):
    if answer:
        raise OSError(ctypes.get_errno(), "refused")
def tries():
    for name, attempt in {
        "socket": lambda: socket.socket(),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "pair": lambda: socket.socketpair(),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "fork": lambda: os.fork() or os._exit(0),
        "signal": lambda: os.kill(os.getppid(), 0),
        "memory": lambda: bytearray(3 << 30),
        "a thread's signal": lambda: refused(system(tgkill, os.getppid(), os.getppid(), 0)),
        "a thread's signal by itself": lambda: refused(system(tkill, os.getppid(), 0)),
        "limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CORE),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        "processors": lambda: os.sched_setaffinity(os.getppid(), {0}),
        "owner": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
        "owner of a socket": lambda: refused(system(ioctl, 0, 0x8901, 0)),
        "own signal": lambda: signal.pthread_kill(threading.get_ident(), 0),
        "own limits": lambda: resource.prlimit(os.getpid(), resource.RLIMIT_CORE),
        "own limits by zero": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        "own flags": lambda: fcntl.fcntl(0, fcntl.F_GETFL),
        "namespace": lambda: ctypes.CDLL(None, use_errno=True).unshare(0x10000000) and refuse(),
        "files": lambda: [open(os.devnull) for _ in range(80)],
    }.items():
        try:
            attempt()
            yield name, "done"
        except (OSError, MemoryError) as error:
            yield name, type(error).__name__
from quilt_mcp.lockdown.lock import lock_down
lock_down()
found = dict(tries())
thread = threading.Thread(target=lambda: found.update({"in a thread": dict(tries())["socket"]}))
thread.start(); thread.join()
print(json.dumps(found))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="the filter is Linux's"
)
def test_network_processes_memory_and_files_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env={"PYTHONPATH": str(ROOT / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == {
        "socket": "PermissionError",
        "unix": "PermissionError",
        "pair": "PermissionError",
        "exec": "PermissionError",
        "fork": "PermissionError",
        "signal": "PermissionError",
        "memory": "MemoryError",
        "a thread's signal": "PermissionError",
        "a thread's signal by itself": "PermissionError",
        "limits": "PermissionError",
        "priority": "PermissionError",
        "processors": "PermissionError",
        "owner": "PermissionError",
        "owner of a socket": "PermissionError",
        "own signal": "done",
        "own limits": "done",
        "own limits by zero": "done",
        "own flags": "done",
        "namespace": "PermissionError",
        "files": "OSError",
        "in a thread": "PermissionError",
    }


CLOSED = """
import json, os, sys
from pathlib import Path
from quilt_mcp.lockdown.landlock import close_files
is_closed = close_files(os.getcwd())
found = {}
for name, attempt in {
    "home": lambda: os.listdir(sys.argv[1]),
    "a file of it": lambda: Path(sys.argv[1], "secret").read_text(),
    "the parent's environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "the parent's memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    "write": lambda: Path(sys.argv[1], "new").write_text("x"),
    "remove": lambda: Path(sys.argv[1], "secret").unlink(),
    "own": lambda: Path("own").write_text("x"),
    "a link": lambda: os.symlink("own", "link"),
    "a pipe": lambda: os.mkfifo("pipe"),
    "library": lambda: __import__("duckdb"),
}.items():
    try:
        attempt()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__
print(json.dumps([is_closed, found]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
def test_home_and_parent_are_out_of_reach(tmp_path: Path) -> None:
    """Also where the home folder is on Python's path, as when a server is started in it."""
    (home := tmp_path / "home").mkdir()
    (home / "secret").write_text("s")
    (own := tmp_path / "own").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CLOSED, str(home)],
        env={"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(home)]), "SECRET": "canary"},
        cwd=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    is_closed, found = json.loads(done.stdout)
    if not is_closed:
        pytest.skip("this kernel has no Landlock")
    assert (found.pop("own"), found.pop("library")) == ("done", "done")
    assert set(found.values()) == {"PermissionError"}


@pytest.mark.parametrize("refused", [(1, 2, 3), tuple(range(13))])
def test_the_filter_answers_each_call_as_it_should(refused: tuple[int, ...]) -> None:
    """Run as the kernel runs it."""
    arguments = (
        seccomp._Argument(150, 0, only=(0, 77)),
        seccomp._Argument(151, 1, never=(8, 15)),
    )
    program = seccomp.filter_program(7, 56, refused, arguments)
    lines = [struct.unpack("=HBBI", program[at : at + 8]) for at in range(0, len(program), 8)]

    def answer(number: int, architecture: int = 7, flags: int = 0, second: int = 0) -> int:
        words, value, at = {0: number, 4: architecture, 16: flags, 24: second}, 0, 0
        while True:
            code, yes, no, operand = lines[at]
            if code == 0x06:
                return operand
            if code == 0x20:
                value, at = words[operand], at + 1
            else:
                holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
                at += 1 + (yes if holds else no)

    allow, refuse, unknown, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
    assert {answer(number) for number in refused} == {refuse}
    assert (answer(200), answer(435), answer(1, architecture=8)) == (allow, unknown, kill)
    assert (answer(56), answer(56, flags=0x10000 | 0xF), answer(0x40000001)) == (refuse, allow, refuse)
    assert [answer(150, flags=one) for one in (0, 77, 78)] == [allow, allow, refuse]
    assert [answer(151, second=one) for one in (8, 15, 16)] == [refuse, refuse, allow]


def test_a_conversation_is_a_question_ranges_and_an_answer() -> None:
    ask = {"question": "text", "name": "t", "size": 5, "offset": 0, "length": 9}
    answers = io.BytesIO()
    serve(io.BytesIO(json.dumps(ask).encode() + b"\nhello"), answers)
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first == {"read": [0, 5]}
    assert second == {
        "answer": {"text": "hello", "offset": 0, "next_offset": None, "notes": [], "bytes_read": 5}
    }


def test_a_file_that_ends_early_is_a_fault() -> None:
    ask = {"question": "text", "name": "t", "size": 5, "offset": 0, "length": 9}
    answers = io.BytesIO()
    serve(io.BytesIO(json.dumps(ask).encode() + b"\nhe"), answers)
    assert json.loads(answers.getvalue().splitlines()[-1])["fault"]["kind"] == "ended"


@pytest.mark.parametrize(
    ("error", "kind"), [(MemoryError(), "too_costly"), (RecursionError(), "undecodable")]
)
def test_what_a_reader_cannot_bear_is_a_fault(
    error: Exception, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: object, ask: object) -> dict[str, object]:
        raise error

    monkeypatch.setattr("quilt_mcp.preview.decode.process.QUESTIONS", {"text": fail})
    answers = io.BytesIO()
    serve(io.BytesIO(b'{"question": "text", "name": "t", "size": 0}\n'), answers)
    assert json.loads(answers.getvalue())["fault"]["kind"] == kind
