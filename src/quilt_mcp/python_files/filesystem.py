"""PackageFiles: revisions of packages as a read-only fsspec filesystem, one class a protocol."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, Final, cast

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Hash
from quilt_mcp.domain.listing import Item
from quilt_mcp.errors import QuiltError
from quilt_mcp.python_files import revision
from quilt_mcp.python_files.file import Opener, PinnedFile, Verifier
from quilt_mcp.python_files.listing import Listing
from quilt_mcp.python_files.read_only import refuse
from quilt_mcp.python_files.spelling import FILE, S3
from quilt_mcp.python_files.told import as_os_error
from quilt_mcp.storage.local.beside import make_beside, put_beside

_BLOCK: Final = 8 << 20
_callbacks: Any = import_module("fsspec.callbacks")
_utils: Any = import_module("fsspec.utils")


class PackageFiles(Listing):
    """Bytes of revisions, by range or whole; whole ones are verified. Safe to share between threads. Raises OSErrors, which are
    ValueErrors too for what is no address."""

    def _open(self, path: Any, mode: str = "rb", **kwargs: Any) -> PinnedFile:
        if mode != "rb":
            refuse(f"open(mode={mode!r})", path)
        pinned, item = self._file(path)
        return PinnedFile(
            cast("Opener", self), str(path), item.size, partial(self._fetch, pinned), _verifier(item)
        )

    def _file(self, path: Any) -> tuple[PackageUri, Item]:
        spelled = self._spelled(path)
        if spelled.package is None:
            raise IsADirectoryError(f"{path} names no file of a package, but what is above packages.")
        pinned = self._pinned(spelled)
        item = self._item(pinned)
        if item.type != "file":
            raise IsADirectoryError(
                f"{path} is a folder of {item.entries} files; fs.ls() shows what is in it."
            )
        return pinned, item

    def _fetch(self, pinned: PackageUri, start: int, end: int) -> bytes:
        return self._run(pinned.registry, partial(revision.fetch, package=pinned, start=start, end=end))

    def cat_file(self, path: Any, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Verified when it is the whole file."""
        pinned, item = self._file(path)
        first, last = _span(item.size, start, end)
        data = self._fetch(pinned, first, last)
        if len(data) == item.size > revision.PIECE:
            _verifier(item).add(0, data)
        return data

    def cat_ranges(
        self,
        paths: Any,
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Several at a time, each as it is given."""
        if not isinstance(paths, list):
            raise TypeError("paths is a list of paths.")
        many = cast("list[str]", paths)
        spans = list(zip(many, _as_many(starts, len(many)), _as_many(ends, len(many)), strict=True))
        files = {path: self._file_or_error(path) for path in dict.fromkeys(many)}
        answers: dict[int, bytes | OSError] = {}
        by_registry: dict[str, list[tuple[int, PackageUri, tuple[int, int]]]] = {}
        for number, (path, start, end) in enumerate(spans):
            file = files[path]
            if isinstance(file, OSError):
                answers[number] = file
            else:
                wanted = (number, file[0], _span(file[1].size, start, end))
                by_registry.setdefault(file[0].registry, []).append(wanted)
        for registry, wanted in by_registry.items():
            found = self._run(registry, partial(revision.fetch_many, wanted=wanted))
            answers |= {n: as_os_error(one) if isinstance(one, QuiltError) else one for n, one in found}
        in_order = [answers[number] for number in range(len(many))]
        failed = next((one for one in in_order if isinstance(one, OSError)), None)
        if failed is not None and on_error != "return":
            raise failed
        return in_order

    def _file_or_error(self, path: str) -> tuple[PackageUri, Item] | OSError:
        try:
            return self._file(path)
        except OSError as error:
            return error

    def get_file(
        self,
        rpath: Any,
        lpath: Any = None,
        callback: Any = _callbacks.DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """A file of this machine is there when all of it was verified, and before that as it was."""
        out = outfile if outfile is not None else lpath if _utils.isfilelike(lpath) else None
        if out is not None:
            self._pour(rpath, out.write, callback)
            return
        if self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        os.makedirs(os.path.dirname(os.path.abspath(lpath)), exist_ok=True)
        descriptor, made = make_beside(lpath)
        try:
            with open(descriptor, "wb") as file:
                self._pour(rpath, file.write, callback)
            put_beside(made, lpath, replace=True)
        except BaseException:
            with suppress(OSError):
                os.unlink(made)
            raise

    def _pour(self, path: Any, write: Callable[[bytes], object], callback: Any) -> None:
        pinned, item = self._file(path)
        verifier = _verifier(item)
        callback.set_size(item.size)
        for at in range(0, item.size, _BLOCK):
            data = self._fetch(pinned, at, min(at + _BLOCK, item.size))
            verifier.add(at, data)
            write(data)
            callback.relative_update(len(data))


class BucketFiles(PackageFiles):
    """``quilt+s3``."""

    protocol = S3


class FolderFiles(PackageFiles):
    """``quilt+file``."""

    protocol = FILE
    root_marker = "/"


def _verifier(item: Item) -> Verifier:
    def refuse_it(found: Hash) -> OSError:
        return as_os_error(revision.mismatch(item, found))

    return Verifier(item.size, item.hash, refuse_it)


def _span(size: int, start: int | None, end: int | None) -> tuple[int, int]:
    """As of a slice."""
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


def _as_many(given: Any, count: int) -> list[int | None]:
    many = cast("list[int | None]", given) if isinstance(given, list) else [given] * count
    if len(many) != count:
        raise ValueError(f"{count} paths, and {len(many)} starts or ends.")
    return many
