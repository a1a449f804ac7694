"""Site: a Quilt stack whoever asks: where it is, what its config.json says, which documents its GraphQL takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from quilt_mcp.auth.bearer import LOGIN_AT
from quilt_mcp.auth.stack_http import StackHttp, Trust
from quilt_mcp.catalog.config import StackConfig
from quilt_mcp.catalog.failures import SharedFailure
from quilt_mcp.errors import Misconfigured, QuiltError

CONFIG_SECONDS: Final = 600.0
"""How long config.json is believed. A stack that cannot be asked again is taken for as it was."""


class Site:
    """Safe to share between threads and users: it holds nothing that is anybody's.

    ``catalog_url`` or ``registry_url`` has to be there. Without a catalog (quilt3's configuration may name none) there is no
    config.json to ask, and what it would say is not known.
    """

    def __init__(
        self,
        catalog_url: str | None,
        registry_url: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalog_url = catalog_url.rstrip("/") if catalog_url else None
        self.host = urlsplit(self.catalog_url or registry_url or "").netloc
        self.trust = Trust()
        self.taken: dict[tuple[str, ...], str] = {}
        """Which of some documents the stack takes."""
        self._registry_url = registry_url
        self._clock = clock
        self._lock = threading.Lock()
        self._failure = SharedFailure(clock)
        self._config: StackConfig | None = None
        self._asked = 0.0

    def registry_url(self) -> str:
        """Where requests go: as quilt3's configuration says, else as the catalog's. Raises as ``config``."""
        return self._registry_url or self.config().registry_url

    def config(self) -> StackConfig:
        """What the catalog says of its stack; may block. Raises Misconfigured (no catalog is named, or this is no stack's),
        StorageUnavailable."""
        with self._lock:
            if self._config is None:
                with self._failure.attempt():
                    self._config = self._ask()
                self._asked = self._clock()
            held = self._config
            if self._clock() - self._asked < CONFIG_SECONDS:
                return held
            # Whoever comes meanwhile has the one that is held.
            self._asked = self._clock()
        with suppress(QuiltError):
            held = self._config = self._ask()
        return held

    def _ask(self) -> StackConfig:
        if self.catalog_url is None:
            raise Misconfigured(
                "quilt3's configuration names no catalog.",
                next_step=f"Run `{LOGIN_AT}`.",
                details={"command": LOGIN_AT},
            )
        return StackConfig.ask(StackHttp(self.trust), self.catalog_url)
