"""C30: fifty clients of ten users for minutes: memory and descriptors are what they were after the first."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from company import HEADERS, Company, Two, company, read

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
SETTLING = 60.0
CLIENTS, USERS = 50, 10


def memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Caller:
    """Calls all that reads, over and over, and one in fifty times with a token of nobody."""

    def __init__(self, served: Company, two: Two, token: str, stop: threading.Event) -> None:
        pinned = f"quilt+s3://{two.hers}#package=lab/reads@{two.hashes['ada']}"
        self.acts: list[tuple[str, dict[str, Any]]] = [
            ("status", {}),
            ("packages_list", {"registry": f"s3://{two.hers}"}),
            ("package_browse", {"package": pinned}),
            ("package_log", {"package": pinned}),
            ("object_read", {"uri": f"{pinned}&path=data/reads.csv"}),
            ("object_list", {"location": f"s3://{two.hers}/lab/"}),
            ("package_browse", {"package": "no/such", "registry": f"s3://{two.hers}"}),
        ]
        self.calls = self.refused = 0
        self.wrong: list[str] = []
        self._served, self._token, self._stop = served, token, stop
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with httpx2.Client(timeout=60, trust_env=False) as client:
            while not self._stop.is_set():
                self._call(client, *self.acts[self.calls % len(self.acts)])

    def _call(self, client: httpx2.Client, tool: str, arguments: dict[str, Any]) -> None:
        self.calls += 1
        token = "qk_nobody" if self.calls % 50 == 0 else self._token
        params = {"name": tool, "arguments": arguments}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        headers = HEADERS | {"Authorization": f"Bearer {token}"}
        answer = client.post(self._served.url, content=body, headers=headers)
        if answer.status_code == 401 and token == "qk_nobody":
            self.refused += 1
        elif answer.status_code != 200 or ("error" in read(answer)["result"]["structuredContent"]) != (
            arguments.get("package") == "no/such"
        ):
            self.wrong.append(answer.text[:300])


@pytest.mark.nightly
@pytest.mark.timeout(0)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="/proc tells of processes")
def test_case_C30_memory_and_descriptors_stay_what_they_are(two: Two, tmp_path: Path) -> None:
    for number in range(USERS):
        two.stack.add_user(f"soak{number}", roles=("of-ada",))
    tokens = [two.stack.api_key(f"soak{number}") for number in range(USERS)]
    stop = threading.Event()
    wide = {"QUILT_MCP_USER_RATE": "1000", "QUILT_MCP_USER_CALLS": "100"}
    with company(two.stack, two.server, tmp_path, **wide) as served:
        callers = [Caller(served, two, tokens[number % USERS], stop) for number in range(CLIENTS)]
        try:
            time.sleep(SETTLING)
            pid = served.process.pid
            before, open_before = memory(pid), descriptors(pid)
            time.sleep(SECONDS - SETTLING)
            after, open_after = memory(pid), descriptors(pid)
        finally:
            stop.set()
            for one in callers:
                one.thread.join(60)
        figures = {
            "seconds": SECONDS,
            "calls": sum(one.calls for one in callers),
            "refused": sum(one.refused for one in callers),
            "memory_ratio": round(after / before, 3),
            "megabytes": round(after / 1e6, 1),
            "descriptors": [open_before, open_after],
        }
        print(json.dumps(figures))
        assert not [text for one in callers for text in one.wrong], figures
        assert after <= before * 1.05, figures
        assert abs(open_after - open_before) <= CLIENTS // 10, figures
