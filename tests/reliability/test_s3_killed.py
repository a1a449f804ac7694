"""C6 on S3: killed at any request of a push, the engine leaves a registry that reads; the same call run again completes it, and
sends nothing that had arrived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from s3_registry import NAME, S3Registry, open_ops

from parts.faults import Pause
from parts.proxy import Proxy
from parts.s3_access import S3Access
from parts.unmeasured import unmeasured
from s3_push import LARGE, SECOND, fresh, make, make_again


@pytest.fixture
def forker() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("killed_pusher.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=unmeasured(),
        text=True,
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def killed_at(
    number: int, forker: subprocess.Popen[str], proxy: Proxy, s3: S3Access, bucket: str, root: Path
) -> bool:
    """Kills a push once the server has carried out its ``number``-th request. False: it came to its end before that."""
    assert forker.stdin is not None and forker.stdout is not None
    pause = Pause("after")
    with proxy.injecting(pause, bucket=bucket, nth=number), ThreadPoolExecutor(1) as reading:
        forker.stdin.write(f"{s3.url} {bucket} {root}\n")
        forker.stdin.flush()
        pid = int(forker.stdout.readline())
        ended = reading.submit(forker.stdout.readline)
        while not ended.done():
            try:
                pause.wait_until_reached(timeout=0.1)
            except TimeoutError:
                continue
            os.kill(pid, signal.SIGKILL)
            break
        status = ended.result(60).strip()
        pause.release()
    proxy.wait_until_idle()
    return status == "killed"


def data_keys(registry: S3Registry) -> set[str]:
    return set(registry.keys(f"{NAME}/"))


@pytest.mark.parametrize(
    ("content", "step"),
    [
        pytest.param(b"in one piece", 3, id="every third request"),
        pytest.param(b"in one piece", 1, id="every request", marks=pytest.mark.nightly),
        pytest.param(LARGE, 1, id="a file in parts", marks=[pytest.mark.nightly, pytest.mark.timeout(1800)]),
    ],
)
def test_killed_at_any_request_the_registry_reads_and_the_push_run_again_completes_it(
    content: bytes,
    step: int,
    moto: S3Access,
    s3: S3Access,
    moto_proxy: Proxy,
    forker: subprocess.Popen[str],
    tmp_path: Path,
) -> None:
    number, killed, spared = 1, True, 0
    while killed:
        root = tmp_path / str(number)
        root.mkdir()
        (root / "large").write_bytes(content)
        with fresh(moto) as registry:
            before = anyio.run(make, open_ops(s3, registry.bucket, root / "first")).top_hash
            first = data_keys(registry)
            killed = killed_at(number, forker, moto_proxy, s3, registry.bucket, root)
            registry.check()
            arrived = data_keys(registry) - first
            again = open_ops(s3, registry.bucket, root / "again")
            with moto_proxy.recording() as seen:
                done = anyio.run(make_again, again, root, registry, before)
            sent = {
                exchange.call.key
                for operation in ("PutObject", "CreateMultipartUpload")
                for exchange in seen.of(operation)
            }
            assert not sent & arrived, "what had arrived is not sent again"
            spared += len(arrived) if sent else 0
            assert registry.files(done) == {**SECOND, "folder/large": content}
            assert len(registry.uploads()) <= 1, "a killed process can abort nothing; lifecycle rules do"
        number += step
    assert number > 15, "a push takes more requests than that"
    assert spared
