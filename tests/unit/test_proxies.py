"""Who asked, where proxies stand between."""

from __future__ import annotations

import pytest

from quilt_mcp.errors import InvalidArgument
from quilt_mcp.server.http.proxies import Proxies


def client(trusted: list[str], peer: str, *forwarded: str) -> str | None:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return Proxies(trusted).client_of({"client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "found"),
    [
        ([], "10.1.2.3", ["9.9.9.9"], "10.1.2.3"),
        (["10.0.0.0/8"], "10.1.2.3", ["9.9.9.9"], "9.9.9.9"),
        (["10.0.0.0/8"], "10.1.2.3", ["1.1.1.1, 9.9.9.9, 10.2.2.2"], "9.9.9.9"),
        (["10.0.0.0/8"], "10.1.2.3", ["1.1.1.1", "9.9.9.9"], "9.9.9.9"),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", ["9.9.9.9"], "9.9.9.9"),
        (["10.0.0.0/8"], "10.1.2.3", ["9.9.9.9:4711"], "9.9.9.9"),
        (["10.0.0.0/8"], "10.1.2.3", ["[2001:db8::1]:4711"], "2001:db8::1"),
        (["10.0.0.0/8"], "10.1.2.3", ["what anybody writes"], "10.1.2.3"),
        (["2001:db8::/32"], "2001:db8::5", ["2001:db9::1"], "2001:db9::1"),
    ],
)
def test_what_a_trusted_proxy_forwards_is_believed_and_nothing_else(
    trusted: list[str], peer: str, forwarded: list[str], found: str
) -> None:
    assert client(trusted, peer, *forwarded) == found


def test_what_is_no_network_is_told() -> None:
    with pytest.raises(InvalidArgument, match="QUILT_MCP_TRUSTED_PROXIES"):
        Proxies(["everybody"])
