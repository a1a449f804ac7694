"""Tables compared cell by cell, with pandas as the judge of generated pairs, and one case for each rule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sql_lab import build, local_ops
from table_pairs import make_pair

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.table_diff import TableDiff, TableDiffRequest, Tolerance

pytestmark = pytest.mark.anyio

Compare = Callable[..., Awaitable[TableDiff]]


def of_files(ops: Any, one: str, other: str, **more: Any) -> Awaitable[TableDiff]:
    package = PackageUri(ops.default_registry, "a/b")
    tolerance = more.pop("tolerance", None)
    return ops.sql.compare(
        TableDiffRequest(
            replace(package, path=one), replace(package, path=other),
            tolerance=Tolerance.parse(tolerance) if tolerance else None, **more,
        )
    )  # fmt: skip


async def judge(tmp_path: Path, seeds: range) -> None:
    (folder := tmp_path / "files").mkdir()
    (registry := tmp_path / "registry").mkdir()
    pairs = {seed: make_pair(seed) for seed in seeds}
    names = {seed: pair.write(folder, seed) for seed, pair in pairs.items()}
    build(registry, "a/b", {one.name: one for one in folder.iterdir()})
    ops = local_ops(registry, tmp_path / "cache")

    async def one_pair(seed: int) -> None:
        pair, wanted = pairs[seed], pairs[seed].judged()
        found = await of_files(ops, *names[seed], keys=pair.keys, tolerance=pair.tolerance)
        said = (seed, pair.formats, found.retyped)
        rows = found.rows
        assert (rows.before, rows.after) == (len(pair.before), len(pair.after)), said
        if pair.has_key and wanted.removed < rows.before:
            assert found.keys == ("id",), said
        if found.keys in ((), ("id",)):  # a pair of columns may happen to tell few rows apart
            assert (rows.added, rows.removed, rows.changed) == (
                wanted.added,
                wanted.removed,
                wanted.changed,
            ), said
            assert dict(found.cells) == wanted.cells, said
        assert rows.before - rows.removed == rows.after - rows.added == rows.changed + rows.unchanged, said
        assert set(found.added_columns) == {*pair.after.columns} - {*pair.before.columns}, said
        assert set(found.dropped_columns) == {*pair.before.columns} - {*pair.after.columns}, said
        assert len(found.changed) == min(rows.changed, 10), said

    for seed in seeds:
        await one_pair(seed)


async def test_counts_are_those_of_pandas(tmp_path: Path) -> None:
    await judge(tmp_path, range(25))


@pytest.mark.nightly
async def test_counts_of_many_pairs_are_those_of_pandas(tmp_path: Path) -> None:
    await judge(tmp_path, range(1_000, 1_600))
