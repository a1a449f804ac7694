"""Files that come in are kept exactly, in walk order, in memory that does not grow with their number."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.unmeasured import unmeasured
from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.domain.manifest.codec import IntegralFloat
from quilt_mcp.domain.names import validate_logical_key, walk_key
from quilt_mcp.errors import DuplicateKey, InternalError, InvalidName, StorageFull
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming

MANY = """
import resource, sys
from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.entry import Entry, Hash
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])

count = int(sys.argv[1])
before = peak()
with Arrivals() as arrivals:
    keys = (f"folder{n % 100}/object{n:07d}" for n in range(count))
    arrivals.add((Incoming(key, 5, {}, PhysicalKey("bucket", f"data/{key}", f"version{key}")) for key in keys), "s3://bucket/data/")
    for item in arrivals:
        arrivals.finish(Entry(item.logical_key, item.origin, 5, Hash("SHA256", "0" * 64), {}))
    assert sum(1 for _ in arrivals.entries()) == count == len(arrivals)
print(peak() - before)
"""


def texts(odd: str = "") -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(f"ab-./é\x01\U0010ffff{odd}"), min_size=1, max_size=6)


def is_logical_key(text: str) -> bool:
    try:
        return bool(validate_logical_key(text))
    except InvalidName:
        return False


KEYS = texts().filter(is_logical_key)
HASHES = st.builds(Hash, texts("\ud800"), texts())
SIZES = st.one_of(st.integers(0, 2**62), st.integers(0, 2**52).map(IntegralFloat))
VALUES = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), texts())
METAS = st.dictionaries(texts("\ud800"), VALUES, max_size=3)
PLACES = st.one_of(
    st.builds(PhysicalKey, st.just("bucket"), texts(), st.one_of(st.none(), texts())),
    st.builds(PhysicalKey, st.none(), texts("\udce9")),
)


@st.composite
def arriving(draw: st.DrawFn) -> list[Incoming]:
    keys = draw(st.lists(KEYS, unique=True, max_size=8))
    return [
        Incoming(key, 1, draw(METAS), content=b"1")
        if draw(st.booleans())
        else Incoming(key, draw(SIZES), draw(METAS), draw(PLACES), None, draw(st.one_of(st.none(), HASHES)))
        for key in keys
    ]


def exact(item: Any) -> Any:
    """A size spelled as a float is equal to one that is not, and is another size in a top hash."""
    return item, type(item.size), list(item.meta)


@given(arriving())
def test_what_is_added_comes_back_exactly_and_in_walk_order(items: list[Incoming]) -> None:
    in_order = sorted(items, key=lambda item: walk_key(item.logical_key))
    entries = [
        Entry(item.logical_key, "s3://b/\ud800", item.size, item.hash or Hash("a", "b"), item.meta)
        for item in items
    ]
    with Arrivals() as arrivals:
        assert arrivals.add(items, "one") == len(items) == len(arrivals)
        assert arrivals.size == sum(item.size for item in items)
        assert [exact(item) for item in arrivals] == [exact(item) for item in in_order]
        assert all(item.logical_key in arrivals for item in items)
        for item in items:
            folder = item.logical_key.rpartition("/")[0] + "/"
            assert folder == "/" or arrivals.any_below(folder)
            assert not arrivals.any_below(f"{item.logical_key}/") or any(
                other.logical_key.startswith(f"{item.logical_key}/") for other in items
            )
        for entry in entries:
            arrivals.finish(entry)
        by_key = {entry.logical_key: entry for entry in entries}
        assert [exact(entry) for entry in arrivals.entries()] == [
            exact(by_key[item.logical_key]) for item in in_order
        ]


def test_two_sources_that_claim_one_key_are_both_named() -> None:
    with Arrivals() as arrivals:
        arrivals.add([Incoming("a", 1, {}, content=b"1")], "first")
        arrivals.add([Incoming("b", 1, {}, content=b"1")], "second")
        with pytest.raises(DuplicateKey) as caught:
            arrivals.add([Incoming("a", 1, {}, content=b"2")], "third")
        assert caught.value.details["sources"] == ["first", "third"]


def test_a_file_that_was_not_finished_is_never_left_out_in_silence() -> None:
    with Arrivals() as arrivals:
        arrivals.add((Incoming(key, 1, {}, content=b"1") for key in "ab"), "a test")
        arrivals.finish(Entry("a", "s3://b/a", 1, Hash("SHA256", "0"), {}))
        with pytest.raises(InternalError):
            list(arrivals.entries())


def is_same(before: Entry, now: Entry | None) -> bool:
    return now is not None and (before.hash, before.meta) == (now.hash, now.meta)


def test_what_is_replaced_by_itself_is_met_and_forgotten_for_another_parent() -> None:
    same = Entry("a", "s3://b/a", 1, Hash("SHA256", "0"), {"x": 1, "y": 2})
    with Arrivals() as arrivals:
        arrivals.add((Incoming(key, 1, {}, content=b"1") for key in "abc"), "a test")
        for entry in (same, Entry("b", "s3://b/b", 1, Hash("SHA256", "0"), {})):
            arrivals.replace(entry)
        arrivals.finish(Entry("a", "s3://elsewhere/a", 1, Hash("SHA256", "0"), {"y": 2, "x": 1}))
        arrivals.finish(Entry("b", "s3://b/b", 1, Hash("SHA256", "1"), {}))
        arrivals.replace(Entry("c", "s3://b/c", 1, Hash("SHA256", "0"), {}))
        assert [item.logical_key for item, before, now in arrivals.met() if is_same(before, now)] == ["a"]
        assert [item.logical_key for item, _, now in arrivals.met() if now is None] == ["c"]
        assert list(arrivals.replaced("a", "b", "d")) == ["a", "b"]
        assert arrivals.replaced("a") == {"a": same}
        assert list(arrivals.fresh(9)) == []
        arrivals.replace_none()
        assert (list(arrivals.met()), arrivals.replaced("a", "b")) == ([], {})
        assert [item.logical_key for item in arrivals.fresh(2)] == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells memory by /proc")
@pytest.mark.parametrize(
    "count", [100_000, pytest.param(1_000_000, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])]
)
def test_many_files_take_as_much_memory_as_some_thousands(count: int) -> None:
    def grown(files: int) -> int:
        command = [sys.executable, "-c", MANY, str(files)]
        return int(
            subprocess.run(
                command, env=unmeasured(), capture_output=True, text=True, check=True, timeout=600
            ).stdout
        )

    assert grown(count) < grown(5000) + (20 << 10)  # in KiB: SQLite's own bound, and a page of rows


def test_a_temporary_folder_without_room_is_storage_full(tmp_path: Path) -> None:
    def one_megabyte() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    script = MANY.replace("print(peak() - before)", "").replace(
        "import resource, sys", "import signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "200000"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=one_megabyte,
        env=os.environ | {"SQLITE_TMPDIR": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == 1
    assert f"{StorageFull.__module__}.StorageFull" in done.stderr
    assert list(tmp_path.iterdir()) == []
