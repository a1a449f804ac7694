"""What a call of ``status`` costs over stdio, against the trivial tool of a bare server; calls alternate between the two."""

from __future__ import annotations

import sys
import time
from statistics import median, quantiles

from harness import report
from peer import BARE, OURS, Peer


def timed(peer: Peer, tool: str) -> float:
    begin = time.perf_counter()
    result = peer.call(tool)
    seconds = time.perf_counter() - begin
    assert not result.get("isError"), result
    return seconds


def main(calls: int = 400) -> None:
    with Peer(BARE) as bare, Peer(OURS) as ours:
        bare.initialize(), ours.initialize()
        for _ in range(20):
            timed(bare, "nothing"), timed(ours, "status")
        runs = [(timed(bare, "nothing"), timed(ours, "status")) for _ in range(calls)]
    report(
        "stdio_call",
        {
            "calls": calls,
            "ours_ms_median": round(median(ours for _, ours in runs) * 1e3, 3),
            "bare_ms_median": round(median(bare for bare, _ in runs) * 1e3, 3),
            "ours_ms_p10": round(quantiles([ours for _, ours in runs], n=10)[0] * 1e3, 3),
            "bare_ms_p10": round(quantiles([bare for bare, _ in runs], n=10)[0] * 1e3, 3),
            "ratio": round(median(ours / bare for bare, ours in runs), 3),
            "ratio_limit": 1.5,
        },
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
