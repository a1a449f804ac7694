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
    "with its path": "SELECT *, \"$logical_key\" FROM files('bad.csv')",
    "first of several": "SELECT * FROM files('data/*.csv')",
    "last of several": "SELECT * FROM files('*.csv')",
    "all as text": "SELECT * FROM files('*.csv', all_varchar := true)",
}


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> LocalOps:
    place = tmp_path_factory.mktemp("ragged")
    (registry := place / "registry").mkdir()
    (good := place / "good.csv").write_text("a,b,c\n1,2,3\n")
    for number, text in enumerate(RAGGED.values()):
        (bad := place / f"bad{number}.csv").write_text(text)
        build(registry, f"bad/p{number}", {"data/bad.csv": bad, "data/z.csv": good, "a.csv": good})
    return local_ops(registry, place / "cache")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", RAGGED)
async def test_lines_that_do_not_fit_are_told(ragged: LocalOps, kind: str, way: str) -> None:
    with pytest.raises(Undecodable) as caught:
        found = await ask(ragged, WAYS[way], f"bad/p{[*RAGGED].index(kind)}")
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
