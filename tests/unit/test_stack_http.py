"""What is asked of a stack ends in time and size, whatever answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from quilt_mcp.auth import stack_http
from quilt_mcp.auth.stack_http import StackHttp, Trust, check_url
from quilt_mcp.errors import InvalidArgument, StorageUnavailable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte now and then, and never all."""
    ended = threading.Event()

    def drip() -> None:
        with server, server.accept()[0] as peer:
            peer.recv(4096)
            peer.sendall(HEAD)
            while not ended.wait(0.05):
                try:
                    peer.sendall(b" ")
                except OSError:
                    return

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=drip)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    ended.set()
    thread.join(10)


def test_an_answer_that_comes_byte_by_byte_is_given_up(
    dripping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_http, "_WHOLE_SECONDS", 0.4)
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="does not end"):
        StackHttp().send("GET", dripping)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("token", ["a b", "a\n", "\u00e9", ""])
def test_a_token_that_no_header_takes_is_never_sent(token: str) -> None:
    with pytest.raises(InvalidArgument, match="token"):
        StackHttp().send("GET", "http://127.0.0.1:9/", bearer=token)


ODD_URLS = [
    "https://host\n", "https://ho st", "https://host?", "https://host#", "https://u@host", "ftp://h", "https://[",
    "http://example.org",
]  # fmt: skip


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_url_that_is_more_than_a_place_or_less_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        check_url(url, "The URL")


def test_what_one_users_connection_holds_beyond_its_answer_is_no_other_users() -> None:
    """A server, or a proxy before it, sends an answer too many: it must not be taken for the next user's."""
    mine = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
    strange = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanother"
    server = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer:
            while peer.recv(4096):
                peer.sendall(mine + strange)

    def accept() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    trust = Trust()
    users = [StackHttp(trust) for _ in range(3)]
    try:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert [one.send("GET", url, bearer="token").body for one in users] == [b"mine"] * 3
    finally:
        for one in users:
            one.close()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)
