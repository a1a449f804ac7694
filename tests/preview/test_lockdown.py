"""What the child gives up, tried in a process that has given it up; and its conversation, in this one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from quilt_mcp.preview.decode import lockdown
from quilt_mcp.preview.decode.process import serve

ROOT = Path(__file__).parents[2]
TRY = """
import ctypes, json, os, socket, sys, threading
before = {}
def tries():
    for name, attempt in {
        "socket": lambda: socket.socket(),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "pair": lambda: socket.socketpair(),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "memory": lambda: bytearray(3 << 30),
        "files": lambda: [open(os.devnull) for _ in range(80)],
    }.items():
        try:
            attempt()
            yield name, "done"
        except (OSError, MemoryError) as error:
            yield name, type(error).__name__
from quilt_mcp.preview.decode.lockdown import lock_down
lock_down()
found = dict(tries())
thread = threading.Thread(target=lambda: found.update({"in a thread": dict(tries())["socket"]}))
thread.start(); thread.join()
print(json.dumps(found))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="the filter is Linux's"
)
def test_network_programs_memory_and_files_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env={"PYTHONPATH": str(ROOT / "src")},
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
        "memory": "MemoryError",
        "files": "OSError",
        "in a thread": "PermissionError",
    }


def test_the_filter_jumps_to_the_refusal_from_every_number() -> None:
    program = lockdown.filter_program(7, (1, 2, 3))
    lines = [program[at : at + 8] for at in range(0, len(program), 8)]
    assert len(lines) == 10
    for place in (4, 5, 6, 7):
        assert place + 1 + lines[place][2] == 9
    assert lines[9][4:] == (0x00050001).to_bytes(4, sys.byteorder)


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
