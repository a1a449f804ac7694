"""Lab: a registry with packages that the real quilt3 wrote, in a folder or on S3, and how a filesystem names what is in them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from fsspec.implementations.local import LocalFileSystem
from fsspec.tests.abstract import AbstractFixtures

from parts.quilt3_process import Quilt3
from quilt_mcp.python_files import BucketFiles, FolderFiles, PackageFiles

ODD = "odd/[1] #&%?*+ é=@.csv"
NAME = "lab/growth"
_PUBLISH = """
# Manifests are named by what is in them, and two packages of the same files would share one, with the places of the last.
package = quilt3.Package().set_dir("/", arguments["source"])
registry = arguments["registry"]
if registry.startswith("s3:"):
    result = package.push(arguments["name"], registry, message=arguments["name"], force=True).top_hash
else:
    result = package.build(arguments["name"], registry, message=arguments["name"])
"""


@dataclass
class Lab:
    """A registry, with one package of the files in ``source``."""

    protocol: str
    registry: str
    root: str
    """The plain path of the registry."""
    source: Path
    quilt3: Quilt3
    options: dict[str, Any]
    top_hash: str = field(default="")

    @property
    def kind(self) -> type[PackageFiles]:
        return BucketFiles if self.protocol == "quilt+s3" else FolderFiles

    def view(self) -> PackageFiles:
        return self.kind(**self.options)

    def publish(self, name: str = NAME, source: Path | None = None) -> str:
        return self.quilt3.run(_PUBLISH, source=str(source or self.source), registry=self.registry, name=name)

    def plain(self, key: str = "", name: str = NAME) -> str:
        return f"{self.root}/{name}/{key}".rstrip("/")

    def url(self, key: str = "", name: str = NAME) -> str:
        return f"{self.protocol}://{self.plain(key, name)}"


def write_files(folder: Path) -> None:
    """Tables in pieces, an odd name, and the trees of fsspec's own tests."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "growth.csv").write_text("plant,height\nR01,84.2\nR02,91.0\n")
    (folder / "odd").mkdir()
    (folder / ODD).write_text("plant,height\nR03,70.5\n")
    for number in range(3):
        frame = pd.DataFrame({"row": range(number * 1000, number * 1000 + 1000), "piece": number})
        frame.to_parquet(folder / "data" / f"part-{number}.parquet")
    (folder / "lines.txt").write_bytes(random.Random(7).randbytes(300_000).replace(b"\0", b"\n"))
    trees, local = AbstractFixtures(), LocalFileSystem(auto_mkdir=True)
    for name in (
        "_bulk_operations_scenario_0",
        "_glob_edge_cases_files",
        "_dir_and_file_with_same_name_prefix",
        "_10_files_with_hashed_names",
    ):
        getattr(trees, name)(local, lambda *parts: "/".join(map(str, parts)), folder / name)
