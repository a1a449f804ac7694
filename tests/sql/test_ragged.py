"""A CSV whose lines do not fit together is an error that names it, however it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from sql_lab import ask, build, local_ops, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.errors import Undecodable

pytestmark = pytest.mark.anyio
RAGGED = {
    "one cell less": "a,b,c\n1,2,3\n4,5\n6,7,8\n",
    "one cell more": "a,b,c\n1,2,3\n4,5,6,7\n6,7,8\n",
    "semicolons": "a;b;c\n1;2;3\n4;5\n6;7;8\n",
    "a title above": "Growth of 2026\na,b,c\n1,2,3\n4,5,6\n",
    "texts": "name,town\nanna,bonn\nberta\n",
    "no header": "1,2,3\n4,5\n6,7,8\n",
}
WAYS = {
    "by itself": "SELECT * FROM 'data/bad.csv'",
    "with its hash": "SELECT *, \"$top_hash\" FROM 'data/bad.csv'",
    "last of several": "SELECT * FROM files('*.csv')",
}
OTHERS = {
    "first of several": "SELECT * FROM files('data/*.csv')",
    "all as text": "SELECT * FROM files('*.csv', all_varchar := true)",
    "what does not fit left out": "SELECT * FROM files('bad.csv', ignore_errors := true)",
}
ASKED = [(kind, way) for kind in RAGGED for way in WAYS] + [("a title above", way) for way in OTHERS]


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> LocalOps:
    place = tmp_path_factory.mktemp("ragged")
    (registry := place / "registry").mkdir()
    (good := place / "good.csv").write_text("a,b,c\n1,2,3\n")
    for number, text in enumerate(RAGGED.values()):
        (bad := place / f"bad{number}.csv").write_text(text)
        build(registry, f"bad/p{number}", {"data/bad.csv": bad, "data/z.csv": good, "a.csv": good})
    return local_ops(registry, place / "cache")


@pytest.mark.parametrize(("kind", "way"), ASKED)
async def test_lines_that_do_not_fit_are_told(ragged: LocalOps, kind: str, way: str) -> None:
    with pytest.raises(Undecodable) as caught:
        found = await ask(ragged, (WAYS | OTHERS)[way], f"bad/p{[*RAGGED].index(kind)}")
        raise AssertionError(f"{[one.name for one in found.columns]} {values(found)}")
    assert "data/bad.csv" in caught.value.message, caught.value.message
    assert "qf://" not in f"{caught.value.message} {caught.value.next_step}"


async def test_several_files_of_several_forms_are_one_table(tmp_path: Path) -> None:
    (registry := tmp_path / "registry").mkdir()
    texts = {"a.csv": "a,b\n1,x\n", "b.csv": "b;a\ny;2\n", "c.csv": 'a\n"3,4"\n', "d.csv": 'b,"a,c"\nz,5\n'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    build(registry, "a/b", {name: tmp_path / name for name in texts})
    ops = local_ops(registry, tmp_path / "cache")
    found = await ask(ops, "SELECT a, b, \"a,c\" FROM files('a/b', '*.csv')")
    assert values(found) == [["1", "x", None], ["2", "y", None], ["3,4", None, None], [None, "z", 5]]


async def test_a_header_among_comments_is_told_and_the_ways_out_work(tmp_path: Path) -> None:
    """The engine by itself takes it for one more comment."""
    (registry := tmp_path / "registry").mkdir()
    lines = "##made=by hand\n##of=2026\n#CHROM\tPOS\nchr1\t5\n"
    texts = {
        "a.tsv": lines,
        "b.csv": lines.replace("\t", ","),
        "c.csv": "#id,v\n1,2\n",
        "d.csv": "# by hand\na,b\n1,2\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    build(registry, "a/b", {name: tmp_path / name for name in texts})
    ops = local_ops(registry, tmp_path / "cache")
    for name in ("a.tsv", "b.csv"):
        with pytest.raises(Undecodable, match="skip := n"):
            await ask(ops, f"FROM 'a/b/{name}'")
    found = await ask(ops, "FROM files('a/b', 'a.tsv', skip := 2)")
    assert ([one.name for one in found.columns], values(found)) == (["#CHROM", "POS"], [["chr1", 5]])
    assert values(await ask(ops, "FROM files('a/b', 'b.csv', comment := '#')")) == [["chr1", 5]]
    for name, columns in {"c.csv": ["#id", "v"], "d.csv": ["a", "b"]}.items():
        found = await ask(ops, f"FROM 'a/b/{name}'")
        assert ([one.name for one in found.columns], values(found)) == (columns, [[1, 2]])


async def test_the_ways_out_of_lines_that_do_not_fit_work(ragged: LocalOps) -> None:
    title, less = (f"bad/p{[*RAGGED].index(kind)}" for kind in ("a title above", "one cell less"))
    query = "SELECT a, c FROM files('{}', 'bad.csv', {})"
    assert values(await ask(ragged, query.format(title, "skip := 1"))) == [[1, 3], [4, 6]]
    assert values(await ask(ragged, query.format(less, "ignore_errors := true"))) == [[1, 3], [6, 8]]
    assert values(await ask(ragged, query.format(less, "null_padding := true"))) == [
        [1, 3],
        [4, None],
        [6, 8],
    ]
