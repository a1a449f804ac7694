"""Every key that a package may have is spelled in both forms, and each form reads back as it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.names import validate_logical_key
from quilt_mcp.errors import InvalidName
from quilt_mcp.python_files.spelling import FILE, S3, plain, read

HASH = "0123456789abcdef" * 4
REVISIONS = st.sampled_from(
    [(None, None), (HASH, None), (HASH[:7], None), (None, "latest"), (None, "1700000000")]
)
PARTS = st.text(
    st.one_of(st.sampled_from("#&=%?*[]@: +/\\é"), st.characters(exclude_categories=["Cs"])), min_size=1
)
KEYS = st.one_of(
    PARTS,
    st.sampled_from(
        ["a#package=x/y", "&path=b", "x#package=ns/n&path=c", "a/@latest/b", "p/q@" + HASH + "/r"]
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a [1]") / "reg #%"
    (folder / ".quilt" / "named_packages").mkdir(parents=True)
    return folder


@given(KEYS, REVISIONS)
def test_a_key_in_a_bucket(key: str, revision: tuple[str | None, str | None]) -> None:
    round_trip("s3://some-bucket", S3, key, *revision)


@given(KEYS, REVISIONS)
def test_a_key_in_a_folder(folder: Path, key: str, revision: tuple[str | None, str | None]) -> None:
    round_trip(folder.as_uri(), FILE, key, *revision)


def round_trip(registry: str, protocol: str, key: str, top_hash: str | None, tag: str | None) -> None:
    try:
        validate_logical_key(key)
    except InvalidName:
        assume(False)
    assume(key.strip("/") == key)
    uri = PackageUri(registry, "ns/name", top_hash, tag, key)
    text = plain(str(uri), protocol)
    spelled = read(text, protocol)
    assert spelled.package is not None
    assert PackageUri.parse(str(spelled.package)) == PackageUri.parse(str(uri))
    assert spelled.key == key and spelled.spell(key) == text
    assert plain(text, protocol) == plain(f"{protocol}://{text}", protocol) == text


def test_of_two_registries_the_inner_one_is_meant_unless_a_revision_stands_before_it(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "ns" / "name"
    for folder in (outer, inner):
        (folder / ".quilt" / "packages").mkdir(parents=True)
    assert read(f"{inner}/x/y/z.csv", FILE).registry == inner.as_uri()
    assert read(f"{outer}/ns/name@{HASH}/x/y/z.csv", FILE).registry == outer.as_uri()
    assert (
        read(plain(f"quilt+{inner.as_uri()}#package=x/y&path=z.csv", FILE), FILE).registry == inner.as_uri()
    )
