"""The stack as a test holds it: started in a process of its own, changed and asked from outside."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parts.s3_access import S3Access
from parts.stack.faults import Fault
from parts.unmeasured import unmeasured

NEWEST = "26.8"


class Stack:
    """``url`` is the catalog's. Roles ``reader`` and ``writer`` are there: of all its buckets.

    ``s3_url`` is S3 as the keys that the stack hands out may use it: for these alone, and what their role allows.
    """

    def __init__(self, urls: list[str], secret: str, begun: dict[str, Any]) -> None:
        self.url, self.registry_url, self.proxy_url, self.s3_url = urls
        self._secret = secret
        self._begun = begun

    def _do(self, what: str, **given: Any) -> Any:
        body = json.dumps({"do": what, "with": given}).encode()
        headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_control", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            with error:
                raise LookupError(error.read().decode()) from None

    def ask(self, document: str, bearer: str | None = None, **variables: Any) -> dict[str, Any]:
        """GraphQL by a client of the test's own: what is answered, whatever the status."""
        body = json.dumps({"query": document, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        request = urllib.request.Request(f"{self.registry_url}/graphql", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def add_role(self, name: str, permissions: dict[str, str]) -> str:
        """``permissions`` are READ or READ_WRITE by bucket. Its id."""
        return self._do("add_role", name=name, permissions=permissions)

    def add_user(
        self, name: str, roles: Iterable[str] = ("writer",), *, admin: bool = False, password: str = ""
    ) -> None:
        """The first of ``roles`` is the one in use. Their address is NAME@example.com."""
        self._do("add_user", name=name, roles=list(roles), admin=admin, password=password)

    def add_bucket(self, name: str) -> None:
        self._do("add_bucket", name=name)

    def change_bucket(self, name: str, **change: Any) -> None:
        """Keys of BucketConfig, as ``browsable=False``."""
        self._do("change_bucket", name=name, change=change)

    def token(self, name: str, *, seconds: float = 90 * 86400) -> str:
        """A JWT of the user. With ``seconds`` below zero it has expired."""
        return self._do("token", name=name, seconds=seconds)

    def code(self, name: str) -> str:
        """What the user would paste: works once."""
        return self._do("code", name=name)

    def api_key(self, name: str, *, label: str = "test", days: float = 90) -> str:
        return self._do("api_key", name=name, label=label, days=days)

    def accept(self, token: str, name: str) -> None:
        """A token of another issuer is taken for the user's, as a stack takes those of its authorization server."""
        self._do("accept", token=token, name=name)

    def revoke(self, token: str) -> None:
        """A JWT or an API key."""
        self._do("revoke", token=token)

    def set_role(self, name: str, role: str) -> None:
        """As if it was changed in a browser, or by an administrator."""
        self._do("set_role", name=name, role=role)

    def set_active(self, name: str, active: bool) -> None:
        self._do("set_active", name=name, active=active)

    def set_profile(self, profile: str) -> None:
        self._do("profile", profile=profile)

    def set_graph_search(self, on: bool) -> None:
        """Off: GraphQL has no search, as before July 2025. The registry's older one stays."""
        self._do("graph_search", on=on)

    def set_browse_redirects(self, on: bool) -> None:
        """Bytes are answered by a redirect to S3, as by a registry without its proxy before it."""
        self._do("browse_redirects", on=on)

    def set_config(self, **change: Any) -> None:
        """Keys of config.json."""
        self._do("config", change=change)

    def fault(self, *faults: Fault) -> None:
        for fault in faults:
            self._do("fault", fault=asdict(fault))

    def clear_faults(self) -> None:
        self._do("clear_faults")

    def requests(self, path: str | None = None) -> list[dict[str, Any]]:
        """In order of coming: ``host`` (catalog, registry or s3proxy), ``method``, ``path``, ``query``, ``operation``,
        ``headers``, and ``bearer``: whether one was sent."""
        return [one for one in self._do("requests") if path in (None, one["path"])]

    def s3_requests(self) -> list[dict[str, Any]]:
        """``method``, ``bucket``, ``key``, ``access_key`` and ``user`` (``None``: not the stack's keys) of what came at
        ``s3_url`` or through the s3Proxy."""
        return self._do("s3_requests")

    def set_s3_silence(self, seconds: float) -> None:
        """Before each answer of what comes at ``s3_url`` or through the s3Proxy; noted is it at once."""
        self._do("s3_silence", seconds=seconds)

    def forget(self) -> None:
        """The requests up to now."""
        self._do("forget")

    def reset(self) -> None:
        """As it was at the start: no users, no faults, no requests. What is on S3 stays."""
        self._do("reset", **self._begun)


@contextmanager
def quilt_stack(
    s3: S3Access,
    buckets: Iterable[str] = (),
    *,
    profile: str = NEWEST,
    relative: bool = False,
    config: dict[str, Any] | None = None,
) -> Iterator[Stack]:
    """``relative``: config.json names paths of the catalog, not other hosts. ``config`` changes its keys.

    Starts in about two seconds.
    """
    secret, home = secrets.token_hex(16), tempfile.mkdtemp(prefix="quilt-stack-")
    begun: dict[str, Any] = {"profile": profile, "buckets": list(buckets), "config": config or {}}
    given = begun | {"region": s3.region, "secret": secret, "relative": relative}
    inherited = {
        name: value for name, value in unmeasured().items() if not name.startswith(("AWS_", "QUILT_", "XDG_"))
    }
    folders = {f"XDG_{kind}_HOME": f"{home}/{kind.lower()}" for kind in ("DATA", "CACHE", "CONFIG")}
    process = subprocess.Popen(
        [sys.executable, "-m", "parts.stack.process", json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=home,
        env=inherited
        | folders
        | s3.environment()
        | {
            "HOME": home,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONWARNINGS": "ignore",
            "QUILT_DISABLE_USAGE_METRICS": "true",
            "QUILT_MINIMIZE_STDOUT": "true",
        },
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        ports = process.stdout.readline().split()
        if not ports:
            raise RuntimeError(f"the stack did not start: exit status {process.wait(10)}")
        yield Stack([f"http://127.0.0.1:{port}" for port in ports], secret, begun)
    finally:
        process.stdin.close()  # which is its sign to end
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
        shutil.rmtree(home, ignore_errors=True)
