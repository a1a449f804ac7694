"""The process that runs the stack. Its settings are its argument, as JSON; its ports are one line on standard output; it ends
when its standard input closes."""

from __future__ import annotations

import asyncio
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


HOSTS = ("catalog", "registry", "s3proxy")


async def serve(site: Site) -> None:
    """The stack's hosts, and its gate to S3, each on a port of its own."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in (*HOSTS, "gate")]
    ports = [one.getsockname()[1] for one in listening]
    stack = site.asgi(dict(zip(ports, HOSTS, strict=False)))
    print(*ports, flush=True)
    sys.stdout = sys.stderr  # quilt3 prints
    await asyncio.gather(
        *(
            uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")).serve(
                [one]
            )
            for app, one in zip((stack, stack, stack, site.gate), listening, strict=True)
        )
    )


def main() -> None:
    given = json.loads(sys.argv[1])
    site = Site(
        State(given["profile"], given["buckets"]),
        given["region"],
        given["secret"],
        os.environ["AWS_ENDPOINT_URL"],
        relative=given["relative"],
        config=given["config"],
    )
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    with one_client():
        asyncio.run(serve(site))


if __name__ == "__main__":
    main()
