"""What stands in the folder of a catalog may be damaged, gone, or of another version: answers stay those of a scan."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from held_registry import (
    HeldRegistry,
    ask,
    catalog_folder,
    local_ops,
    one_package,
    require_right,
    scratch_of,
    uris,
)

from parts.unmeasured import unmeasured
from quilt_mcp.errors import QuiltError, StorageUnavailable
from quilt_mcp.search import engine

pytestmark = pytest.mark.anyio

KINDS = (
    "catalog.json",
    "state-*.json",
    "heads-*.parquet",
    "fields-*.parquet",
    "entries-*.parquet",
    "text.db",
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> HeldRegistry:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "registry").mkdir()
    found = HeldRegistry((folder / "registry").as_uri(), folder / "sources")
    found.push_at_random(11, 12)
    return found


@pytest.fixture
def place(registry: HeldRegistry) -> Path:
    return Path(registry.url.removeprefix("file://"))


@pytest.fixture(scope="module")
def built(registry: HeldRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a whole catalog, to be copied."""
    import anyio

    cache = tmp_path_factory.mktemp("built") / "cache"
    anyio.run(
        require_right,
        local_ops(Path(registry.url.removeprefix("file://")), cache),
        registry.packages.values(),
    )
    return cache


def flip(path: Path, chosen: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chosen.choice([1, 1, 40])):
        content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
    path.write_bytes(content)


def cut(path: Path, chosen: random.Random) -> None:
    os.truncate(path, chosen.choice([0, chosen.randrange(path.stat().st_size)]))


def grow(path: Path, chosen: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chosen.randbytes(100))


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


def become_folder(path: Path, _: random.Random) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def become_link_to_nothing(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGE: tuple[Callable[[Path, random.Random], None], ...] = (
    flip, cut, grow, remove, become_folder, become_link_to_nothing,
)  # fmt: skip


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", KINDS)
async def test_damage_to_a_file_changes_no_answer(
    registry: HeldRegistry, place: Path, built: Path, tmp_path: Path, kind: str
) -> None:
    """Before a process first looks, and under one that has."""
    chosen = random.Random(kind)
    packages = registry.packages.values()
    for turn, damage in enumerate(DAMAGE):
        cache = tmp_path / f"cache{turn}"
        shutil.copytree(built, cache)
        _each(cache, kind, damage, chosen)
        ops = local_ops(place, cache)
        await require_right(ops, packages, turn, 4)
        _each(cache, kind, damage, chosen)
        await require_right(ops, packages, turn + 50, 4)
        assert scratch_of(cache) == []
        await require_right(local_ops(place, cache), packages, turn + 99, 2)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(30))
async def test_flipped_bits_change_no_answer(
    registry: HeldRegistry, place: Path, built: Path, tmp_path: Path, kind: str, seed: int
) -> None:
    chosen = random.Random(f"{kind} {seed}")
    shutil.copytree(built, tmp_path / "cache")
    ops = local_ops(place, tmp_path / "cache")
    for turn in range(3):
        _each(tmp_path / "cache", kind, flip, chosen)
        await require_right(ops, registry.packages.values(), seed * 10 + turn, 4)


def _each(
    cache: Path, kind: str, damage: Callable[[Path, random.Random], None], chosen: random.Random
) -> None:
    paths = sorted(catalog_folder(cache).glob(kind))
    for path in paths:
        if path.is_file() and path.stat().st_size:
            damage(path, chosen)


