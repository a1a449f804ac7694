"""Browsing: one page of what a revision holds, narrowed to what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from anyio import to_thread
from anyio.from_thread import check_cancelled

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.cursor import decode_cursor, encode_cursor
from quilt_mcp.domain.glob import Match, has_wildcard, without_wildcards
from quilt_mcp.domain.listing import Browse, Item, Page, Totals
from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.registry.manifests.cache import AT_ONCE
from quilt_mcp.registry.manifests.manifest import FolderRow, Manifest
from quilt_mcp.registry.manifests.scan import SORTS, Checkpoint, Question, Scan
from quilt_mcp.registry.reach import first_outside_roots
from quilt_mcp.registry.reading.readme import Front, read_front
from quilt_mcp.registry.registry import Registry
from quilt_mcp.registry.registry import shown as names

_DEEPEST: Final = 1000


@dataclass(frozen=True, slots=True)
class View:
    """What of a folder is shown. See ``QuiltOps.browse``."""

    recursive: bool = False
    depth: int | None = None
    match: str = ""
    sort: str = "path"
    with_extensions: bool = False
    with_readme: bool = False

    def levels(self) -> int | None:
        return self.depth or (None if self.recursive or self.match else 1)

    def check(self) -> None:
        """Raises InvalidArgument."""
        if self.depth is not None and not 1 <= self.depth <= _DEEPEST:
            raise InvalidArgument(
                f"depth is {self.depth}; it counts levels of folders, 1 to {_DEEPEST}.",
                next_step="Set depth=1 for what is directly in the folder, or recursive=true for every file below it.",
            )
        if self.sort not in SORTS:
            raise InvalidArgument(
                f"Files of a package cannot be sorted by {self.sort[:100]!r}: a manifest knows their paths and sizes, and not "
                "when they were changed.",
                next_step=f"Set sort to one of {', '.join(SORTS)}; package_log with a path tells when a file changed.",
                details={"sorts": [*SORTS]},
            )


async def browse(
    registry: Registry, package: PackageUri, view: View, limit: int, cursor: str | None
) -> Browse:
    view.check()
    match = Match(view.match) if view.match else None
    place = (registry.url, package.name, package.path or "")
    call = ("browse", *place, view.recursive, str(view.depth), view.match, view.sort)
    after: tuple[int, str] | None = None
    totals: Totals | None = None
    if cursor:
        top_hash, last, size, *sums = decode_cursor(cursor, call, str, str, int, int, int)
        after, totals = (size, last), Totals(*sums)
        package = PackageUri(registry.url, package.name, top_hash=top_hash, path=package.path)
    pinned, manifest = await registry.open_ahead(package)

    def read_page(
        checkpoint: Checkpoint = lambda: None,
    ) -> tuple[Item, list[FolderRow], int, Totals, tuple[str, ...]]:
        shown = registry.item(pinned, manifest, package.path or "")
        rows, count, sums = _page(manifest, shown, view, match, limit + 1, after, totals, checkpoint)
        warnings: tuple[str, ...] = ()
        if not cursor and registry.store.local_files is not None:
            warnings = first_outside_roots(registry.stores.locate, manifest.entries(shown.path))
        return shown, rows, count, sums, warnings

    few = manifest.index.size <= AT_ONCE
    shown, rows, count, sums, warnings = (
        read_page() if few else await to_thread.run_sync(read_page, check_cancelled)
    )
    if match is not None and not count and not cursor:
        warnings = (*warnings, await _no_match(registry, manifest, shown.path, view.match))
    extensions = await registry.manifests.extensions(manifest, shown.path) if view.with_extensions else None
    front = Front()
    if view.with_readme and not shown.path and not cursor:
        front = await read_front(registry, pinned, manifest)
    more = len(rows) > limit
    last_row = rows[limit - 1] if more else None
    return Browse(
        registry=registry.url,
        name=package.name,
        top_hash=manifest.top_hash,
        message=manifest.header.message,
        modified=manifest.modified,
        metadata=manifest.header.user_meta,
        workflow=manifest.header.workflow,
        totals=manifest.totals,
        shown=sums,
        path=shown.path,
        page=Page(
            tuple(registry.row(pinned, row) for row in rows[:limit]),
            last_row
            and encode_cursor(
                call, manifest.top_hash, last_row.path, last_row.totals.bytes, sums.entries, sums.bytes
            ),
            count,
            (*warnings, *front.warnings),
        ),
        uri=registry.uri(package.name, manifest.top_hash, shown.path or None),
        verified=manifest.verified,
        extensions=None if extensions is None else {key: Totals(*sums) for key, sums in extensions.items()},
        readme=front.readme,
        summary=front.summary,
    )


async def _no_match(registry: Registry, manifest: Manifest, path: str, match: str) -> str:
    """A warning with what is near: endings where the pattern asks for one, else paths. Costs a pass through the lines."""
    below = f" below {path!r}" if path else ""
    fault = f"no_match: no file{below} fits {match!r}."
    name = match.rpartition("/")[2]
    if name.startswith("*.") and not has_wildcard(name[1:]):
        endings = [
            f"*{one}" for one in await registry.manifests.extensions(manifest, path) if one.startswith(".")
        ]
        close = suggest(name, endings)
        if endings and not close:
            return f"{fault} There are: {names(endings)}."
    else:
        close = await to_thread.run_sync(manifest.suggest, without_wildcards(match).strip("/"))
    return f"{fault} Close to it: {names(close)}." if close else fault


def _page(
    manifest: Manifest,
    shown: Item,
    view: View,
    match: Match | None,
    most: int,
    after: tuple[int, str] | None,
    totals: Totals | None,
    checkpoint: Checkpoint,
) -> tuple[list[FolderRow], int, Totals]:
    """Rows, how many there are on all pages, and the sums of those."""
    depth = view.levels()
    if match is None and view.sort == "path" and shown.type == "folder":
        rows = islice(manifest.rows(shown.path, depth, after[1] if after else ""), most)
        return [*rows], manifest.row_count(shown.path, depth), Totals(shown.entries or 0, shown.size)
    question = Question(shown.path, depth, match, view.sort)
    rows, sums = Scan(manifest, question, most, after).run(totals, checkpoint)
    count = sums.entries
    if match is None:
        count = 1 if shown.type == "file" else manifest.row_count(shown.path, depth)
    return rows, count, sums
