"""Hashing one local file: ours beside quilt3's own, in turn, on the same file. The ratio is what counts.

python bench/hash_file.py [--mib 2048] [--rounds 5] [--type sha2-256-chunked]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from harness import report
from quilt_mcp.storage.hashing import hash_file

TYPES = ("sha2-256-chunked", "CRC64NVME")
LIMIT = 1.15

os.environ.setdefault("QUILT_DISABLE_TQDM", "true")
os.environ.setdefault("QUILT_DISABLE_USAGE_METRICS", "true")
os.environ.setdefault("QUILT_MINIMIZE_STDOUT", "true")


def theirs(path: Path, size: int, hash_type: str) -> str:
    from quilt3.data_transfer import FileChecksumTask, calculate_multipart_checksum
    from quilt3.util import PhysicalKey

    task = FileChecksumTask.create(PhysicalKey.from_path(path), size, hash_type)
    (found,) = calculate_multipart_checksum([task])
    if isinstance(found, Exception):
        raise found
    return found


def ours(path: Path, size: int, hash_type: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return anyio.run(hash_file, fd, size, hash_type).value
    finally:
        os.close(fd)


def compare(path: Path, size: int, hash_type: str, rounds: int) -> dict[str, Any]:
    assert ours(path, size, hash_type) == theirs(path, size, hash_type)
    seconds: dict[str, list[float]] = {"ours": [], "quilt3": []}
    for turn in range(rounds):
        pair = [("ours", ours), ("quilt3", theirs)]
        for name, run in pair if turn % 2 else reversed(pair):
            start = time.perf_counter()
            run(path, size, hash_type)
            seconds[name].append(round(time.perf_counter() - start, 4))
    ratios = [mine / other for mine, other in zip(seconds["ours"], seconds["quilt3"], strict=True)]
    return {
        "median_of_paired_ratios": round(statistics.median(ratios), 3),
        "limit": LIMIT,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    size = arguments.mib << 20
    with tempfile.NamedTemporaryFile() as file:
        block = os.urandom(1 << 20)
        for number in range(arguments.mib):
            file.write(number.to_bytes(8, "big") + block[8:])
        file.flush()
        os.fsync(file.fileno())
        figures = {kind: compare(Path(file.name), size, kind, arguments.rounds) for kind in TYPES}
    report("hash_file", {"mib": arguments.mib, **figures})


if __name__ == "__main__":
    main()
