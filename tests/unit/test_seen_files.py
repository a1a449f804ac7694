"""A small file that was read is opened again when, and only when, it may hold something else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quilt_mcp.errors import ObjectNotFound, OutsideRoots
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.seen_files import UNSURE_SECONDS, SeenFiles


class Opened(LocalStore):
    opened = 0

    def open_file(self, key: str) -> int:
        self.opened += 1
        return super().open_file(key)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Opened]:
    (tmp_path / "latest").write_bytes(b"a" * 64)
    yield Opened(tmp_path)


def later() -> float:
    """A clock by which everything of this test is long past."""
    return time.time() + UNSURE_SECONDS + 60


def test_one_that_stayed_is_opened_once(store: Opened) -> None:
    seen = SeenFiles(later)
    first = seen.read(store, "latest", 256)
    assert seen.read(store, "latest", 256) == first and first.body == b"a" * 64
    assert store.opened == 1


def test_one_that_changed_a_moment_ago_is_opened_each_time(store: Opened) -> None:
    seen = SeenFiles()
    seen.read(store, "latest", 256)
    (store.root / "latest").write_bytes(b"b" * 64)
    assert seen.read(store, "latest", 256).body == b"b" * 64
    seen.read(store, "latest", 256)
    assert store.opened == 3


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_times_set_back_hide_no_change(store: Opened, how: str) -> None:
    seen, path = SeenFiles(later), store.root / "latest"
    os.utime(path, (1_700_000_000, 1_700_000_000))
    seen.read(store, "latest", 256)
    time.sleep(0.02)  # longer than a tick of any file system that runs tests
    if how == "in place":
        path.write_bytes(b"b" * 64)
    else:
        (store.root / "new").write_bytes(b"b" * 64)
        os.replace(store.root / "new", path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert seen.read(store, "latest", 256).body == b"b" * 64


def test_one_that_is_gone_or_became_a_link_is_told(store: Opened, tmp_path: Path) -> None:
    seen = SeenFiles(later)
    seen.read(store, "latest", 256)
    (store.root / "latest").unlink()
    with pytest.raises((ObjectNotFound, FileNotFoundError)):
        seen.read(store, "latest", 256)
    (tmp_path / "other").write_bytes(b"c" * 64)
    (store.root / "latest").symlink_to("other")
    with pytest.raises(OutsideRoots):
        seen.read(store, "latest", 256)
