"""The child: one question on standard input, ranges of the file asked for in between, one answer on standard output.

<- {"question": ..., "name": ..., "size": ...}     a line of JSON
-> {"read": [offset, length]}                      a line; the answer is that many bytes
-> {"answer": {...}} or {"fault": {kind, message, details}}
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

from quilt_mcp.lockdown.lock import lock_down
from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.questions import QUESTIONS


def main() -> None:
    lock_down()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    serve(sys.stdin.buffer, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    def tell(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message, ensure_ascii=True).encode() + b"\n")
        answers.flush()

    def fetch(offset: int, length: int) -> bytes:
        tell({"read": [offset, length]})
        found = requests.read(length)
        if len(found) < length:
            raise Fault("ended", "The file could not be read on.")
        return found

    ask = json.loads(requests.readline())
    file = File(ask["name"], ask["size"], fetch)
    tell(answer_to(file, ask))


def answer_to(file: File, ask: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = QUESTIONS[ask["question"]](file, ask)
        return {"answer": {**answer, "bytes_read": file.bytes_read}}
    except Fault as fault:
        return {"fault": {"kind": fault.kind, "message": str(fault), "details": fault.details}}
    except MemoryError:
        return {
            "fault": {
                "kind": "too_costly",
                "message": "It would take more memory than a call may have.",
                "details": {},
            }
        }
    except RecursionError:
        return {"fault": {"kind": "undecodable", "message": "It is nested too deeply.", "details": {}}}
