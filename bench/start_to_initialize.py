"""How long from starting the process to its answer to ``initialize``, and how much memory then, against a bare server.

The two are started in turn, so that a busy machine slows both; the result is the median of the ratios of the pairs.
"""

from __future__ import annotations

import sys
from statistics import median

from harness import report
from peer import BARE, OURS, Peer


def measure(command: list[str]) -> tuple[float, int]:
    with Peer(command) as peer:
        seconds = peer.initialize()
        return seconds, peer.rss()


def main(pairs: int = 15) -> None:
    measure(BARE), measure(OURS)  # page cache and bytecode
    runs = [(measure(BARE), measure(OURS)) for _ in range(pairs)]
    report(
        "start_to_initialize",
        {
            "pairs": pairs,
            "ours_seconds": round(median(ours[0] for _, ours in runs), 3),
            "bare_seconds": round(median(bare[0] for bare, _ in runs), 3),
            "time_ratio": round(median(ours[0] / bare[0] for bare, ours in runs), 3),
            "time_ratio_limit": 1.15,
            "ours_rss_mb": round(median(ours[1] for _, ours in runs) / 1e6, 1),
            "bare_rss_mb": round(median(bare[1] for bare, _ in runs) / 1e6, 1),
            "rss_ratio": round(median(ours[1] / bare[1] for bare, ours in runs), 3),
            "rss_ratio_limit": 1.3,
        },
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
