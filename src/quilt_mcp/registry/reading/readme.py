"""What a package says of itself: the head of README.md and quilt_summarize.json, at its root."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import anyio
import orjson

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.listing import Readme
from quilt_mcp.domain.manifest.codec import is_deep
from quilt_mcp.errors import NotSupported, QuiltError
from quilt_mcp.registry.manifests.cache import AT_ONCE
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.recorded import check_content, check_size
from quilt_mcp.registry.registry import Registry
from quilt_mcp.storage.workers import collect

README: Final = "README.md"
SUMMARY: Final = "quilt_summarize.json"
HEAD: Final = 2 << 10
"""Bytes of a README that are shown."""
WHOLE: Final = 64 << 10
"""A file of up to so many bytes is read whole, so that it is verified; of a larger summary nothing is shown."""
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Front:
    readme: Readme | None = None
    summary: Any = None
    warnings: tuple[str, ...] = ()


async def read_front(registry: Registry, package: PackageUri, manifest: Manifest) -> Front:
    """Reads each of the two once for the same bytes. What cannot be read or is no JSON is a warning, never an error."""
    names = (README, SUMMARY)
    if manifest.index.size <= AT_ONCE:
        entries = [manifest.entry(name) for name in names]
    else:
        entries = await anyio.to_thread.run_sync(lambda: [manifest.entry(name) for name in names])
    warnings: list[str] = []

    async def read(entry: Entry | None) -> tuple[bytes, bool] | None:
        if entry is None:
            return None
        try:
            with anyio.fail_after(_SECONDS):
                return await read_beginning(registry, package, entry)
        except QuiltError as error:
            reason = f"{error.code}: {error.message}"
        except TimeoutError:
            reason = "its store does not answer"
        warnings.append(f"not_shown: {entry.logical_key} cannot be read ({reason}).")
        return None

    readme, summary = (
        await collect(entries, len(entries), read) if all(entries) else [await read(one) for one in entries]
    )
    shown: Readme | None = None
    if readme is not None and entries[0] is not None:
        text, size = readme[0][:HEAD], entries[0].size or 0
        is_whole = len(text) == size
        uri = registry.uri(package.name, manifest.top_hash, README)
        cut = text.decode(errors="replace") if is_whole else text.decode(errors="replace").rstrip("\ufffd")
        shown = Readme(cut, size, is_whole, readme[1], uri)
    parsed: Any = None
    if summary is not None:
        try:
            parsed = orjson.loads(b"" if is_deep(summary[0]) else summary[0])
        except orjson.JSONDecodeError:
            warnings.append(
                f"not_shown: {SUMMARY} is no JSON, is nested too deeply, or has over {WHOLE} bytes."
            )
    return Front(shown, parsed, tuple(warnings))


async def read_beginning(registry: Registry, package: PackageUri, entry: Entry) -> tuple[bytes, bool]:
    """The file, or its head where it is large; and whether its bytes are those that the manifest records."""
    asked = entry.physical_key, entry.hash
    found = registry.manifests.texts.get(asked)
    if found is None:
        size, place = entry.size or 0, registry.locate(package, entry)
        length = size if size <= WHOLE else HEAD
        stat, content = await place.store.get(place.key, length=length, version=place.version)
        check_size(entry, stat.size)
        is_verified = False
        if length == size:
            with suppress(NotSupported):  # a hash of a type that is not known
                check_content(entry, content)
                is_verified = True
        found = registry.manifests.texts.set(asked, (content, is_verified))
    return found
