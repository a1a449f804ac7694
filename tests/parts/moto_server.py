"""moto[server] in a process of its own, on a free port of the loopback address."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parts.s3_access import S3Access
from parts.unmeasured import unmeasured


@contextmanager
def moto_server() -> Iterator[S3Access]:
    """Any credentials are right: moto checks no signature. Starts in about two seconds."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("moto_process.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=unmeasured() | {"MOTO_S3_CUSTOM_ENDPOINTS": ""},
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError(f"moto did not start: exit status {process.wait(10)}")
        yield S3Access(f"http://127.0.0.1:{port}")
    finally:
        process.stdin.close()  # which is its sign to end
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
