"""A user with one registry in a folder and one on S3, and with fsspec, which finds the filesystem as an installation would."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from lab import Lab, write_files

from parts.proxy import Proxy
from parts.quilt3_process import Quilt3
from parts.s3_access import S3Access
from quilt_mcp.python_files import BucketFiles, FolderFiles


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fsspec.register_implementation("quilt+s3", BucketFiles, clobber=True)
    fsspec.register_implementation("quilt+file", FolderFiles, clobber=True)
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def user(home: Path, moto: S3Access, moto_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whose AWS is moto behind the proxy, and who has nothing else: for a test, as the tests after these are
    nobody's."""
    for name, value in moto.via(moto_proxy.url).environment().items():
        monkeypatch.setenv(name, value)
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))


@pytest.fixture(scope="package")
def source(home: Path) -> Path:
    write_files(home / "source")
    return home / "source"


@pytest.fixture(scope="package")
def folder_lab(home: Path, source: Path) -> Lab:
    registry = home / "reg"
    lab = Lab(
        "quilt+file",
        f"file://{registry}",
        str(registry),
        source,
        Quilt3(home / "quilt3"),
        {"roots": [str(source.parent)]},
    )
    lab.top_hash = lab.publish()
    return lab


@pytest.fixture(scope="package")
def bucket_lab(home: Path, source: Path, moto: S3Access) -> Lab:
    bucket = moto.make_bucket()
    lab = Lab("quilt+s3", f"s3://{bucket}", bucket, source, Quilt3(home / "quilt3-s3", moto), {})
    lab.top_hash = lab.publish()
    return lab


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.nightly)])
def lab(request: pytest.FixtureRequest) -> Lab:
    return request.getfixturevalue(f"{request.param}_lab")
