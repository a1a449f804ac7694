"""Run as a process of its own: for each line 'address bucket folder' on stdin forks an engine that pushes into that bucket,
prints its process id, and then how it ended: 'done' or 'killed'. Forked, as to start anew would take a second each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))

import boto3  # noqa: F401 - before the forks, which then need not
import obstore.store  # noqa: F401
from s3_registry import open_ops

from parts.s3_access import S3Access
from s3_push import change


def main() -> None:
    for line in sys.stdin:
        url, bucket, folder = line.split()
        root = Path(folder)
        pid = os.fork()
        if pid == 0:
            anyio.run(change, open_ops(S3Access(url), bucket, root / "ours"), root)
            os._exit(0)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print("done" if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 else "killed", flush=True)


if __name__ == "__main__":
    main()
