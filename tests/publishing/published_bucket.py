"""A bucket that quilt3 pushed to, and its published tables as others read them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from publishing_lab import ORACLE, Rows, comparable, of_files

from parts.iam_ops import iam_ops
from parts.proxy import Proxy
from parts.quilt3_process import Quilt3Server
from parts.s3_access import S3Access as Server
from quilt_mcp.backends.iam import IamOps
from quilt_mcp.domain.publication import NAMES, TABLES, lists_folder

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


class Bucket:
    """One that quilt3 pushed to."""

    def __init__(self, name: str, raw: Any, quilt3: Quilt3Server) -> None:
        self.name, self._raw, self._quilt3 = name, raw, quilt3
        self.push(*SOME)

    def push(self, *packages: Any) -> None:
        self._quilt3.run(PUSH, registry=f"s3://{self.name}", packages=packages)

    def delete(self, package: str) -> None:
        self._quilt3.run(f"quilt3.delete_package({package!r}, {f's3://{self.name}'!r})")

    def roll_back(self, package: str, top_hash: str) -> None:
        self._quilt3.run(f"quilt3.Package.rollback({package!r}, {f's3://{self.name}'!r}, {top_hash!r})")

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


def opened(bucket: Bucket, moto: Server, moto_proxy: Proxy, cache: Path) -> IamOps:
    return iam_ops(moto.via(moto_proxy.url), bucket.name, roots=(cache.parent,), cache=cache)


def require_right(bucket: Bucket) -> None:
    wanted = comparable(bucket.wanted())
    assert comparable(bucket.by_lists()) == wanted
    assert comparable(bucket.by_folders()) == wanted
    assert comparable(bucket.by_state()) == wanted