async def test_a_folder_of_a_catalog_that_is_removed_under_a_process_is_made_anew(
    registry: HeldRegistry, place: Path, built: Path, tmp_path: Path
) -> None:
    shutil.copytree(built, tmp_path / "cache")
    ops = local_ops(place, tmp_path / "cache")
    await require_right(ops, registry.packages.values())
    shutil.rmtree(tmp_path / "cache/search")
    await require_right(ops, registry.packages.values(), 1)
    shutil.rmtree(tmp_path / "cache")
    await require_right(ops, registry.packages.values(), 2)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(format=0),
        lambda state: state.update(format=2),
        lambda state: state.pop("format"),
        lambda state: state.update(url="file:///another"),
        lambda state: state.update(surprise=1),
        lambda state: state.update(packages=[]),
        lambda state: state.update(packages={"a/b": [1]}),
        lambda state: state.update(parts=[{"sha256": {}}]),
        lambda state: state.update(parts=3),
        lambda state: state.pop("next_number"),
    ],
    ids=range(10),
)
async def test_a_catalog_of_another_version_is_made_anew(
    registry: HeldRegistry,
    place: Path,
    built: Path,
    tmp_path: Path,
    spoil: Callable[[dict[str, object]], object],
) -> None:
    """Its checksum is right."""
    shutil.copytree(built, tmp_path / "cache")
    path = catalog_folder(tmp_path / "cache") / "catalog.json"
    state = json.loads(path.read_bytes()[64:])
    spoil(state)
    body = json.dumps(state, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + body)
    await require_right(local_ops(place, tmp_path / "cache"), registry.packages.values())


@pytest.mark.sampled(1)
@pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'"x"', b"[" * 100_000, b"\xff", b"{}"])
async def test_a_catalog_that_is_no_catalog_is_made_anew(
    registry: HeldRegistry, place: Path, tmp_path: Path, built: Path, body: bytes
) -> None:
    shutil.copytree(built, tmp_path / "cache")
    path = catalog_folder(tmp_path / "cache") / "catalog.json"
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + body)
    await require_right(local_ops(place, tmp_path / "cache"), registry.packages.values())


