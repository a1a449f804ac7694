"""Physical keys, package names and logical keys: the same answers as quilt3's."""

from __future__ import annotations

import os

import pytest
import quilt3
from hypothesis import assume, example, given
from hypothesis import strategies as st
from quilt3.util import PhysicalKey as Quilt3Key
from quilt3.util import QuiltException, validate_key
from quilt3.util import validate_package_name as quilt3_validate_package_name

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.domain.names import validate_logical_key, validate_package_name
from quilt_mcp.errors import InvalidName, InvalidUri

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_KEY_TEXT = _TEXT.filter(lambda text: "\0" not in text)
_URL_PIECES = st.sampled_from(
    [
        "s3://",
        "file://",
        "S3://",
        "http://",
        "s3:",
        "/",
        "//",
        "b",
        "bucket",
        "localhost",
        "..",
        ".",
        "%20",
        "%2F",
        "%",
        "%ff",
        "#",
        "#frag",
        "+",
        ";a=1",
        "@",
        ":80",
        "[",
        "]",
        "é",
        "?versionId=v",
        "?versionId=",
        "?x=1",
        "&y=2",
        "?",
    ]
) | st.sampled_from([" ", "\n", "a b"])


@given(_KEY_TEXT, st.none() | _KEY_TEXT.filter(bool))
@example("a b/+é?#%.txt", "v/1+2==")
@example("/lead", None)
@example("", "null")
def test_s3_keys_are_spelled_as_quilt3_spells_them_and_read_back(path: str, version: str | None) -> None:
    theirs = str(Quilt3Key("bucket", path, version))
    ours = PhysicalKey("bucket", path, version)
    assert str(ours) == theirs
    parsed = Quilt3Key.from_url(theirs)
    assert PhysicalKey.parse(theirs) == PhysicalKey(parsed.bucket, parsed.path, parsed.version_id)


@given(st.lists(_KEY_TEXT.filter(lambda part: part not in ("", ".", "..") and "/" not in part), min_size=1))
def test_local_paths_are_spelled_as_quilt3_spells_them_and_read_back(parts: list[str]) -> None:
    path = "/nowhere/" + "/".join(parts)
    theirs = str(Quilt3Key(None, path, None))
    assert str(PhysicalKey(None, path)) == theirs
    assert (
        PhysicalKey.parse(theirs)
        == PhysicalKey(None, Quilt3Key.from_url(theirs).path)
        == PhysicalKey(None, path)
    )


@given(st.lists(_URL_PIECES, max_size=8).map("".join))
@example("file:///a/./b//c/")
@example("file://localhost/a")
@example("s3://b/a?versionId=x&versionId=y")
@example("s3://b/a\tb")
def test_urls_are_read_or_refused_as_quilt3_does(url: str) -> None:
    """Known differences, on purpose: '..' in local paths and NUL are refused; quilt3 asserts where we say why."""
    try:
        parsed = Quilt3Key.from_url(url)
    except (ValueError, AssertionError):
        with pytest.raises(InvalidUri):
            PhysicalKey.parse(url)
        return
    assume("\0" not in parsed.path)
    try:
        ours = PhysicalKey.parse(url)
    except InvalidUri as error:
        assert "'..'" in error.message
        return
    expected = parsed.path if parsed.bucket else os.path.normpath(parsed.path).replace("//", "/")
    if parsed.bucket is None and parsed.path.endswith("/") and expected != "/":
        expected += "/"
    assert ours == PhysicalKey(parsed.bucket, expected, parsed.version_id)


@given(st.text(max_size=12) | st.from_regex(r"[\w-]{1,3}/[\w-]{1,3}\n?", fullmatch=True))
@example("a/b\n")
@example("é/ü")
@example("a/b/c")
@example("a/")
@example("a b/c")
def test_package_names_are_accepted_as_quilt3_accepts_them(name: str) -> None:
    """Known difference, on purpose: quilt3 lets a final newline through."""
    try:
        quilt3_validate_package_name(name)
    except QuiltException:
        with pytest.raises(InvalidName):
            validate_package_name(name)
        return
    if name.endswith("\n"):
        with pytest.raises(InvalidName):
            validate_package_name(name)
    else:
        assert validate_package_name(name) == name


@given(
    st.lists(
        st.sampled_from(["a", ".", "..", "/", "\\", "\n", ".quilt", " ", "é", "#?%", "...", "~"]), max_size=8
    ).map("".join)
    | _KEY_TEXT
)
@example("")
@example("a/")
@example("/a")
@example("a//b")
@example("a/.")
@example("./a")
@example("a/../b")
@example(".../a")
def test_logical_keys_are_accepted_as_quilt3_accepts_them(key: str) -> None:
    """Known differences, on purpose: NUL and lone surrogates are refused."""
    try:
        validate_key(key)
    except QuiltException:
        with pytest.raises(InvalidName):
            validate_logical_key(key)
    else:
        assert validate_logical_key(key) == key


@pytest.mark.parametrize(
    "key", ["back\\slash", "new\nline", ".quilt/x", "a b", "#?%", "..a", "a..", "...", "-"]
)
def test_odd_logical_keys_that_quilt3_packages_hold_are_accepted(key: str) -> None:
    package = quilt3.Package()
    package.set(key, quilt3.packages.PackageEntry(Quilt3Key("b", "k", None), 0, None, {}))
    assert validate_logical_key(next(package.walk())[0]) == key
