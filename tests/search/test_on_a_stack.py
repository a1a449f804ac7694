"""The same queries of the same packages: by a stack's own search, and by the catalog that this server keeps of its bucket."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from scan import Maker, Package, Query, file_fits, package_fits, packages_at_random, text_of

from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from parts.stack import Stack
from quilt_mcp.catalog.search.query_writer import asked_of_stack
from quilt_mcp.config import Settings
from quilt_mcp.domain.search.query.parse import parse_query
from quilt_mcp.errors import NotSupported
from quilt_mcp.session import Session

pytestmark = pytest.mark.xdist_group("shelf")
"""One worker writes the packages."""
QUERIES = int(os.environ.get("QUILT_MCP_STACK_QUERIES", "24"))
"""That a stack can be asked; a few in CI, 400 at night."""
BATCHES = 4
_MANY = 10
_PUSH = """
import boto3, functools
boto3.Session = functools.lru_cache(boto3.Session)  # which otherwise reads what it knows of S3 anew for each file
result = []
for number, one in enumerate(arguments["packages"]):
    package = quilt3.Package()
    for place, (path, body, meta) in enumerate(one["files"]):
        source = f"{number}-{place}"
        with open(source, "w") as file:
            file.write(body)
        package.set(path, source, meta=meta)
    if one["meta"] is not None:
        package.set_meta(one["meta"])
    pushed = package.push(one["name"], registry=arguments["registry"], message=one["message"], force=True)
    result.append(pushed.top_hash)
"""


@dataclass
class Shelf:
    bucket: str
    packages: list[Package]

    def elsewhere(self, package: Package) -> Package:
        """With the places where a stack looks for words, too: contents, keys, hashes, and metadata as JSON, in which two values
        stand side by side."""
        places = " ".join(f"s3://{self.bucket}/{package.name}/{one.path}" for one in package.files)
        bodies = " ".join("x" * one.size for one in package.files)
        metadata = json.dumps([package.meta, *(one.meta for one in package.files)], ensure_ascii=False)
        readme = f"{package.readme} {package.top_hash} {places} {bodies} {metadata}"
        return replace(package, readme=readme)


@pytest.fixture(scope="module")
def shelf(moto: S3Access, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    packages = [one for one in packages_at_random(7, _MANY + 4) if one.files][:_MANY]
    bucket = moto.make_bucket(versioned=False)
    told = [
        {
            "name": one.name,
            "message": one.message,
            "meta": one.meta,
            "files": [
                (file.path, one.readme if file.path == "README.md" else "x" * file.size, file.meta)
                for file in one.files
            ],
        }
        for one in packages
    ]
    home = tmp_path_factory.mktemp("pusher")
    hashes = Quilt3(home, moto).run(_PUSH, packages=told, registry=f"s3://{bucket}")
    return Shelf(
        bucket, [replace(one, top_hash=top_hash) for one, top_hash in zip(packages, hashes, strict=True)]
    )


@pytest.fixture
def session(
    stack: Stack, shelf: Shelf, moto: S3Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Session:
    stack.add_bucket(shelf.bucket)
    stack.add_user("ada", roles=("writer",))
    for name, value in replace(moto, url=stack.s3_url).environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    return Session(
        Settings(catalog_url=stack.url, api_key=stack.api_key("ada"), cache_dir=tmp_path / "cache")
    )


def has_bare_words(query: Query) -> bool:
    kind, *rest = query
    if kind in ("and", "or", "not"):
        return any(map(has_bare_words, rest))
    return kind in ("word", "phrase", "pattern", "regex")


def can_be_asked(seed: int, batch: int) -> Iterator[tuple[Query, tuple[str, ...]]]:
    """Queries at random that the writer does not refuse, and what it warns of: as many with words without a field as without
    such, and of each kind a fifth of one term alone."""
    most = QUERIES // BATCHES // 2
    count = Counter[tuple[bool, bool]]()
    number = 0
    while count.total() < 2 * most:
        number += 1
        query = Maker(seed + batch * 1_000_003 + number).query()
        kind = has_bare_words(query), query[0] in ("and", "or", "not")
        if count[kind] >= (most - most // 5 if kind[1] else most // 5):
            continue
        try:
            asked = asked_of_stack(
                parse_query(text_of(query), "packages", datetime(2026, 6, 30, tzinfo=UTC)), "packages"
            )
        except NotSupported:
            continue
        count[kind] += 1
        yield query, asked.warnings


def ask(session: Session, **arguments: Any) -> set[str]:
    answer = asyncio.run(session.call("search", {"limit": 1_000, **arguments})).structured
    assert "error" not in answer, (arguments, answer["error"])
    found = [row["package"].split("@")[0] for row in answer["data"]["hits"]]
    assert len(found) == answer["page"]["total"] == len(set(found))
    return set(found)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("is_older", [False, True], ids=["graphql", "older"])
@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_stack_finds_what_the_catalog_finds_where_the_query_is_not_refused(
    session: Session, stack: Stack, shelf: Shelf, batch: int, is_older: bool
) -> None:
    if is_older:
        stack.set_graph_search(False)

    def least(package: Package) -> Package:
        """The older way looks into no contents."""
        return replace(package, readme="") if is_older else package

    for number, (query, warnings) in enumerate(can_be_asked(77, batch)):
        if is_older and number % 5:
            continue
        text = text_of(query)
        here = ask(session, query=text, engine="local")
        there = ask(session, query=text, engine="stack")
        assert here == {one.name for one in shelf.packages if package_fits(one, query)}, text
        if not has_bare_words(query):
            assert there == here, text
            continue
        most = {one.name for one in shelf.packages if package_fits(shelf.elsewhere(one), query)}
        assert there <= most, text
        if not any(one.startswith("same_document") for one in warnings):
            assert there >= {one.name for one in shelf.packages if package_fits(least(one), query)}, text


@pytest.mark.sampled(1)
@pytest.mark.parametrize("query", [
    ("field", "path", ("pattern", "raw/*")), ("field", "path", ("pattern", "**/*.csv")), ("field", "path", ("pattern", "*R01*")),
    ("range", "size", ">=", 10), ("field", "path", ("word", "sample")), ("not", ("field", "path", ("word", "raw"))),
    ("and", ("field", "path", ("pattern", "*.csv")), ("not", ("range", "size", ">", 3))),
])  # fmt: skip
def test_objects_are_found_alike(session: Session, shelf: Shelf, query: Query) -> None:
    arguments = {
        "query": text_of(query),
        "scope": "objects",
        "registries": [f"s3://{shelf.bucket}"],
        "limit": 1_000,
    }

    def found(engine: str) -> set[str]:
        answer = asyncio.run(session.call("search", {**arguments, "engine": engine})).structured
        rows = [unquote(row["uri"].partition("?")[0]) for row in answer["data"]["hits"]]
        return {one for one in rows if "/.quilt/" not in one}

    there = found("stack")
    assert there == found("local")
    files = [(f"{one.name}/{file.path}", file) for one in shelf.packages for file in one.files]
    if query[1] != "path" or query[2][0] == "word":
        wanted = [path for path, file in files if file_fits(replace(file, path=path), query, size="size")]
        assert there == {f"s3://{shelf.bucket}/{path}" for path in wanted}
    assert there or query[2] == ("pattern", "raw/*")
