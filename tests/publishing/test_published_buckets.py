"""What is published of a bucket: as the lists name it, as folders hold it, what a publication writes, and how two get on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from publishing_lab import (
    ORACLE,
    Death,
    Died,
    DyingStore,
    HookedStore,
    Rows,
    comparable,
    of_files,
    publish,
    put_between,
)

from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3Server
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.publication import NAMES, TABLES, lists_folder
from quilt_mcp.errors import ChangedMeanwhile

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("publishing_on_s3")]
PUSH = """
import pathlib
for name, files, meta in arguments['packages']:
    package = quilt3.Package()
    for path, text in files.items():
        source = pathlib.Path('sources') / name / path
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        package.set(path, str(source))
    if meta is not None:
        package.set_meta(meta)
    package.push(name, arguments['registry'], message=f'of {name}', force=True)
"""
SOME = [
    ["lab/growth", {"a.csv": "a,b\n1,2\n", "sub/ü é.txt": "x"}, {"日本": ["é", None]}],
    ["lab/none", {"x.txt": "x"}, None],
]


@pytest.fixture(scope="module")
def quilt3(moto: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quilt3Server]:
    server = Quilt3Server(tmp_path_factory.mktemp("quilt3"), moto)
    yield server
    server.close()


class Bucket:
    """One that quilt3 pushed to."""

    def __init__(self, name: str, raw: Any, quilt3: Quilt3Server) -> None:
        self.name, self._raw, self._quilt3 = name, raw, quilt3
        self.push(*SOME)

    def push(self, *packages: Any) -> None:
        self._quilt3.run(PUSH, registry=f"s3://{self.name}", packages=packages)

    def delete(self, package: str) -> None:
        self._quilt3.run(f"quilt3.delete_package({package!r}, {f's3://{self.name}'!r})")

    def wanted(self) -> Rows:
        return self._quilt3.run(ORACLE, registry=f"s3://{self.name}")

    def read(self, key: str) -> bytes:
        return self._raw.get_object(Bucket=self.name, Key=key)["Body"].read()

    def keys(self) -> list[str]:
        pages = self._raw.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=TABLES)
        return [one["Key"] for page in pages for one in page.get("Contents", ())]

    def by_lists(self) -> Rows:
        """As Athena and Trino read it."""
        found: Rows = {}
        for name in NAMES:
            lines = self.read(f"{lists_folder(name)}files").decode().splitlines()
            assert lines, "an empty list would be a table without columns to some engines"
            files = [self.read(one.removeprefix(f"s3://{self.name}/")) for one in lines]
            found[name] = of_files(name, [io.BytesIO(one) for one in files])
        return found

    def by_folders(self) -> Rows:
        """As Spark and DuckDB read it."""
        keys = [one for one in self.keys() if one.endswith(".parquet")]
        return {
            name: of_files(
                name, [io.BytesIO(self.read(one)) for one in keys if one.startswith(f"{TABLES}{name}/")]
            )
            for name in NAMES
        }

    def by_state(self) -> Rows:
        state = json.loads(self.read(f"{TABLES}_publication.json"))["tables"]
        return {
            name: of_files(name, [io.BytesIO(self.read(f"{TABLES}{one}")) for one in keys])
            for name, keys in state.items()
        }


@pytest.fixture(scope="module")
def pushed(moto: Server, quilt3: Quilt3Server) -> Iterator[Bucket]:
    """Nobody but one test at a time changes it; each goes on where the last ended."""
    with moto.boto() as raw:
        yield Bucket(moto.make_bucket(), raw, quilt3)


@pytest.fixture
def ops(pushed: Bucket, moto: Server, moto_proxy: Proxy, tmp_path: Path) -> IamOps:
    return opened(pushed, moto, moto_proxy, tmp_path / "cache")


def opened(bucket: Bucket, moto: Server, moto_proxy: Proxy, cache: Path) -> IamOps:
    return iam_ops(moto.via(moto_proxy.url), bucket.name, roots=(cache.parent,), cache=cache)


def require_right(bucket: Bucket) -> None:
    wanted = comparable(bucket.wanted())
    assert comparable(bucket.by_lists()) == wanted
    assert comparable(bucket.by_folders()) == wanted
    assert comparable(bucket.by_state()) == wanted


async def test_a_bucket_is_published_and_little_is_written_again(
    pushed: Bucket, ops: IamOps, moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    outcome = await publish(ops)
    assert (outcome.added, outcome.sequence) == (2, 1)
    require_right(pushed)
    with moto_proxy.recording() as second:
        assert (await publish(ops)).is_current
    assert second.mutating == []
    assert second.total <= 14, second.counts
    pushed.push(["lab/new", {"n.txt": "n"}, {"n": 1}])
    other = opened(pushed, moto, moto_proxy, tmp_path / "another's cache")
    with moto_proxy.recording() as third:
        outcome = await publish(other)
    written = [one.call.key.removeprefix(TABLES) for one in third.of("PutObject") if TABLES in one.call.key]
    kinds = sorted(key.partition("/")[0] for key in written)
    assert kinds == [
        "_lists", "_lists", "_lists", "_lists", "_parts", "_publication.json",
        "package_entry", "package_manifest", "package_revision", "package_tag",
    ]  # fmt: skip
    assert sum(one.received for one in third.of("PutObject")) < 20_000
    assert (outcome.files_written, outcome.files_deleted) == (4, 2)
    require_right(pushed)


async def test_killed_before_any_write_who_reads_the_lists_reads_right(
    pushed: Bucket, moto: Server, moto_proxy: Proxy, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    await publish(opened(pushed, moto, moto_proxy, cache))
    pushed.push(["lab/new", {"n.txt": "another"}, {"n": 2}], ["lab/newer", {"n.txt": "n"}, None])
    pushed.delete("lab/none")
    before, after = comparable(pushed.by_lists()), comparable(pushed.wanted())
    deaths, seen = 0, set[str]()
    while True:
        ops, death = opened(pushed, moto, moto_proxy, cache), Death(at=deaths)
        put_between(ops, lambda store, death=death: DyingStore(store, death))
        try:
            await publish(ops)
            break
        except Died:
            deaths += 1
        assert comparable(pushed.by_state()) in (before, after)
        for name, rows in comparable(pushed.by_lists()).items():
            assert rows in (before[name], after[name])
            seen.add("new" if rows == after[name] else "old")
    assert seen == {"old", "new"} and deaths >= 8
    await publish(opened(pushed, moto, moto_proxy, cache))
    require_right(pushed)
    assert (await publish(opened(pushed, moto, moto_proxy, cache))).is_current


@pytest.mark.parametrize("until", ["_publication.json", "_lists/package_manifest"])
async def test_who_is_overtaken_undoes_nothing(
    pushed: Bucket, moto: Server, moto_proxy: Proxy, tmp_path: Path, until: str
) -> None:
    """One waits before that write until another has published more: before the state it is told, after it the other's lists
    stand."""
    late = opened(pushed, moto, moto_proxy, tmp_path / "cache")
    first = opened(pushed, moto, moto_proxy, tmp_path / "another's cache")
    pushed.push(["lab/late", {"n.txt": until}, None])
    waited: list[str] = []

    async def before(key: str) -> None:
        if key.startswith(until) and not waited:
            waited.append(key)
            pushed.push(["lab/first", {"n.txt": until}, None])
            assert (await publish(first)).is_done

    put_between(late, lambda store: HookedStore(store, before))
    if until.startswith("_lists"):
        assert (await publish(late)).is_done
    else:
        with pytest.raises(ChangedMeanwhile):
            await publish(late)
    assert waited
    require_right(pushed)
