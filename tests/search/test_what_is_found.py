"""What a search tells, and what it takes in: texts, columns of tables, what was written just now."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from library import local_ops, write_packages
from scan import File, Package

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CreateRequest, Source
from quilt_mcp.domain.search.request import Found, SearchRequest
from quilt_mcp.errors import InvalidQuery, NotSupported


def ask(ops: LocalOps, text: str, scope: Any = "packages", limit: int = 30, **asked: Any) -> Found:
    return anyio.run(lambda: ops.search.search(SearchRequest(text, scope, **asked), limit=limit))


def names(found: Found) -> list[str]:
    return [PackageUri.parse(one.uri).name for one in found.items]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    write_packages(
        folder,
        [
            Package("lab/one", "Confocal stacks", {"assay": {"lot": "B33-7"}, "n": 3}, [File("raw/a_R01.tif", 5)]),
            Package("lab/two", "Organoid reads", None, [File("README.md", 0), File("x/R012.csv", 7)], "# Organoid\nconfocal?"),
            Package("lab/three", "nothing", {"note": "confocal"}, [File("b.csv", 1), File("c.csv", 2)]),
        ],
    )  # fmt: skip
    return folder


def test_the_best_match_is_first_and_says_where_it_matched(registry: Path, tmp_path: Path) -> None:
    found = ask(local_ops(registry, tmp_path / "cache"), "confocal")
    assert set(names(found)) == {"lab/one", "lab/two", "lab/three"}
    assert names(found)[-1] == "lab/two", "a README weighs least"
    by_name = dict(zip(names(found), found.items, strict=True))
    assert by_name["lab/one"].matched == ("message",) and by_name["lab/one"].highlight is None
    assert by_name["lab/two"].matched == ("readme",)
    assert by_name["lab/two"].highlight == "readme: # Organoid confocal?"
    assert by_name["lab/three"].highlight == "meta./note: confocal"


def test_a_word_is_a_whole_one(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")
    assert names(ask(ops, "R01")) == ["lab/one"]
    assert set(names(ask(ops, "R01*"))) == {"lab/one", "lab/two"}
    assert [one.files[0].path for one in ask(ops, "R01").items] == ["raw/a_R01.tif"]


def test_what_finds_nothing_says_which_word_does(registry: Path, tmp_path: Path) -> None:
    found = ask(local_ops(registry, tmp_path / "cache"), "confocal nowhere")
    [said] = found.warnings
    assert found.total == 0 and said.startswith("no_match: ")
    assert "confocal 3, nowhere 0" in said


def test_a_field_of_metadata_that_no_package_has_is_told_with_those_near(
    registry: Path, tmp_path: Path
) -> None:
    found = ask(local_ops(registry, tmp_path / "cache"), "meta./assay/lott:B33")
    assert any(one.startswith("no_field: ") and "/assay/lot" in one for one in found.warnings)


def test_what_cannot_be_read_is_an_error_and_never_nothing(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")
    with pytest.raises(InvalidQuery) as refused:
        ask(ops, "lot:B33")
    assert "meta./lot" in refused.value.next_step or "meta.lot" in refused.value.next_step
    with pytest.raises(NotSupported):
        ask(ops, "x", engine="stack")


def test_facets_tell_what_there_is_to_filter_by(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")
    facets = {(one.field, one.kind): one for one in ask(ops, "", facets=("*",)).facets.items}  # type: ignore[union-attr]
    assert facets["/n", "number"].low == 3 and facets["/assay/lot", "keyword"].values == ("B33-7",)
    assert (facets["entries", "number"].low, facets["entries", "number"].high) == (1, 2)
    [ext] = ask(ops, "", "entries", facets=("ext",)).facets.items  # type: ignore[union-attr]
    assert dict(zip(ext.values, ext.counts, strict=True)) == {"csv": 3, "tif": 1, "md": 1}


def test_where_and_sort_are_those_of_a_listing(registry: Path, tmp_path: Path) -> None:
    from quilt_mcp.domain.search.where import parse_where

    ops = local_ops(registry, tmp_path / "cache")
    assert names(ask(ops, "", conditions=parse_where("/assay/lot like 'B33%'"))) == ["lab/one"]
    assert names(ask(ops, "", conditions=parse_where("entries = 2"), sort="-size"))[-1] == "lab/three"
    assert names(ask(ops, "", sort="/n"))[0] == "lab/one"
    found = ask(ops, "", "entries", conditions=parse_where("size >= 2 and ext = csv"), sort="-size")
    assert [one.size for one in found.items] == [7, 2]


def test_what_this_process_writes_is_found_at_once(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache", writable=True)
    assert ask(ops, "brandnew").total == 0
    source = tmp_path / "f.txt"
    source.write_text("1")
    package = PackageUri(registry.as_uri(), "lab/four")
    request = CreateRequest(package, sources=(Source(str(source), "f.txt"),), message="a brandnew thing")
    anyio.run(lambda: ops.create(request))
    assert names(ask(ops, "brandnew")) == ["lab/four"]
    anyio.run(lambda: ops.delete(package, whole=True))
    assert ask(ops, "brandnew").total == 0


def test_columns_of_a_table_that_was_looked_into_are_found(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")
    assert ask(ops, "petal_width").total == 0
    uri = ask(ops, "name:lab/three", "entries").items[0].uri
    anyio.run(lambda: ops.search.learn_columns(uri, ["petal_width", "species"]))
    assert names(ask(ops, "petal_width")) == ["lab/three"]
    [hit] = ask(ops, "column:species").items
    assert hit.matched == ("column",) and hit.highlight == "column: petal_width species"


def test_objects_are_searched_beside_packages(registry: Path, tmp_path: Path) -> None:
    (registry / "loose").mkdir()
    (registry / "loose" / "plate_7.csv").write_text("x")
    found = ask(local_ops(registry, tmp_path / "cache"), "plate ext:csv", "objects")
    assert [one.uri for one in found.items] == [
        (registry / "loose/plate_7.csv").as_uri()
    ] and found.total == 1


def test_several_registries_are_merged_in_one_order(registry: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_packages(other, [Package("lab/zero", "confocal", None, [File("a.tif", 9), File("a.csv", 2)])])
    ops = local_ops(registry, tmp_path / "cache")
    both = (registry.as_uri(), other.as_uri())
    assert names(ask(ops, "", registries=both, sort="name")) == [
        "lab/one",
        "lab/three",
        "lab/two",
        "lab/zero",
    ]

    async def pages(sort: str) -> list[int]:
        sizes: list[int] = []
        cursor = None
        while True:
            request = SearchRequest("", "entries", both, sort=sort)
            found = await ops.search.search(request, limit=2, cursor=cursor)
            sizes += [one.size or 0 for one in found.items]
            assert found.total == 7
            if (cursor := found.next_cursor) is None:
                return sizes

    assert anyio.run(pages, "size") == sorted(anyio.run(pages, "-size"))
    assert len(anyio.run(pages, "name")) == len(anyio.run(pages, "path")) == 7


def test_old_revisions_are_searched_where_they_are_asked_for(registry: Path, tmp_path: Path) -> None:
    ops = local_ops(registry, tmp_path / "cache")
    time.sleep(1.1)  # two revisions of one second have one pointer in quilt3
    write_packages(registry, [Package("lab/one", "Widefield stacks", None, [File("raw/b.tif", 5)])])
    assert names(ask(ops, "message:confocal")) == []
    assert names(ask(ops, "message:confocal", all_revisions=True)) == ["lab/one"]
    both = ask(ops, "name:lab/one", all_revisions=True, sort="-modified")
    assert names(both) == ["lab/one", "lab/one"] and len({one.uri for one in both.items}) == 2
    assert both.items[0].message == "Widefield stacks"
    files = ask(ops, "ext:tif", "entries", all_revisions=True)
    assert {PackageUri.parse(one.uri).path for one in files.items} == {"raw/a_R01.tif", "raw/b.tif"}


def test_who_never_searches_imports_nothing_of_it(registry: Path, tmp_path: Path) -> None:
    script = f"""
import anyio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from library import local_ops
ops = local_ops(Path({str(registry)!r}), Path({str(tmp_path / "cache")!r}))
anyio.run(ops.list_packages, {registry.as_uri()!r})
print([one for one in sys.modules if one in ("duckdb", "re2", "quilt_mcp.domain.search.query.parse")
       or one.startswith("quilt_mcp.search")])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert not (tmp_path / "cache" / "search").exists()
