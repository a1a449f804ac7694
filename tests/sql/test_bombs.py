"""Bombs: what takes all it can get is stopped in its time, within its memory, and the server goes on."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import anyio
import pytest
from bombs import BOMBS, FEW_BOMBS
from boxed import ask, boxed, leftovers, write_package

from quilt_mcp.errors import QuiltError
from quilt_mcp.lockdown.lock import MEMORY

pytestmark = pytest.mark.anyio
SECONDS = 3
ANSWERED = SECONDS + 1
_KILOBYTES = 1 if sys.platform == "darwin" else 1 << 10


async def throw(tmp_path: Path, bombs: tuple[str, ...], seconds: float, answered: float) -> None:
    before = leftovers()
    sql = boxed(write_package(tmp_path), tmp_path / "cache", seconds=seconds)
    assert len((await ask(sql, "FROM package_entry")).rows) == 5
    for bomb in bombs:
        with anyio.fail_after(answered):
            try:
                await ask(sql, bomb, limit=10)
            except QuiltError as error:
                assert error.code in ("too_costly", "invalid_sql"), (bomb[:99], error)
                assert "SET " not in str(error), bomb[:99]
    assert (await ask(sql, "SELECT count(*) FROM 'data/runs.parquet'")).rows == ((2_000,),)
    await sql.close()
    assert leftovers() == before
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _KILOBYTES
    assert peak <= MEMORY


@pytest.mark.nightly
async def test_bombs_do_no_harm(tmp_path: Path) -> None:
    """Where the machine is busy an answer may be late; whether it is in time is for the nightly run."""
    await throw(tmp_path, FEW_BOMBS[::2], 0.3, 30)


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_each_bomb_is_answered_in_its_time(tmp_path: Path) -> None:
    await throw(tmp_path, BOMBS, SECONDS, ANSWERED)
