"""ReadOnlyFiles: an fsspec filesystem on which everything that would write is refused."""

from __future__ import annotations

import errno
from importlib import import_module
from typing import Any, NoReturn

_Base: Any = import_module("fsspec.spec").AbstractFileSystem  # without types that strict checking can use


class ReadOnlyRevision(OSError, NotImplementedError):
    """A revision of a package never changes: what writes makes a new one, by other means. No PermissionError, as
    ``told.AccessRefused``."""


def refuse(what: str, path: object = "") -> NoReturn:
    about = f" ({path})" if path else ""
    raise ReadOnlyRevision(
        errno.EROFS,
        f"{what} would write{about}, and a revision of a package never changes. Write to a folder and publish that as a new "
        "revision: `quilt-mcp put NAMESPACE/NAME FOLDER -m MESSAGE --allow-write`, or the server's package_create.",
    )


class ReadOnlyFiles(_Base):
    def mkdir(self, path: Any, create_parents: bool = True, **kwargs: Any) -> NoReturn:
        refuse("mkdir", path)

    def makedirs(self, path: Any, exist_ok: bool = False) -> NoReturn:
        refuse("makedirs", path)

    def rmdir(self, path: Any) -> NoReturn:
        refuse("rmdir", path)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> NoReturn:
        refuse("rm", path)

    def rm_file(self, path: Any) -> NoReturn:
        refuse("rm_file", path)

    def _rm(self, path: Any) -> NoReturn:
        refuse("rm", path)

    def cp_file(self, path1: Any, path2: Any, **kwargs: Any) -> NoReturn:
        refuse("cp_file", path2)

    def copy(self, path1: Any, path2: Any, *args: Any, **kwargs: Any) -> NoReturn:
        refuse("copy", path2)

    def mv(self, path1: Any, path2: Any, *args: Any, **kwargs: Any) -> NoReturn:
        refuse("mv", path1)

    def pipe_file(self, path: Any, value: Any, mode: str = "overwrite", **kwargs: Any) -> NoReturn:
        refuse("pipe_file", path)

    def put_file(self, lpath: Any, rpath: Any, *args: Any, **kwargs: Any) -> NoReturn:
        refuse("put_file", rpath)

    def put(self, lpath: Any, rpath: Any, *args: Any, **kwargs: Any) -> NoReturn:
        refuse("put", rpath)

    def touch(self, path: Any, truncate: bool = True, **kwargs: Any) -> NoReturn:
        refuse("touch", path)

    def start_transaction(self) -> NoReturn:
        refuse("start_transaction")
