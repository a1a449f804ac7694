"""What strangers asked of the search, and were answered wrong at first."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from library import local_ops, write_packages
from scan import File, Package

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.search.request import Found, SearchRequest
from quilt_mcp.domain.search.where import parse_where
from quilt_mcp.errors import InvalidArgument, InvalidWhere
from quilt_mcp.search import parts


def ask(ops: LocalOps, text: str, scope: Any = "packages", limit: int = 30, **asked: Any) -> Found:
    if isinstance(asked.get("conditions"), str):
        asked["conditions"] = parse_where(asked["conditions"])
    return anyio.run(lambda: ops.search.search(SearchRequest(text, scope, **asked), limit=limit))


def names(found: Found) -> list[str]:
    return [PackageUri.parse(one.uri).name for one in found.items]


def paths(found: Found) -> set[str | None]:
    return {PackageUri.parse(one.uri).path for one in found.items}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    return folder


def header_of(registry: Path, name: str, **fields: Any) -> None:
    """Writes a package whose manifest says odd things of itself, with the hash that it has then."""
    from quilt3.packages import Package as Quilt3Package

    write_packages(registry, [Package(name, "odd", None, [File("a.csv", 3)])])
    pointers = registry / ".quilt/named_packages" / name
    manifest = registry / ".quilt/packages" / (pointers / "latest").read_text()
    head, *rest = manifest.read_text().splitlines()
    body = "\n".join([json.dumps({**json.loads(head), **fields}), *rest]) + "\n"
    with manifest.open("w") as file:
        file.write(body)
    with manifest.open() as file:
        top_hash = Quilt3Package.load(file).top_hash
    (manifest.parent / top_hash).write_text(body)
    for pointer in pointers.iterdir():
        pointer.write_text(top_hash)


@pytest.mark.parametrize("workflow", [5, ["w"], "w", {"id": 3}])
def test_an_odd_header_of_one_package_ends_no_search(registry: Path, tmp_path: Path, workflow: Any) -> None:
    header_of(registry, "lab/odd", workflow=workflow)
    write_packages(registry, [Package("lab/good", "fine", None, [File("b.csv", 1)])])
    ops = local_ops(registry, tmp_path / "cache")
    assert set(names(ask(ops, ""))) >= {"lab/good"}
    assert names(ask(ops, "fine")) == ["lab/good"]


def test_conditions_on_files_compare_texts_as_they_stand(registry: Path, tmp_path: Path) -> None:
    meta = {"barcode": "0012345", "Lot": "Ab", "flag": True, "n": 12345}
    write_packages(registry, [Package("lab/One", "Msg A", meta, [File("QC/A.csv", 3), File("qc/b.csv", 30)])])
    ops = local_ops(registry, tmp_path / "cache")
    for where, found in {
        "path like 'QC/%'": {"QC/A.csv"},
        "path = 'qc/b.csv'": {"qc/b.csv"},
        "path contains 'Qc'": {"QC/A.csv", "qc/b.csv"},
        "message like 'Msg%'": {"QC/A.csv", "qc/b.csv"},
        "message like 'msg%'": set[str](),
        "/barcode = '0012345'": {"QC/A.csv", "qc/b.csv"},
        "/barcode = 12345": set[str](),
        "/n = 12345 and /flag = true": {"QC/A.csv", "qc/b.csv"},
        "/Lot like 'A%'": {"QC/A.csv", "qc/b.csv"},
        "/Lot like 'a%'": set[str](),
        "path != 'qc/b.csv' and size < 10": {"QC/A.csv"},
        "name in ('lab/One', 'x/y') and ext = .csv and size >= 30": {"qc/b.csv"},
    }.items():
        assert paths(ask(ops, "", "entries", conditions=where)) == found, where
    for where in ("readme = x", "column = x", "nothing = 3"):
        with pytest.raises(InvalidArgument):
            ask(ops, "", "entries", conditions=where)


def test_sizes_have_units_in_conditions_on_packages_too_and_paths_are_of_files(
    registry: Path, tmp_path: Path
) -> None:
    write_packages(registry, [Package("lab/one", "m", None, [File("a.csv", 3_000)])])
    ops = local_ops(registry, tmp_path / "cache")
    assert names(ask(ops, "", conditions="size > 2kB and size < 1MiB")) == ["lab/one"]
    with pytest.raises(InvalidArgument) as refused:
        ask(ops, "", conditions="path like '%qc%'")
    assert "entries" in refused.value.next_step


def test_a_hash_is_found_in_any_spelling(registry: Path, tmp_path: Path) -> None:
    write_packages(registry, [Package("lab/one", "m", None, [File("a.csv", 3)])])
    ops = local_ops(registry, tmp_path / "cache")
    [hit] = ask(ops, "", "entries", detail=True).items
    assert hit.hash is not None
    value = hit.hash.partition(":")[2]
    assert ask(ops, f'file_hash:"{value}"', "entries").total == 1
    assert ask(ops, f'file_hash:"{value.upper()[:12]}"', "entries").total == 1


def test_large_metadata_is_taken_in_a_few_packages_at_a_time(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "HEAD_BYTES", 200_000)
    wanted = [
        Package(f"lab/p{number}", "m", {"note": f"word{number} " * 8_000}, [File("a.csv", 3)])
        for number in range(12)
    ]
    write_packages(registry, wanted)
    ops = local_ops(registry, tmp_path / "cache")
    assert names(ask(ops, "word7")) == ["lab/p7"] and ask(ops, "").total == 12
    assert len([*(tmp_path / "cache").rglob("heads-*.parquet")]) >= 2


def test_what_a_server_with_other_roots_read_is_not_shown(registry: Path, tmp_path: Path) -> None:
    """The README of a package that quilt3 built lies where it was built from."""
    write_packages(registry, [Package("lab/one", "m", None, [File("README.md", 0)], "# Thawed cells")])
    wide = local_ops(registry, tmp_path / "cache")
    options = Options(roots=(registry,), writable=False, cache=tmp_path / "cache", cache_bytes=1 << 30)
    narrow = LocalOps(registry.as_uri(), options)
    assert ask(wide, "thawed").total == 1
    found = ask(narrow, "thawed")
    assert found.total == 0 and any(one.startswith("no_readme: ") for one in found.warnings)
    assert ask(wide, "thawed").total == 1


def test_objects_are_searched_though_a_configured_registry_is_not_there_yet(
    registry: Path, tmp_path: Path
) -> None:
    (registry / "plate.csv").write_text("x")
    options = Options(
        roots=(tmp_path,), writable=False, cache=tmp_path / "cache", cache_bytes=1 << 30,
        local_registry=str(tmp_path / "nobody"),
    )  # fmt: skip
    ops = LocalOps(registry.as_uri(), options)
    assert ask(ops, "plate", "objects").total == 1


def test_where_nothing_is_found_there_is_help(registry: Path, tmp_path: Path) -> None:
    write_packages(
        registry, [Package("lab/one", "organoid cells", {"2024": {"n": 1}}, [File("raw/a.csv", 3)])]
    )
    ops = local_ops(registry, tmp_path / "cache")
    assert any("organoid" in one for one in ask(ops, "orgnoid").warnings if one.startswith("near: "))
    assert any("name:" in one for one in ask(ops, "organoid csv", "entries").warnings)
    assert not any(one.startswith("no_field") for one in ask(ops, "meta./2024:zzz").warnings)
    assert any(one.startswith("no_field") for one in ask(ops, "meta./2025:zzz").warnings)


def test_facets_of_metadata_are_counted(registry: Path, tmp_path: Path) -> None:
    write_packages(
        registry,
        [Package(f"lab/p{n}", "m", {"scope": "Zeiss" if n else "Leica"}, [File("a", 1)]) for n in range(4)],
    )
    found = ask(local_ops(registry, tmp_path / "cache"), "", facets=("/scope",))
    assert found.facets is not None
    [facet] = found.facets.items
    assert dict(zip(facet.values, facet.counts, strict=True)) == {"Zeiss": 3, "Leica": 1}


def test_a_highlight_shows_a_value_rather_than_a_key(registry: Path, tmp_path: Path) -> None:
    write_packages(registry, [Package("lab/one", "m", {"lot": "x", "from": "lot B33-7"}, [File("a", 1)])])
    [hit] = ask(local_ops(registry, tmp_path / "cache"), "lot B33-7").items
    assert hit.highlight == "meta./from: lot B33-7"


def test_a_revision_stays_when_one_of_its_pointers_goes(registry: Path, tmp_path: Path) -> None:
    write_packages(registry, [Package("lab/one", "twice", None, [File("a", 1)])])
    pointers = registry / ".quilt/named_packages/lab/one"
    [stamp] = [one for one in pointers.iterdir() if one.name != "latest"]
    (pointers / str(int(stamp.name) - 100)).write_text(stamp.read_text())
    ops = local_ops(registry, tmp_path / "cache")
    assert ask(ops, "twice", all_revisions=True).total == 1
    for one in (stamp, pointers / str(int(stamp.name) - 100)):
        body = one.read_text()
        one.unlink()
        assert ask(ops, "twice", all_revisions=True).total == 1
        one.write_text(body)


def test_a_cache_folder_with_signs_of_patterns_serves(registry: Path, tmp_path: Path) -> None:
    write_packages(registry, [Package("lab/one", "m", None, [File("a", 1)])])
    ops = local_ops(registry, tmp_path / "cache[1]*")
    assert ask(ops, "").total == 1 and ask(ops, "", "entries").total == 1


def test_a_cache_folder_that_looks_like_a_column_serves(registry: Path, tmp_path: Path) -> None:
    write_packages(
        registry,
        [Package("lab/one", "m", None, [File("a", 1)]), Package("lab/two", "m", None, [File("b", 1)])],
    )
    ops = local_ops(registry, tmp_path / "name=evil" / "number=5" / "cache")
    assert names(ask(ops, "", sort="name")) == ["lab/one", "lab/two"]
    assert paths(ask(ops, "", "entries")) == {"a", "b"}


def test_a_backslash_in_a_files_metadata_eats_no_letter(registry: Path, tmp_path: Path) -> None:
    meta = {"from": "C:\\raw\\new\\table", "note": "frozen, cells\nand more"}
    write_packages(registry, [Package("lab/one", "m", None, [File("a.csv", 1, meta)])])
    ops = local_ops(registry, tmp_path / "cache")
    for word in ("raw", "new", "table", '"frozen cells"', "more"):
        assert ask(ops, f"file_meta:{word}", "entries").total == 1, word
        assert ask(ops, word, "entries").total == 1, word


def test_of_a_key_that_stands_twice_the_one_counts_that_the_hash_is_of(
    registry: Path, tmp_path: Path
) -> None:
    write_packages(registry, [Package("lab/one", "m", None, [File("a.csv", 1, {"note": "honest"})])])
    [manifest] = (registry / ".quilt/packages").iterdir()
    twice = '"meta": {"user_meta": {"note": "forged"}, "user_meta": {"note": "honest"}'
    manifest.write_text(manifest.read_text().replace('"meta": {"user_meta": {"note": "honest"}', twice))
    ops = local_ops(registry, tmp_path / "cache")
    assert ask(ops, "honest").total == 1 and ask(ops, "forged").total == 0


@pytest.mark.parametrize("where", ["size contains '1'", "modified like '2026%'"])
def test_numbers_and_times_are_compared_by_no_pattern(registry: Path, tmp_path: Path, where: str) -> None:
    with pytest.raises(InvalidWhere):
        ask(local_ops(registry, tmp_path / "cache"), "", "entries", conditions=where)


def test_a_time_that_no_calendar_has_ends_no_search(registry: Path, tmp_path: Path) -> None:
    write_packages(registry, [Package("lab/one", "m", None, [File("a", 1)])])
    os.utime(registry / ".quilt/named_packages/lab/one/latest", (1 << 40, 1 << 40))
    ops = local_ops(registry, tmp_path / "cache")
    assert ask(ops, "").total == 1


def test_two_who_only_search_keep_nobody_from_what_is_new(registry: Path, tmp_path: Path) -> None:
    write_packages(registry, [Package("lab/one", "m", None, [File("a", 1)])])
    first, other = (local_ops(registry, tmp_path / "cache") for _ in range(2))
    assert ask(first, "").total == ask(other, "").total == 1
    lock = next((tmp_path / "cache" / "search").glob("*/lock"))
    with lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = ask(first, "")  # nothing is new: nothing is built
        assert found.total == 1 and not found.warnings