async def test_a_catalog_that_another_account_may_write_to_is_not_believed(
    registry: HeldRegistry, place: Path, built: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(built, cache)
    path = catalog_folder(cache) / "catalog.json"
    state = json.loads(path.read_bytes()[64:])
    state["packages"] = {}
    body = json.dumps(state, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(hashlib.sha256(body).hexdigest().encode() + body)
    path.chmod(0o666)
    await require_right(local_ops(place, cache), registry.packages.values())


@pytest.mark.sampled(1)
@pytest.mark.parametrize("mode", [0o777, 0o775, "a file"])
async def test_a_cache_folder_that_others_may_write_to_is_not_used(
    registry: HeldRegistry, place: Path, tmp_path: Path, mode: int | str
) -> None:
    cache = tmp_path / "cache"
    if isinstance(mode, str):
        cache.write_text("no folder")
    else:
        cache.mkdir()
        cache.chmod(mode)
    await require_right(local_ops(place, cache), registry.packages.values())
    assert cache.is_file() or [*cache.iterdir()] == []


@pytest.mark.parametrize("name", ["search", "scratch"])
async def test_a_file_in_the_place_of_a_folder_is_a_typed_error(
    place: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / name).write_text("no folder")
    for scope in ("packages", "objects") if name == "scratch" else ("packages",):
        with pytest.raises(StorageUnavailable, match="cache folder cannot be used") as refused:
            await ask(local_ops(place, tmp_path / "cache"), scope=scope)
        assert "QUILT_MCP_CACHE_DIR" in refused.value.next_step


async def test_texts_whose_damage_is_told_in_no_letters_are_made_anew(
    registry: HeldRegistry, place: Path, tmp_path: Path
) -> None:
    """What SQLite says of a damaged schema names it, and comes as an error of decoding."""
    ops = local_ops(place, tmp_path / "cache")
    before = uris((await ask(ops, "raw OR confocal")).items)
    with closing(sqlite3.connect(catalog_folder(tmp_path / "cache") / "text.db")) as texts, texts:
        texts.execute("PRAGMA writable_schema = 1")
        texts.execute(
            "UPDATE sqlite_master SET name = CAST(x'f8656c64' AS TEXT), sql = 'none' WHERE name = 'held'"
        )
    assert uris((await ask(ops, "raw OR confocal")).items) == before


async def test_an_answer_after_damage_is_ranked_as_before(
    registry: HeldRegistry, place: Path, tmp_path: Path
) -> None:
    ops = local_ops(place, tmp_path / "cache")
    before = uris((await ask(ops, "raw OR confocal")).items)
    texts = catalog_folder(tmp_path / "cache") / "text.db"
    os.truncate(texts, 3_000)
    (texts.parent / "text.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    assert uris((await ask(ops, "raw OR confocal")).items) == before


SEARCH = """
import anyio, resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from held_registry import ask, local_ops
from quilt_mcp.errors import QuiltError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[4])
import duckdb
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
async def main():
    ops = local_ops(Path(sys.argv[1]), Path(sys.argv[2]))
    for scope in ("packages", "entries", "objects"):
        try:
            print(scope, (await ask(ops, scope=scope)).total)
        except QuiltError as error:
            print(scope, error.code, error.next_step)
anyio.run(main)
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "limit",
    [100, 3_000, *(pytest.param(limit, marks=pytest.mark.nightly) for limit in (0, 1_000, 6_000, 20_000))],
)
def test_a_full_disk_is_told_and_the_next_search_is_right(
    registry: HeldRegistry, place: Path, tmp_path: Path, limit: int
) -> None:
    """A real limit of the kernel's, in a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SEARCH,
            str(place),
            str(tmp_path / "cache"),
            str(Path(__file__).parent),
            str(limit),
        ],
        env=unmeasured(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    for scope, there in (
        ("packages", "12"),
        ("entries", str(sum(len(one.files) for one in registry.packages.values()))),
    ):
        said = lines[scope]
        assert said == there or (said.startswith("storage_full") and "QUILT_MCP_CACHE_DIR" in said), lines
    if limit < 1_000:
        assert lines["packages"].startswith("storage_full"), lines
        assert lines["objects"].startswith(("storage_full", "0")), lines
    import anyio

    anyio.run(require_right, local_ops(place, tmp_path / "cache"), registry.packages.values())
    assert scratch_of(tmp_path / "cache") == []


def test_what_the_engine_says_of_memory_is_too_costly(tmp_path: Path) -> None:
    import anyio

    async def main() -> None:
        small = engine.Engine(lambda: tmp_path)
        with pytest.raises(QuiltError) as refused:
            await small.run(
                lambda connection: connection.rows(
                    "SELECT list(repeat('x', 1000) || i) FROM range(3000000) t(i)"
                )
            )
        assert refused.value.code == "too_costly"

    anyio.run(main)


async def test_a_package_that_the_engine_does_not_take_is_left_out_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is known that it does not take: here it is one that divides by nought."""
    from quilt_mcp.search import parts

    (tmp_path / "registry").mkdir()
    registry = HeldRegistry((tmp_path / "registry").as_uri(), tmp_path / "sources")
    registry.push_at_random(12, 7)
    registry.push(one_package("lab/odd", "strange"))
    statement = parts._HEADS.replace(
        "number, name,", "number, if(name = 'lab/odd', error('odd'), name) AS name,", 1
    )
    monkeypatch.setattr(parts, "_HEADS", statement)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops)
    assert any("unread: lab/odd (undecodable)" in said for said in found.warnings), found.warnings
    others = [one for one in registry.packages.values() if one.name != "lab/odd"]
    await require_right(ops, others)
    assert scratch_of(tmp_path / "cache") == []
    monkeypatch.undo()
    await require_right(ops, registry.packages.values())


async def test_tables_of_the_newest_state_stay_though_the_clock_was_set_back(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    registry = HeldRegistry((tmp_path / "registry").as_uri(), tmp_path / "sources")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    for number in range(8):
        registry.push(one_package(f"lab/p{number}", "word"))
        await require_right(ops, registry.packages.values())
        for path in catalog_folder(tmp_path / "cache").glob("state-*.json"):
            os.utime(path, (4e9 + number, 4e9 + number))
    folder = catalog_folder(tmp_path / "cache")
    state = json.loads((folder / "catalog.json").read_bytes()[64:])
    for part in state["parts"]:
        for kind, digest in part["sha256"].items():
            assert (folder / f"{kind}-{digest}.parquet").exists()
