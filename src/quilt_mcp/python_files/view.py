"""View: revisions as they were when they were first met. What is pickled of it, which package a path means, and who is asked."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, Final, TypeVar, cast

from quilt_mcp.config import Settings
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.listing import Item
from quilt_mcp.errors import QuiltError
from quilt_mcp.ops import QuiltOps
from quilt_mcp.python_files import revision
from quilt_mcp.python_files.engine import engine
from quilt_mcp.python_files.options import check, settings_for
from quilt_mcp.python_files.read_only import ReadOnlyFiles
from quilt_mcp.python_files.spelling import Spelled, plain, read
from quilt_mcp.python_files.told import as_os_error

T = TypeVar("T")
Pin = tuple[str, str, str | None, str | None]
"""Registry, name, and the hash or tag that was written."""
_REMEMBERED: Final = 10_000
_utils: Any = import_module("fsspec.utils")


class View(ReadOnlyFiles):
    """A name or tag means the top hash that it had when the view first met it, also where the view was pickled to."""

    cachable = False
    """Whoever opens a path by a name anew sees the newest revision."""
    protocol: ClassVar[str]

    def __init__(self, *args: Any, **storage_options: Any) -> None:
        try:
            self._options = check(storage_options)
        except QuiltError as error:
            raise as_os_error(error) from error
        super().__init__(*args)  # pyright: ignore[reportUnknownMemberType]
        self._lock = threading.Lock()
        self._pins: dict[Pin, str] = {}
        self._settings: dict[str, Settings] = {}
        self._items: dict[str, Item] = {}

    # -- identity: what is pickled, and what tells two views apart --

    def __reduce__(self) -> tuple[Any, ...]:
        with self._lock:
            return _restore, (type(self), dict(self._options), dict(self._pins))

    @property
    def _fs_token(self) -> str:
        return _utils.tokenize(self.protocol, **self._options)

    def __dask_tokenize__(self) -> Any:
        with self._lock:
            return self._fs_token, sorted((str(key), top_hash) for key, top_hash in self._pins.items())

    @property
    def fsid(self) -> str:
        return self.protocol

    def keep(self, pins: Mapping[Pin, str]) -> None:
        """Names and tags that mean what they meant to another view."""
        with self._lock:
            self._pins = {**pins, **self._pins}

    def invalidate_cache(self, path: str | None = None) -> None:
        """From now on names and tags are looked up anew."""
        with self._lock:
            self._pins.clear()
            self._items.clear()

    # -- paths --

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in cast("list[Any]", path)]
        try:
            return plain(str(_utils.stringify_path(path)), cls.protocol)
        except QuiltError as error:
            raise as_os_error(error) from error

    def _spelled(self, path: Any) -> Spelled:
        text: str = self._strip_protocol(path)
        try:
            return read(text, self.protocol)
        except QuiltError as error:
            raise as_os_error(error) from error

    def _run(self, registry: str, act: Callable[[QuiltOps], Awaitable[T]]) -> T:
        settings = self._settings.get(registry)
        if settings is None:
            try:
                settings = self._settings[registry] = settings_for(registry, self._options)
            except QuiltError as error:
                raise as_os_error(error) from error
        return engine().run(settings, act)

    def _pinned(self, spelled: Spelled) -> PackageUri:
        """The package at its full top hash, looked up once."""
        package = spelled.package
        assert package is not None, "only what is in a package is pinned"
        if revision.is_pinned(package):
            return package
        key = (package.registry, package.name, package.top_hash, package.tag)
        top_hash = self._pins.get(key)
        if top_hash is None:
            found = self._run(package.registry, partial(revision.pin, package=package))
            with self._lock:
                top_hash = self._pins.setdefault(key, found)
        return replace(package, top_hash=top_hash, tag=None)

    def _item(self, pinned: PackageUri) -> Item:
        """Raises FileNotFoundError, with the names near to it."""
        key = str(pinned)
        found = self._items.get(key)
        if found is None:
            found = self._run(pinned.registry, lambda ops: ops.stat(pinned))
            with self._lock:
                if len(self._items) >= _REMEMBERED:
                    self._items.clear()
                self._items[key] = found
        return found


def _restore(kind: type[View], options: dict[str, Any], pins: dict[Pin, str]) -> View:
    made = kind(**options)
    made.keep(pins)
    return made
