"""Addresses: quilt+ URIs, registries and physical keys, there and back, and what is said about malformed ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.address import (
    CatalogLink,
    PackageUri,
    PhysicalKey,
    below_root,
    names_package,
    names_revision,
    parse_package,
    parse_registry,
)
from quilt_mcp.errors import InvalidName, InvalidUri, QuiltError

_HASH = "e21682f00929661879633a5128aaa27cc7bc1e2973d49d4c868a90f9fad9f34b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"quilt+s3://quilt-example#package=akarve/cord19@{_HASH}&path=CORD19.ipynb&catalog=open.quiltdata.com",
            PackageUri(
                "s3://quilt-example", "akarve/cord19", _HASH, None, "CORD19.ipynb", "open.quiltdata.com"
            ),
        ),
        ("quilt+s3://bucket#package=a/b", PackageUri("s3://bucket", "a/b")),
        ("quilt+s3://bucket/#package=a/b:latest", PackageUri("s3://bucket", "a/b", tag="latest")),
        ("quilt+s3://bucket#package=a/b:1700000000", PackageUri("s3://bucket", "a/b", tag="1700000000")),
        ("quilt+s3://bucket#package=a/b@E21682", PackageUri("s3://bucket", "a/b", "e21682")),
        ("quilt+s3://bucket#package=a%2Fb&path=x%2Fy%20z", PackageUri("s3://bucket", "a/b", path="x/y z")),
        ("quilt+s3://bucket#path=a+b&package=a/b", PackageUri("s3://bucket", "a/b", path="a b")),
        ("quilt+s3://bucket#package=a/b&path=50%_x%2B", PackageUri("s3://bucket", "a/b", path="50%_x+")),
        ("quilt+s3://bucket#package=a/b&path=data/", PackageUri("s3://bucket", "a/b", path="data/")),
        ("quilt+s3://bucket#package=a/b&path=", PackageUri("s3://bucket", "a/b")),
        ("quilt+s3://bucket#package=a/b&path=/", PackageUri("s3://bucket", "a/b")),
        ("quilt+s3://bucket#package=a/b&path=/x", PackageUri("s3://bucket", "a/b", path="x")),
        ("quilt+s3://bucket#package=a/b/", PackageUri("s3://bucket", "a/b")),
        ("quilt+s3://bucket#package=a/b@latest", PackageUri("s3://bucket", "a/b", tag="latest")),
        ("QUILT+S3://Bucket#package=a/b", PackageUri("s3://Bucket", "a/b")),
        ("quilt+s3://bucket#package=a/b&path=x=y", PackageUri("s3://bucket", "a/b", path="x=y")),
        ("quilt+s3://bucket#package=a/b&path=%23%26", PackageUri("s3://bucket", "a/b", path="#&")),
        ("quilt+s3://bucket#package=%C3%A9/b", PackageUri("s3://bucket", "é/b")),
        (
            "quilt+s3://bucket#package=a/b&catalog=localhost:3000",
            PackageUri("s3://bucket", "a/b", catalog="localhost:3000"),
        ),
        ("quilt+file:///data/my%20reg/#package=a/b", PackageUri("file:///data/my%20reg", "a/b")),
        ("quilt+file://localhost/data#package=a/b", PackageUri("file:///data", "a/b")),
    ],
)
def test_package_uris_are_read(text: str, expected: PackageUri) -> None:
    assert PackageUri.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not start with"),
        ("s3://bucket#package=a/b", "does not start with"),
        ("quilt+http://bucket#package=a/b", "does not start with"),
        ("quilt+s3://bucket", "#package="),
        ("quilt+s3://bucket#", "#package="),
        ("quilt+s3://bucket#path=x", "package="),
        ("quilt+s3://#package=a/b", "no bucket"),
        ("quilt+s3:bucket#package=a/b", "no bucket"),
        ("quilt+s3://bucket/prefix#package=a/b", "whole bucket"),
        ("quilt+s3://user@bucket#package=a/b", "not a bucket name"),
        ("quilt+s3://bucket#package=a/b@e21682:latest", "both a hash"),
        ("quilt+s3://bucket#package=a/b@", "6 to 64"),
        ("quilt+s3://bucket#package=a/b@12345", "6 to 64"),
        (f"quilt+s3://bucket#package=a/b@{_HASH}0", "6 to 64"),
        ("quilt+s3://bucket#package=a/b@nothexatall", "6 to 64"),
        ("quilt+s3://bucket#package=a/b@e21682@e21682", "6 to 64"),
        ("quilt+s3://bucket#package=a/b:", "not a tag"),
        ("quilt+s3://bucket#package=a/b:..", "not a tag"),
        ("quilt+s3://bucket#package=a/b:x/y", "not a tag"),
        ("quilt+s3://bucket#package=a/b&package=a/b", "twice"),
        ("quilt+s3://bucket#package=a/b&pth=x", "'pth'"),
        ("quilt+s3://bucket#package=a/b&path", "no value"),
        ("quilt+s3://bucket#package=a/b&path=%FF", "UTF-8"),
        ("quilt+s3://bucket#package=a/b&path=../x", r"'\.\.'"),
        ("quilt+s3://bucket#package=a/b&path=%2e%2e/x", r"'\.\.'"),
        ("quilt+s3://bucket?k=v#package=a/b", r"quilt\+s3://bucket#package=a/b would be one"),
        ("quilt+s3://bucket#package=a/b&path=x//", "path"),
        ("quilt+s3://bucket#package=a/b&path=x%00", "NUL"),
        ("quilt+s3://bucket#package=a/b&catalog=http://x", "host name"),
        ("quilt+file://host/x#package=a/b", "host"),
        ("quilt+file:x#package=a/b", "absolute"),
        ("quilt+file:///a/../b#package=a/b", r"'\.\.'"),
        ("quilt+file:///a%00#package=a/b", "NUL"),
        ("quilt+s3://[#package=a/b", "not a URL"),
    ],
)
def test_a_malformed_package_uri_is_told_what_is_wrong_and_shown_a_right_one(text: str, why: str) -> None:
    with pytest.raises(InvalidUri, match=why) as refused:
        PackageUri.parse(text)
    assert "s3://" in refused.value.next_step


def test_a_malformed_name_in_a_uri_is_an_invalid_name() -> None:
    with pytest.raises(InvalidName, match="no '/'"):
        PackageUri.parse("quilt+s3://bucket#package=noslash")


_WORD = st.from_regex(r"[\w-]{1,8}", fullmatch=True)
_PART = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1).filter(
    lambda part: part not in (".", "..")
)


@given(
    st.sampled_from(
        ["s3://bucket", "s3://my.bucket-1", "file:///", "file:///data/a%20b", "file:///%C3%A9%23"]
    ),
    st.tuples(_WORD, _WORD).map("/".join),
    st.one_of(
        st.just((None, None)),
        st.from_regex(r"[0-9a-f]{6,64}", fullmatch=True).map(lambda top_hash: (top_hash, None)),
        st.sampled_from([(None, "latest"), (None, "1700000000")]),
    ),
    st.none() | st.tuples(st.lists(_PART, min_size=1).map("/".join), st.sampled_from(["", "/"])).map("".join),
    st.sampled_from([None, "open.quiltdata.com", "localhost:3000"]),
)
def test_what_is_written_is_read_back(
    registry: str, name: str, revision, path: str | None, catalog: str | None
) -> None:
    uri = PackageUri(registry, name, *revision, path, catalog)
    assert str(uri).isascii()
    assert PackageUri.parse(str(uri)) == uri


@given(
    st.text(max_size=60)
    | st.text("quilt+s3file:/#&=@%.abc0", max_size=60).map("quilt+s3://bucket#package=a/b".__add__)
)
def test_any_text_is_read_or_refused_with_a_next_step(text: str) -> None:
    for parse in (
        PackageUri.parse,
        parse_registry,
        PhysicalKey.parse,
        lambda text: parse_package(text, "s3://bucket"),
    ):
        try:
            parse(text)
        except QuiltError as error:
            assert error.next_step
            error.message.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", PackageUri("s3://here", "a/b")),
        ("a/b@e21682f0", PackageUri("s3://here", "a/b", "e21682f0")),
        ("a/b:latest", PackageUri("s3://here", "a/b", tag="latest")),
        ("quilt+s3://there#package=a/b", PackageUri("s3://there", "a/b")),
        ("a/b@latest", PackageUri("s3://here", "a/b", tag="latest")),
        ("a/b/", PackageUri("s3://here", "a/b")),
        ("a/b@e21682/", PackageUri("s3://here", "a/b", "e21682")),
        ("a/b/data/", PackageUri("s3://here", "a/b", path="data/")),
        ("a/b//data/", PackageUri("s3://here", "a/b", path="data/")),
        ("a/b@E21682f0/d/x@y:z.csv", PackageUri("s3://here", "a/b", "e21682f0", path="d/x@y:z.csv")),
        ("a/b:latest/x%20y+z", PackageUri("s3://here", "a/b", tag="latest", path="x%20y+z")),
        ("Quilt+s3://there#package=a/b", PackageUri("s3://there", "a/b")),
        ("a/b/x ", PackageUri("s3://here", "a/b", path="x ")),
    ],
)
def test_a_package_is_named_in_a_registry_or_by_a_uri_of_its_own(text: str, expected: PackageUri) -> None:
    assert parse_package(text, "s3://here/") == expected


@given(
    st.from_regex(r"[\w-]{1,4}/[\w-]{1,4}", fullmatch=True),
    st.sampled_from([(None, None), (_HASH, None), ("e21682", None), (None, "latest"), (None, "1700000000")]),
    st.none()
    | st.lists(_PART, min_size=1).map("/".join)
    | st.lists(_PART, min_size=1).map(lambda parts: "/".join(parts) + "/"),
)
def test_a_plain_spelling_names_what_its_uri_names(
    name: str, revision: tuple[str | None, str | None], path: str | None
) -> None:
    """case_A5"""
    uri = PackageUri("s3://here", name, *revision, path)
    assert parse_package(uri.spelling, "s3://here") == uri == parse_package(str(uri), "s3://never")
    assert names_package(uri.spelling)
    assert names_revision(uri.spelling) == any(revision)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("/b/bucket/packages/a/b", PackageUri("s3://bucket", "a/b", catalog="c.example")),
        ("/b/bucket/packages/a%2Fb/", PackageUri("s3://bucket", "a/b", catalog="c.example")),
        ("/b/bucket/packages/a/b/revisions", PackageUri("s3://bucket", "a/b", catalog="c.example")),
        (
            "/b/bucket/packages/a/b/tree/latest/",
            PackageUri("s3://bucket", "a/b", tag="latest", catalog="c.example"),
        ),
        (
            f"/b/bucket/packages/a/b/tree/{_HASH}",
            PackageUri("s3://bucket", "a/b", _HASH, catalog="c.example"),
        ),
        (
            f"/b/bucket/packages/a/b/tree/{_HASH}/d%20e/f+%23.csv?mode=fold#L3",
            PackageUri("s3://bucket", "a/b", _HASH, path="d e/f+#.csv", catalog="c.example"),
        ),
        (
            "/b/bucket/packages/a/b/tree/1700000000/x/",
            PackageUri("s3://bucket", "a/b", tag="1700000000", path="x/", catalog="c.example"),
        ),
        ("/uri/quilt%2Bs3%3A%2F%2Fbucket%23package%3Da%2Fb", PackageUri("s3://bucket", "a/b")),
        ("/redir/quilt+s3://bucket#package=a/b&path=x", PackageUri("s3://bucket", "a/b", path="x")),
    ],
)
def test_a_page_of_a_catalog_names_the_package_that_it_shows_case_A6(page: str, expected: PackageUri) -> None:
    for start in ("https://c.example", "HTTPS://c.example", "http://c.example"):
        assert parse_package(start + page, "s3://here") == expected
    assert parse_registry(f"https://c.example{page}") == "s3://bucket"


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("https://c.example/", "no /b/BUCKET"),
        ("https://c.example/b/", "no /b/BUCKET"),
        ("https://c.example/search?q=x", "no /b/BUCKET"),
        ("https://c.example/b/bucket/queries", "'queries'"),
        ("https://c.example/b/bucket/packages/a/b/files", "'files'"),
        ("https://me:secret@c.example/b/bucket/packages/a/b", "not a host name"),
        ("https:///b/bucket/packages/a/b", "not a host name"),
        ("https://[c/b/bucket/packages/a/b", "not a URL"),
        ("https://c.example/b/bucket/packages/a/b/tree/latest/%FF", "UTF-8"),
        ("https://c.example/b/bucket/packages/a/b/tree/nothash", "not a top hash"),
        ("https://c.example/b/bucket/packages/a/b/tree/latest/../x", r"'\.\.'"),
        ("https://c.example/b/bucket/tree/x", "shows no package"),
        ("https://c.example/b/bucket", "shows no package"),
        ("https://c.example/b/-/packages/a/b", "not a bucket name"),
        ("https://c.example/uri/nothing", "does not start with"),
    ],
)
def test_a_page_that_shows_no_package_is_told_what_is_wrong(link: str, why: str) -> None:
    with pytest.raises(InvalidUri, match=why) as refused:
        parse_package(link, "s3://here")
    assert any(form in refused.value.next_step for form in ("ns/name", "namespace/name", "s3://bucket"))


@given(
    st.text(max_size=40),
    st.sampled_from(["https://c/", "https://c/b/x/", "https://c/b/x/packages/", "https://"]),
)
def test_any_link_is_read_or_refused(text: str, start: str) -> None:
    for parse in (CatalogLink.parse, parse_registry, lambda link: parse_package(link, "s3://here")):
        try:
            parse(start + text)
        except QuiltError as error:
            assert error.next_step
            error.message.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./data", "file:///root/data"),
        ("data/x y.csv", "file:///root/data/x%20y.csv"),
        ("data/", "file:///root/data/"),
        (".", "file:///root/"),
        ("./", "file:///root/"),
        ("/", "file:///"),
        ("/abs/x#1", "file:///abs/x%231"),
        ("~/x", "file:///home/someone/x"),
        ("a:b?c", "file:///root/a%3Ab%3Fc"),
    ],
)
def test_a_path_is_relative_to_the_first_root_case_A4(
    text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert below_root(text, Path("/root")) == expected


@pytest.mark.parametrize(("text", "root"), [("data", None), ("../x", Path("/root")), ("x\0", Path("/root"))])
def test_a_path_that_leads_nowhere_is_refused(text: str, root: Path | None) -> None:
    with pytest.raises(InvalidUri) as refused:
        below_root(text, root)
    assert "absolute" in refused.value.next_step


@pytest.mark.parametrize("text", ["s3://bucket/a/b", "https://x/y", "a/b@1", "a/b@e21682:x", "a/b/../c"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(InvalidUri):
        parse_package(text, "s3://here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("file:///a/b/", "file:///a/b"),
        ("file:///", "file:///"),
        ("file://localhost/a", "file:///a"),
        ("file:///a%20b//./c", "file:///a%20b/c"),
        ("/a b/é#?", "file:///a%20b/%C3%A9%23%3F"),
        ("/50%", "file:///50%25"),
        ("quilt+s3://bucket#package=a/b", "s3://bucket"),
        ("quilt+file:///a#package=a/b", "file:///a"),
    ],
)
def test_registries_have_one_spelling(text: str, expected: str) -> None:
    assert parse_registry(text) == expected
    assert parse_registry(expected) == expected


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse_registry("~/packages") == "file:///home/someone/packages"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bucket",
        "relative/path",
        "http://x",
        "s3://",
        "s3://b/ucket",
        "file:///a?b",
        "/a/../b",
        "/a\0b",
        "s3://a b",
    ],
)
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InvalidUri) as refused:
        parse_registry(text)
    assert "registry_list" in refused.value.next_step or "s3://" in refused.value.next_step


def test_a_local_physical_key_cannot_climb() -> None:
    with pytest.raises(InvalidUri, match=r"'\.\.'"):
        PhysicalKey.parse("file:///data/%2e%2e/etc/passwd")
    assert PhysicalKey.parse("s3://bucket/a/../b") == PhysicalKey("bucket", "a/../b")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no scheme"),
        ("/plain/path", "no scheme"),
        ("http://x/y", "'http'"),
        ("s3:///key", "no bucket"),
        ("s3://bucket/key?x=1", "versionId"),
        ("s3://bucket/key?versionId=a&partNumber=1", "versionId"),
        ("s3://bucket/k?" + "&".join(f"a{i}=1" for i in range(50)), "versionId"),
        ("s3://bucket/a%00b", "NUL"),
        ("s3://bucket/a?versionId=%00", "NUL"),
        ("s3://bucket/\ud800", "surrogate"),
        ("s3://[bucket/x", "not a URL"),
        ("file://elsewhere/x", "host"),
        ("file:x", "not absolute"),
        ("file:///a?b", "%3F"),
        ("file:///a%00", "NUL"),
        ("file:///\ud800", "surrogate"),
    ],
)
def test_a_malformed_physical_key_is_told_what_is_wrong(url: str, why: str) -> None:
    with pytest.raises(InvalidUri, match=why) as refused:
        PhysicalKey.parse(url)
    assert "s3://bucket/key" in refused.value.next_step
    refused.value.message.encode()


@given(st.text(max_size=30), st.sampled_from(["s3://bucket/", "file:///", "s3://bucket/k?versionId="]))
def test_every_physical_key_that_is_read_can_be_written(text: str, start: str) -> None:
    try:
        key = PhysicalKey.parse(start + text)
    except InvalidUri:
        return
    assert PhysicalKey.parse(str(key)).bucket == key.bucket
