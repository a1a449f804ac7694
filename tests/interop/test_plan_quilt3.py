"""Claim C33: what a plan says is what the write does, and what quilt3 then reads. Random parents, random patches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import quilt3
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.plan import (
    UNSET,
    Commit,
    CreateRequest,
    InlineFile,
    PatchRequest,
    Plan,
    Rename,
    Source,
)
from quilt_mcp.errors import QuiltError

KEYS = st.sampled_from(["a.csv", "b.csv", "d/a.csv", "d/b.txt", "d/e/c.csv", "f/x"])
CONTENT = st.sampled_from([b"one", b"two", b"three"])
META = st.sampled_from([UNSET, {}, {"k": 1}, {"k": 2, "j": {"n": 1}}])
FILES = st.dictionaries(KEYS, st.tuples(CONTENT, META), max_size=5)
TAKEN = st.one_of(KEYS, st.sampled_from(["d/", "d/e/", "f/", "*.csv", "d/*", "**/*.txt", "e"]))
RENAMES = st.tuples(TAKEN, st.sampled_from(["z.csv", "d/", "z/", "a.csv", ""])).map(
    lambda pair: Rename(*pair)
)
PATCHES: Any = st.fixed_dictionaries(
    {},
    optional={
        "files": FILES,
        "remove": st.lists(TAKEN, max_size=2, unique=True),
        "rename": st.lists(RENAMES, max_size=2),
        "entry_metadata": st.dictionaries(TAKEN, st.sampled_from([None, {}, {"k": 3}]), max_size=2),
        "metadata": META,
        "metadata_mode": st.sampled_from(["merge", "replace"]),
        "message": st.sampled_from([None, "again"]),
        "local": st.booleans(),
    },
)


@given(parent=FILES, metadata=META, patches=st.lists(PATCHES, min_size=1, max_size=2), over=FILES)
def test_what_a_plan_says_is_what_the_write_does_and_quilt3_reads(
    parent: dict[str, Any], metadata: Any, patches: list[dict[str, Any]], over: dict[str, Any]
) -> None:
    with TemporaryDirectory() as folder:
        anyio.run(_agree, Path(folder).resolve(), parent, metadata, patches, over)


async def _agree(
    root: Path,
    parent: dict[str, Any],
    metadata: Any,
    patches: list[dict[str, Any]],
    over: dict[str, Any],
) -> None:
    options = Options(roots=(root,), writable=True, cache=root / "cache", cache_bytes=1 << 20)
    ops = LocalOps((root / "registry").as_uri(), options)
    uri = PackageUri(ops.default_registry, "a/b")
    made = CreateRequest(uri, files=_inline(parent), metadata=metadata, allow_empty=True)
    await _carried_out(ops, made, ops.plan_create, ops.create)
    for number, drawn in enumerate(patches):
        asked = dict(drawn)
        files, is_local = asked.pop("files", {}), asked.pop("local", False)
        if is_local:
            added = _local(root / f"in-{number}", files)
            request = PatchRequest(uri, add=added, **_tuples(asked))
        else:
            request = PatchRequest(uri, files=_inline(files), **_tuples(asked))
        await _carried_out(ops, request, ops.plan_patch, ops.patch)
    again = replace(made, files=_inline(over), overwrite=True)
    await _carried_out(ops, again, ops.plan_create, ops.create)


async def _carried_out(
    ops: LocalOps,
    request: Any,
    plan: Callable[[Any], Awaitable[Plan]],
    write: Callable[[Any], Awaitable[Commit]],
) -> None:
    try:
        planned = await plan(request)
    except QuiltError as error:
        try:
            await write(request)
        except QuiltError as other:
            assert str(other) == str(error)
            return
        raise AssertionError(f"the plan refuses what the write does: {request}") from error
    before = _read(ops, planned.parent)
    commit = await write(request)
    assert commit.plan == planned, request
    assert commit.bytes_copied == planned.bytes_to_copy
    assert commit.top_hash == planned.top_hash
    after = _read(ops, commit.top_hash)
    assert after.top_hash == planned.top_hash
    entries = dict(after.walk())
    assert planned.totals == Totals(len(entries), sum(entry.size for entry in entries.values()))
    old = {} if before is None else dict(before.walk())
    assert planned.metadata_changed == (after.meta != ({} if before is None else before.meta)) or (
        after.meta == {}  # quilt3 reads none as {}
    )
    if not (planned.renamed or planned.removed):
        assert planned.added == len(entries.keys() - old.keys())
    changed = {key for key in old.keys() & entries.keys() if old[key].hash != entries[key].hash}
    kept = {key for key in old.keys() & entries.keys() if old[key].hash == entries[key].hash}
    told = {change.path: change.action for change in planned.changes}
    moved = {change.old_path for change in planned.changes}
    assert len(planned.changes) == planned.changes_total
    assert planned.added + planned.replaced + planned.renamed + planned.kept == len(entries)
    for key in kept - moved:
        is_same = old[key]._meta == entries[key]._meta
        assert told.get(key) in ((None, "rename") if is_same else ("metadata", "rename")), key
    if before is not None:
        diff = await ops.diff(replace(planned.package, top_hash=planned.parent), planned.package)
        assert planned.fields == diff.fields
        if not (planned.removed or planned.renamed or diff.totals.renamed):
            listed = {one.path: one.fields for one in diff.changes if one.kind in ("metadata", "modified")}
            shown = {one.path: one.fields for one in planned.changes if one.action in ("metadata", "replace")}
            assert {key: fields for key, fields in shown.items() if not key.endswith("/")} == listed
    for key in changed:
        assert told[key] in ("replace", "rename", "add"), key


def _read(ops: LocalOps, top_hash: str | None) -> Any:
    if top_hash is None:
        return None
    return quilt3.Package.browse("a/b", registry=ops.default_registry, top_hash=top_hash)


def _inline(files: dict[str, Any]) -> tuple[InlineFile, ...]:
    return tuple(InlineFile(key, content, meta) for key, (content, meta) in files.items())


def _local(folder: Path, files: dict[str, Any]) -> tuple[Source, ...]:
    sources: list[Source] = []
    for key, (content, meta) in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sources.append(Source(str(path), to=key, metadata=meta))
    return tuple(sources)


def _tuples(asked: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in asked.items()}
