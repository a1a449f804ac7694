"""Types that the first rows of a large file have, and later ones have not: never a rounded number or a lost zero."""

from __future__ import annotations

import pytest
from sql_lab import ask, build, local_ops, values

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.errors import InvalidSql, Undecodable

pytestmark = pytest.mark.anyio
LATE = {"rounded": "2.7", "zeros": "007", "signs": "1_000"}
WAYS = {
    "by itself": "SELECT max(a) FROM '{}.csv'",
    "with its hash": "SELECT max(a), max(\"$top_hash\") FROM '{}.csv'",
    "of several": "SELECT max(a) FROM files('{}.csv')",
    "with an option": "SELECT max(a) FROM files('{}.csv', delim := ',')",
}


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> LocalOps:
    place = tmp_path_factory.mktemp("late-rows")
    (registry := place / "registry").mkdir()
    texts = {f"{name}.csv": "a,b\n" + "1,x\n" * 101_000 + f"{value},y\n" for name, value in LATE.items()}
    texts["right.csv"] = "a,b\n" + "1,x\n" * 101_000 + "-12,y\n,z\n 8,z\n"
    texts["thousands.csv"] = "a;b\n" + "1;x\n" * 101_000 + "2.500;y\n"
    rows = '{"a":1}\n' * 30_000
    texts |= {"rounded.jsonl": rows + '{"a":2.7}\n', "more.jsonl": rows + '{"a":3,"z":{"y":1.5}}\n'}
    texts |= {
        "text1.csv": "a\ntrue\n",
        "text2.csv": "a\n" + "true\n" * 101_000 + "x\n",
        "twice.jsonl": '{"a":1,"a":2}\n',
    }
    for name, text in texts.items():
        (place / name).write_text(text)
    build(registry, "a/b", {name: place / name for name in texts})
    return local_ops(registry, place / "cache")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LATE)
async def test_what_is_no_whole_number_is_told(late: LocalOps, kind: str, way: str) -> None:
    with pytest.raises(InvalidSql) as caught:
        raise AssertionError(values(await ask(late, WAYS[way].format(kind), "a/b")))
    assert f"{kind}.csv: row 101,001, column a: {LATE[kind]!r}" in caught.value.message, caught.value.message
    assert "all_varchar" in caught.value.next_step


async def test_what_fits_has_its_type(late: LocalOps) -> None:
    found = await ask(
        late, "SELECT min(a), max(a), count(a), count(*), typeof(max(a)) FROM 'right.csv'", "a/b"
    )
    assert values(found) == [[-12, 8, 101_002, 101_003, "BIGINT"]]
    query = "SELECT max(a)::BIGINT FROM files('thousands.csv', thousands := '.', decimal_separator := ',')"
    assert values(await ask(late, query, "a/b")) == [[2500]]


async def test_json_has_the_columns_of_all_its_rows(late: LocalOps) -> None:
    assert values(await ask(late, "SELECT max(a), sum(a) FROM 'rounded.jsonl'", "a/b")) == [[2.7, 30_002.7]]
    assert values(await ask(late, "SELECT max(a), max(z.y) FROM 'more.jsonl'", "a/b")) == [[3, 1.5]]


async def test_what_cannot_be_read_is_told_with_its_file_and_without_the_engines_advice(
    late: LocalOps,
) -> None:
    with pytest.raises(InvalidSql) as caught:
        await ask(late, "SELECT max(a) FROM files('text*.csv')", "a/b")
    assert "text2.csv: " in caught.value.message and "Line: 101002" in caught.value.message
    assert "Possible" not in caught.value.message, caught.value.message
    with pytest.raises(Undecodable) as of_json:
        await ask(late, "SELECT max(a) FROM 'twice.jsonl'", "a/b")
    assert "twice.jsonl" in of_json.value.message and "sample_size" not in of_json.value.message
    assert "object_read" in of_json.value.next_step
