"""Proxies: who asked, where a proxy stands between: as it tells, if it is one that is trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from quilt_mcp.errors import InvalidArgument

if TYPE_CHECKING:
    from starlette.types import Scope

_MOST_HOPS: Final = 20


class Proxies:
    """``trusted``: addresses and networks. Raises InvalidArgument for what is neither."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        try:
            self._trusted = [ipaddress.ip_network(one, strict=False) for one in trusted]
        except ValueError:
            raise InvalidArgument(
                f"QUILT_MCP_TRUSTED_PROXIES names what is neither an address nor a network: {', '.join(trusted)[:200]!r}.",
                next_step="Give addresses (10.1.2.3) or networks (10.0.0.0/8), separated by commas.",
            ) from None

    def client_of(self, scope: Scope) -> str | None:
        """The address of whoever asked: the last in X-Forwarded-For that is no trusted proxy's, where the peer is one; what
        anybody else forwards is not looked at."""
        peer = scope.get("client")
        address: str | None = peer[0] if peer else None
        if address is None or not self._is_trusted(address):
            return address
        told = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        hops = [one.strip() for one in told.decode("latin-1").split(",")][-_MOST_HOPS:]
        for hop in map(_without_port, reversed(hops)):
            if not _is_address(hop):
                break
            address = hop
            if not self._is_trusted(hop):
                break
        return address

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._trusted)


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
