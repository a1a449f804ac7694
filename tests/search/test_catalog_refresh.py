"""A catalog follows its registry: what came, what went, and nothing else."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from held_registry import (
    HeldRegistry,
    ask,
    catalog_folder,
    held_folder,
    local_ops,
    named,
    one_package,
    paged,
    picture,
    require_right,
    scratch_of,
    uris,
)

from parts.quilt3_process import Quilt3
from quilt_mcp.domain.search.request import SearchRequest
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.registry.reading import cataloguing
from quilt_mcp.search import parts

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry(tmp_path: Path) -> HeldRegistry:
    return held_folder(tmp_path)


@contextmanager
def opened_manifests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The top hashes of manifests that are opened meanwhile."""
    hashes: list[str] = []
    plain = ManifestCache.open

    async def noted(self: ManifestCache, store: Any, top_hash: str, *args: Any, **given: Any) -> Any:
        hashes.append(top_hash)
        return await plain(self, store, top_hash, *args, **given)

    with monkeypatch.context() as patched:
        patched.setattr(ManifestCache, "open", noted)
        yield hashes


async def test_a_push_by_quilt3_in_another_process_is_found_by_the_next_search(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push_at_random(1, 5)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    assert (await ask(ops, "zirconium")).total == 0
    Quilt3(tmp_path / "home").run(
        "quilt3.Package().set_meta({'metal': 'zirconium'}).build('lab/new', registry=arguments['registry'], message='m')",
        registry=registry.url,
    )
    assert named((await ask(ops, "zirconium")).items) == {"lab/new"}


async def test_a_new_revision_replaces_the_old_and_a_deleted_package_is_gone(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    registry.push_at_random(2, 8)
    registry.push(one_package("lab/one", "yttrium first", readme="about yttrium", meta={"m": "yttrium"}))
    assert named((await ask(ops, "yttrium")).items) == {"lab/one"}
    registry.push(one_package("lab/one", "niobium second", files=3))
    assert (await ask(ops, "yttrium")).total == 0
    assert named((await ask(ops, "niobium")).items) == {"lab/one"}
    assert (await ask(ops, "path:data/*", "entries")).total == 3
    await require_right(ops, registry.packages.values())
    registry.delete("lab/one")
    assert (await ask(ops, "niobium")).total == 0
    await require_right(ops, registry.packages.values(), 1)
    for name in list(registry.packages):
        registry.delete(name)
    await require_right(ops, [])


async def test_a_refresh_reads_only_the_manifests_that_changed(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push_at_random(3, 12)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    with opened_manifests(monkeypatch) as first:
        await ask(ops)
    assert sorted(first) == sorted(one.top_hash for one in registry.packages.values())
    registry.push(one_package("lab/one", "new"), one_package("lab/two", "new, too", files=3))
    registry.delete(next(iter(registry.packages)))
    with opened_manifests(monkeypatch) as second:
        await require_right(ops, registry.packages.values())
    assert sorted(second) == sorted(registry.packages[name].top_hash for name in ("lab/one", "lab/two"))
    with opened_manifests(monkeypatch) as other:  # another process has the same catalog
        await require_right(local_ops(tmp_path / "registry", tmp_path / "cache"), registry.packages.values())
    assert other == []


async def test_where_nothing_changed_nothing_is_written(registry: HeldRegistry, tmp_path: Path) -> None:
    registry.push_at_random(4, 6)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    await require_right(ops, registry.packages.values())
    before = picture(tmp_path / "cache")
    await require_right(ops, registry.packages.values())
    await require_right(local_ops(tmp_path / "registry", tmp_path / "cache"), registry.packages.values())
    assert picture(tmp_path / "cache") == before
    assert scratch_of(tmp_path / "cache") == []


async def test_where_nothing_changed_nothing_is_written_though_a_manifest_cannot_be_read(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push_at_random(4, 3)
    registry.push(one_package("lab/bad", "barium"))
    manifest = tmp_path / "registry/.quilt/packages" / registry.packages["lab/bad"].top_hash
    whole = manifest.read_bytes()
    manifest.write_bytes(b"no manifest")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops)
    assert found.total == 3
    assert any("unread: lab/bad (corrupt_manifest)" in said for said in found.warnings), found.warnings
    before = picture(tmp_path / "cache/search")
    assert (await ask(ops)).warnings == found.warnings
    assert picture(tmp_path / "cache/search") == before
    manifest.write_bytes(whole)  # under the same pointer
    found = await ask(ops, "barium")
    assert (found.total, found.warnings) == (1, ())


@pytest.mark.nightly
async def test_parts_are_merged_when_they_are_many_or_much_of_them_is_dead(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "MOST_PARTS", 3)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    chosen = random.Random(5)
    most = 0
    for turn in range(14):
        names = sorted(registry.packages)
        if turn % 4 == 3:
            for name in chosen.sample(names, len(names) // 2):
                registry.delete(name)
        registry.push_at_random(100 + turn, chosen.randint(1, 4), prefix=chosen.choice(["", "", f"t{turn}-"]))
        await require_right(ops, registry.packages.values(), turn, 4)
        heads = [*catalog_folder(tmp_path / "cache").glob("heads-*.parquet")]
        most = max(most, len(heads))
    parts = json.loads((catalog_folder(tmp_path / "cache") / "catalog.json").read_bytes()[64:])["parts"]
    assert 0 < len(parts) <= 4
    assert most <= 4 * 6  # those of five states before this one are kept
    assert scratch_of(tmp_path / "cache") == []
    await require_right(local_ops(tmp_path / "registry", tmp_path / "cache"), registry.packages.values(), 99)


async def test_a_batch_is_cut_by_bytes_and_packages_and_the_parts_add_up(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push_at_random(6, 20)
    monkeypatch.setattr(cataloguing, "BATCH_PACKAGES", 3)
    await require_right(local_ops(tmp_path / "registry", tmp_path / "one"), registry.packages.values())
    monkeypatch.setattr(cataloguing, "BATCH_PACKAGES", 1_000)
    monkeypatch.setattr(parts, "BATCH_BYTES", 2_000)
    await require_right(local_ops(tmp_path / "registry", tmp_path / "two"), registry.packages.values())


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("scope", "sort"), [("packages", "best"), ("packages", "-modified"), ("entries", "path")]
)
async def test_pages_of_a_search_stay_on_what_its_first_saw(
    registry: HeldRegistry, tmp_path: Path, scope: Any, sort: str
) -> None:
    registry.push_at_random(7, 12)
    registry.push(*(one_package(f"lab/p{number}", "raw confocal" * number) for number in range(4)))
    ops, other = (local_ops(tmp_path / "registry", tmp_path / "cache") for _ in range(2))
    request = SearchRequest("raw OR confocal OR data", scope, sort=sort)
    unchanged = uris((await ops.search.search(request, limit=1_000)).items)
    changes = iter(range(100))

    async def change() -> None:
        number = next(changes)
        registry.push(one_package(f"lab/p{number % 4}", "raw again", files=5))
        registry.push(one_package(f"new/p{number}", "raw and confocal"))
        await ask(other, "raw")

    limit = -(-len(unchanged) // 4)
    found = await ops.search.search(request, limit=limit)
    hits = uris(found.items)
    while found.next_cursor is not None:
        await change()
        by = (ops, other)[len(hits) // limit % 2]
        found = await by.search.search(request, limit=limit, cursor=found.next_cursor)
        assert found.total == len(unchanged)
        hits += uris(found.items)
    assert hits == unchanged


async def test_a_cursor_whose_state_is_gone_is_refused_as_expired(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push_at_random(8, 6)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    for scope in ("packages", "entries"):
        request = SearchRequest("*", scope)
        cursor = (await ops.search.search(request, limit=2)).next_cursor
        for number in range(7):
            registry.push(one_package("lab/moving", f"{scope} {number}"))
            await ask(ops)
        with pytest.raises(InvalidArgument) as refused:
            await ops.search.search(request, limit=2, cursor=cursor)
        assert refused.value.details["reason"] == "cursor_expired"
        assert refused.value.next_step


async def test_a_cursor_is_expired_where_a_table_of_its_state_is_gone(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push_at_random(8, 6)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    for kind in ("heads", "entries"):
        cursor = (await ops.search.search(SearchRequest("*", "entries"), limit=2)).next_cursor
        for path in catalog_folder(tmp_path / "cache").glob(f"{kind}-*"):
            path.unlink()
        with pytest.raises(InvalidArgument) as refused:
            await ops.search.search(SearchRequest("*", "entries"), limit=2, cursor=cursor)
        assert refused.value.details["reason"] == "cursor_expired"
        await require_right(ops, registry.packages.values())


ODD: list[Any] = [
    None, True, -1, 0, 10**30, 1.5, "", "x" * 400, "\ud800", "nul\0", "'", "2026-01-01", "2026-01-01T00:00:00", [], [[]], {},
    {"a": 1}, "{}", "[]", "[-3]", "[true]", "[1e999]", '["a"]', '{"": ""}', "../../x", "²", [10**30], [-5], [None],
]  # fmt: skip


@pytest.mark.sampled(1)
@pytest.mark.parametrize("scope", ["packages", "entries", "objects"])
@pytest.mark.parametrize("sort", ["name", "-size"])
async def test_a_forged_or_mangled_cursor_is_refused_and_nothing_worse(
    registry: HeldRegistry, tmp_path: Path, scope: Any, sort: str
) -> None:
    registry.push_at_random(9, 6)
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    request = SearchRequest("*", scope, sort=sort)
    for name in ("one", "two", "three"):
        (tmp_path / "registry" / name).write_bytes(b"plain")
    cursor = (await ops.search.search(request, limit=2)).next_cursor
    assert cursor is not None
    chosen = random.Random(10)
    fields = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    forged: list[str] = []
    for number in range(1, len(fields)):
        for odd in ODD:
            forged.append(_encoded([*fields[:number], odd, *fields[number + 1 :]]))
            if isinstance(odd, int | str):
                forged.append(_encoded([*fields[:number], json.dumps(odd), *fields[number + 1 :]]))
    pins, place = json.loads(fields[1]), json.loads(fields[2])
    for odd in ODD:
        forged.append(_encoded([fields[0], json.dumps(dict.fromkeys(pins, odd)), *fields[2:]]))
        forged.append(_encoded([fields[0], json.dumps({"file:///elsewhere": odd}), *fields[2:]]))
        for number in range(len(place)):
            forged.append(
                _encoded([*fields[:2], json.dumps([*place[:number], odd, *place[number + 1 :]]), *fields[3:]])
            )
        forged.append(_encoded([*fields[:2], json.dumps([*place, odd]), *fields[3:]]))
        forged.append(_encoded([*fields[:2], json.dumps([odd]), *fields[3:]]))
    for _ in range(60):
        letters = list(cursor)
        letters[chosen.randrange(len(letters))] = chosen.choice("Aa0-_=é ")
        forged.append("".join(letters)[: chosen.randrange(1, len(letters) + 1)])
    for one in forged:
        try:
            found = await ops.search.search(request, limit=2, cursor=one)
        except InvalidArgument as error:
            assert error.next_step
        else:
            assert len(found.items) <= 2
    rest = await ops.search.search(request, limit=2, cursor=cursor)
    assert len(rest.items) > 0


def _encoded(fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


async def test_pages_keep_their_order_though_the_texts_are_made_anew_between_them(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    registry.push(*(one_package(f"lab/p{number:02}", "raw " * (number * 7 % 5 + 1)) for number in range(12)))
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    whole, _ = await paged(ops, SearchRequest("raw"), 100, lambda: None)

    def remove() -> None:
        (catalog_folder(tmp_path / "cache") / "text.db").unlink()

    hits, total = await paged(ops, SearchRequest("raw"), 5, remove)
    assert uris(hits) == uris(whole)
    assert total == 12


async def test_what_is_found_is_ranked_by_its_own_text_after_the_catalog_was_made_anew(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    """The texts outlive the catalog: they must not be taken for those of other packages with the same numbers."""
    registry.push(*(one_package(f"lab/p{number}", "words " * (number + 1)) for number in range(9)))
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    assert (await ask(ops, "words")).total == 9
    registry.push(*(one_package(f"lab/p{number}", "words " * (20 - number)) for number in range(9)))
    registry.push(*(one_package(f"lab/n{number}", f"{'other ' * number} words") for number in range(9)))
    (catalog_folder(tmp_path / "cache") / "catalog.json").unlink()
    ranked = uris((await ask(ops, "words")).items)
    fresh = uris((await ask(local_ops(tmp_path / "registry", tmp_path / "new"), "words")).items)
    assert ranked == fresh
    assert "lab/p0" in ranked[0]


async def test_a_registry_that_is_not_there_yet_is_empty_and_then_has_packages(tmp_path: Path) -> None:
    registry = HeldRegistry((tmp_path / "registry").as_uri(), tmp_path / "sources")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    assert any("registry_empty" in said for said in (await ask(ops)).warnings)
    registry.push(one_package("lab/first", "one"))
    await require_right(ops, registry.packages.values())


async def test_a_package_without_files_is_found(registry: HeldRegistry, tmp_path: Path) -> None:
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    registry.push(one_package("lab/empty", "hollow", files=0))
    await require_right(ops, registry.packages.values())
    assert (await ask(ops, "entries:0")).total == 1
    registry.push(one_package("lab/full", "hollow"))
    await require_right(ops, registry.packages.values())


async def test_pages_over_registries_add_up_though_one_of_them_is_empty(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    other = HeldRegistry((tmp_path / "other").as_uri(), tmp_path / "sources")
    (tmp_path / "empty").mkdir()
    registry.push_at_random(17, 5)
    other.push_at_random(17, 5)  # the same names
    urls = (registry.url, other.url, (tmp_path / "empty").as_uri())
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    for scope, sort in (
        ("packages", "name"),
        ("packages", "best"),
        ("entries", "path"),
        ("entries", "-size"),
    ):
        request = SearchRequest("*", scope, registries=urls, sort=sort)  # type: ignore[arg-type]
        hits, total = await paged(ops, request, 3, lambda: None)
        whole = await ops.search.search(request, limit=1_000)
        assert uris(hits) == uris(whole.items)
        assert len(set(uris(hits))) == total == whole.total
    assert total == 2 * sum(len(one.files) for one in registry.packages.values())
