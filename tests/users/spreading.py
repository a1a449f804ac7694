"""A proxy that spreads connections over servers, as a load balancer does: one that refuses the connection is passed over."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from typing import Any, Self


class Spreader:
    """Takes a request apart no further than its connection, and sends nothing again."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._targets: list[tuple[str, int]] = []
        self._turns = itertools.count()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    def to(self, origins: list[str]) -> None:
        hosts = [one.removeprefix("http://").partition(":") for one in origins]
        self._targets = [(host, int(port)) for host, _, port in hosts]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, act: Any, *given: Any) -> None:
        thread = threading.Thread(target=act, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._start(self._join, client)

    def _join(self, client: socket.socket) -> None:
        targets, first = self._targets, next(self._turns)
        for number in range(len(targets)):
            with suppress(OSError):
                server = socket.create_connection(targets[(first + number) % len(targets)], timeout=5)
                server.settimeout(None)
                break
        else:
            with suppress(OSError):
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return client.close()
        self._open |= {client, server}
        back = threading.Thread(target=self._carry, args=(server, client), daemon=True)
        back.start()
        self._carry(client, server)
        back.join()
        self._open -= {client, server}
        client.close()
        server.close()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
