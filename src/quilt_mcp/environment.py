"""What the environment says of the network, as one rule for every client: the proxy before a URL, whose certificates are trusted
beside the system's, whether what is measured is sent on."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

CA_BUNDLE: Final = "AWS_CA_BUNDLE"
"""AWS's own; what its profiles name comes after it."""
OTHER_CA_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def authorities() -> Iterator[tuple[str, str]]:
    """Each variable that names a file of certificate authorities, and the file."""
    for name in (CA_BUNDLE, *OTHER_CA_BUNDLES):
        if file := os.environ.get(name):
            yield name, file


def authorities_folder() -> str | None:
    """As openssl has it: a file for each, under the hash of its name."""
    return os.environ.get("SSL_CERT_DIR") or None


def sends_telemetry(kind: Literal["METRICS", "TRACES"]) -> bool:
    """Whether OpenTelemetry's own variables name a place for it."""
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{one}ENDPOINT") for one in ("", f"{kind}_"))


def proxy_before(url: str) -> str | None:
    """The proxy of the environment that a request to the URL goes by. NO_PROXY as curl, requests and boto3 have it: hosts, with
    a port or without, domains with all below them, '*'; and networks of addresses (10.0.0.0/8), as curl has those."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc) or _is_in(parts.hostname or "", proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_in(host: str, excepted: str) -> bool:
    """Whether an address lies in one of the networks; a name never does, as it is not looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for one in excepted.split(","):
        try:
            if address in ipaddress.ip_network(one.strip(), strict=False):
                return True
        except ValueError:
            continue  # a name
    return False
