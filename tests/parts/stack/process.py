"""The process that runs the stack. Its settings are its argument, as JSON; its port is one line on standard output; it ends
when its standard input closes."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

import uvicorn

from parts.quilt3_client import one_client
from parts.stack.app import Site
from parts.stack.state import State


def end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    given = json.loads(sys.argv[1])
    state = State(given["profile"], given["buckets"])
    site = Site(state, given["region"], given["secret"], relative=given["relative"], config=given["config"])
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    config = uvicorn.Config(site.asgi(), log_level="critical", access_log=False, lifespan="off")
    print(listening.getsockname()[1], flush=True)
    sys.stdout = sys.stderr  # quilt3 prints
    with one_client():
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
