"""Listing: what there is in revisions, by the names that fsspec has for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from importlib import import_module
from typing import Any, cast

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.glob import has_wildcard
from quilt_mcp.domain.listing import Item
from quilt_mcp.python_files import revision
from quilt_mcp.python_files.spelling import Spelled
from quilt_mcp.python_files.view import View

Info = dict[str, Any]
_utils: Any = import_module("fsspec.utils")


class Listing(View):
    """Paths are answered as they were asked for; ``info`` tells the pinned URI, the top hash and the file's own hash."""

    def info(self, path: Any, **kwargs: Any) -> Info:
        spelled = self._spelled(path)
        if spelled.package is None:
            names = partial(
                revision.packages, registry=spelled.registry, namespace=spelled.namespace, some=True
            )
            self._run(spelled.registry, names)
            return {"name": spelled.stem, "size": 0, "type": "directory"}
        return _info(spelled, self._item(self._pinned(spelled)))

    def ls(self, path: Any, detail: bool = True, **kwargs: Any) -> list[Any]:
        spelled = self._spelled(path)
        if spelled.package is None:
            infos = self._ls_above(spelled)
        else:
            pinned = self._pinned(spelled)
            items = self._run(pinned.registry, partial(revision.listed, package=pinned, depth=1))
            infos = [_info(spelled, item) for item in items]
        return infos if detail else [info["name"] for info in infos]

    def _ls_above(self, spelled: Spelled) -> list[Info]:
        """Namespaces of a registry, or packages of a namespace."""
        wanted = partial(revision.packages, registry=spelled.registry, namespace=spelled.namespace)
        names = self._run(spelled.registry, wanted)
        last = [name.partition("/")[2 if spelled.namespace else 0] for name in names]
        return [
            {"name": f"{spelled.stem}/{one}", "size": 0, "type": "directory"} for one in dict.fromkeys(last)
        ]

    def find(
        self,
        path: Any,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """By pages of the manifest, however deep. A path that there is not has nothing below it."""
        try:
            spelled = self._spelled(path)
        except FileNotFoundError:
            return {} if detail else []
        if spelled.package is None:
            return cast("Any", super()).find(path, maxdepth, withdirs, detail, **kwargs)
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        try:
            pinned = self._pinned(spelled)
            items = self._run(pinned.registry, partial(revision.listed, package=pinned, depth=maxdepth))
        except FileNotFoundError:
            return {} if detail else []
        infos = [_info(spelled, item) for item in items if item.type == "file"]
        if withdirs:
            infos += _folder_infos(spelled, pinned, items)
        found = {info["name"]: info for info in sorted(infos, key=lambda one: one["name"])}
        return found if detail else list(found)

    def glob(self, path: Any, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """A path that is there as it stands is that file, whatever wildcards are in its name."""
        text = str(_utils.stringify_path(path))
        detail = kwargs.pop("detail", False)
        try:
            spelled = self._spelled(text)
        except FileNotFoundError:
            return {} if detail else []
        except ValueError:  # a wildcard in the name of a package
            return cast("Any", super()).glob(text, maxdepth=maxdepth, detail=detail, **kwargs)
        if self.exists(text):
            name = spelled.spell(spelled.key) if spelled.package else spelled.stem
            return {name: self.info(text)} if detail else [name]
        if spelled.package is None or not has_wildcard(spelled.key):
            return {} if detail else []
        found = self._matching(spelled, text, maxdepth, kwargs.pop("withdirs", True))
        return found if detail else list(found)

    def _matching(self, spelled: Spelled, text: str, maxdepth: int | None, withdirs: bool) -> dict[str, Info]:
        key = spelled.key
        wild = re.search(r"[*?\[]", key)
        assert wild is not None, "there is a wildcard"
        folder = key[: wild.start()].rpartition("/")[0]
        depth = key.count("/", len(folder) + 1 if folder else 0) + 1
        if "**" in key:
            after = key[key.index("**") :].count("/") + 1
            depth = None if maxdepth is None else depth - after + maxdepth
        below = self.find(spelled.spell(folder), maxdepth=depth, withdirs=withdirs, detail=True)
        ends = text.endswith("/")
        pattern = re.compile(_utils.glob_translate(key + ("/" if ends else "")))
        slashed = ends or key.endswith("/**") or key == "**"
        skipped = len(spelled.stem) + 1
        return {
            name: info
            for name, info in below.items()
            if pattern.match(name[skipped:] + ("/" if slashed and info["type"] == "directory" else ""))
        }

    def exists(self, path: Any, **kwargs: Any) -> bool:
        """Raises what is not an answer: that nobody is signed in, say."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def isdir(self, path: Any) -> bool:
        return self.exists(path) and self.info(path)["type"] == "directory"

    def isfile(self, path: Any) -> bool:
        return self.exists(path) and self.info(path)["type"] == "file"

    def ukey(self, path: Any) -> str:
        """Of the pinned URI and the recorded hash: the same wherever and however the file is named."""
        info = self.info(path)
        told = [info.get("uri", info["name"]), info.get("hash_type", ""), info.get("hash", "")]
        return sha256("\n".join(told).encode(errors="surrogatepass")).hexdigest()

    def checksum(self, path: Any) -> int:
        return int(self.ukey(path), 16)

    def modified(self, path: Any) -> datetime:
        """When the revision was written: since then, nothing in it changed."""
        spelled = self._spelled(path)
        if spelled.package is None:
            raise FileNotFoundError(f"{path} is no file of a package.")
        pinned = self._pinned(spelled)
        self._item(pinned)
        found = self._run(pinned.registry, partial(revision.written, package=pinned))
        if found is None:
            raise NotImplementedError(f"Nothing tells when {spelled.stem} was written.")
        return found


def _info(spelled: Spelled, item: Item) -> Info:
    info: Info = {
        "name": spelled.spell(item.path),
        "size": item.size if item.type == "file" else 0,
        "type": "file" if item.type == "file" else "directory",
        "uri": item.uri,
        "top_hash": PackageUri.parse(item.uri).top_hash,
    }
    if item.hash is not None:
        info |= {"hash": item.hash.value, "hash_type": item.hash.type}
    return info


def _folder_infos(spelled: Spelled, pinned: PackageUri, items: Iterable[Item]) -> list[Info]:
    """The folder itself and those below it that these lie in."""
    root = spelled.key
    folders = {root} if all(item.path != root for item in items) else set[str]()
    for item in items:
        folder = item.path.rstrip("/") if item.type == "folder" else item.path.rpartition("/")[0]
        while len(folder) > len(root):
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return [
        {
            "name": spelled.spell(folder),
            "size": 0,
            "type": "directory",
            "uri": str(replace(pinned, path=f"{folder}/" if folder else None)),
            "top_hash": pinned.top_hash,
        }
        for folder in folders
    ]
