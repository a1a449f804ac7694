"""What a glob means, wherever one is written."""

from __future__ import annotations

import glob as shell
import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quilt_mcp.domain.glob import Choice, Glob, has_wildcard, parse_glob_url, split_glob

NAMES = st.sampled_from(["a", "b", "ab", "a.b", ".a", ".b", "..a", "[", "é", "a\nb"])
PATHS = st.lists(NAMES, min_size=1, max_size=6).map("/".join)
NAME_PATTERNS = st.sampled_from(
    [
        "a",
        "*",
        "?",
        "**",
        "*b",
        "a*",
        ".a",
        ".*",
        "[ab]",
        "[!a]*",
        "[.]a",
        "a**b",
        "[z-a]",
        "[",
        "[]",
        "[a--b]",
        "?*?",
    ]
)
PATTERNS = st.lists(NAME_PATTERNS, min_size=1, max_size=6).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "matched", "others"),
    [
        (
            "*.csv",
            ["a.csv", "[x].csv", "é.csv"],
            [".csv", ".a.csv", "d/a.csv", "a.csv/d", "a.csv\n", "A.CSV"],
        ),
        ("**/*.csv", ["a.csv", "d/a.csv", "d/e/a.csv"], [".d/a.csv", "d/.a.csv", "d/a.csv/x"]),
        ("d/**", ["d/a", "d/e/a"], ["d", "d/.a", "d/.e/a", "e/d/a"]),
        ("**", ["a", "d/a"], [".a", "d/.a"]),
        ("d/**/e/**/*.x", ["d/e/a.x", "d/1/2/e/3/a.x", "d/e/e/a.x"], ["d/a.x", "d/e.x", "e/d/e/a.x"]),
        (".*", [".a", ".csv"], ["a", "d/.a"]),
        ("**/.a", [".a", "d/.a"], [".d/.a", "a"]),
        (".d/**", [".d/a"], ["d/a", ".d/.a"]),
        ("?", ["a", "é", "\n"], ["", "ab", ".", "/"]),
        ("[ab].x", ["a.x", "b.x"], ["c.x", "[ab].x"]),
        ("[!a]", ["b", "!"], ["a", ".", "/"]),
        ("[^a]", ["^", "a"], ["b"]),
        ("[]]", ["]"], ["[]]"]),
        ("[[]1]", ["[1]"], ["1"]),
        ("[.]a", [], [".a", "[.]a"]),
        ("[z-a]", [], ["z", "a", "-"]),
        ("[", ["["], ["a"]),
        ("a**b", ["ab", "a.b"], ["a/b"]),
        ("\\*", ["\\a"], ["*", "a"]),
        ("(a|b)+$", ["(a|b)+$"], ["a", "b"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, matched: list[str], others: list[str]) -> None:
    glob = Glob(pattern)
    assert [path for path in matched if not glob.matches(path)] == []
    assert [path for path in others if glob.matches(path)] == []


def every_way(pattern: list[str], path: list[str], hidden: bool) -> bool:
    """All places a '**' could stretch to, one after the other."""
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] != "**":
        return Glob(pattern[0], hidden=hidden).matches(path[0]) and every_way(pattern[1:], path[1:], hidden)
    crossed = itertools.takewhile(
        lambda end: end == 0 or Glob("*", hidden=hidden).matches(path[end - 1]), range(len(path) + 1)
    )
    return any(every_way(pattern[1:], path[end:], hidden) for end in list(crossed))


@example(pattern="**/.a/**/a", path="b/.a/.a/a", hidden=False)
@given(pattern=PATTERNS, path=PATHS, hidden=st.booleans())
def test_stretching_each_double_star_as_little_as_possible_finds_every_match(
    pattern: str, path: str, hidden: bool
) -> None:
    names = pattern.split("/") + ["*"] * pattern.endswith("**")
    glob = Glob(pattern, hidden=hidden)
    assert glob.matches(path) == every_way(names, path.split("/"), hidden)
    folders = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
    assert not glob.matches(path) or all(glob.may_hold(folder) for folder in folders)


@given(paths=st.lists(PATHS, max_size=5), pattern=PATTERNS)
def test_it_matches_what_pythons_glob_finds(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], pattern: str
) -> None:
    """Python's own enters hidden folders on '**' never, as ours; it knows 'a**b' as ours does."""
    root = tmp_path_factory.mktemp("glob")
    for path in paths:
        try:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"")
        except OSError:
            continue
    files = {str(found.relative_to(root)) for found in root.rglob("*") if found.is_file()}
    theirs = {
        found for found in shell.glob(pattern, root_dir=root, recursive=True) if (root / found).is_file()
    }
    assert {path for path in files if Glob(pattern).matches(path)} == theirs


@pytest.mark.parametrize(
    ("pattern", "folders", "others"),
    [
        ("*.csv", [], ["a", ".a"]),
        ("d/*/x", ["d", "d/a"], ["e", "d/.a", "d/a/x"]),
        ("d/**/x", ["d", "d/a", "d/a/b"], ["e", "d/.a", "d/a/.b"]),
        ("**/.git/*", ["a", ".git", "a/.git"], []),
    ],
)
def test_a_folder_that_can_hold_no_match_is_not_entered(
    pattern: str, folders: list[str], others: list[str]
) -> None:
    assert [folder for folder in folders if not Glob(pattern).may_hold(folder)] == []
    assert [folder for folder in others if Glob(pattern).may_hold(folder)] == []


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 40 + "*b", "a" * 250),
        ("**/a/" * 40 + "b", "a/" * 250 + "c"),
        ("**/*a*a*a/" * 30 + "b", "aaaaaaaa/" * 200 + "c"),
        ("[!b]" * 100 + "*" * 100 + "b", "a" * 250),
    ],
)
def test_a_hostile_pattern_comes_to_an_end(pattern: str, path: str) -> None:
    """Ways to stretch its stars: more than 10 ** 40. In steps: thousands."""
    begin = time.thread_time()
    assert not Glob(pattern).matches(path)
    assert not Choice((pattern,), ()).takes(path)
    assert time.thread_time() - begin < 5


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        ((), (), [".env", "a.csv", "d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        (("*.csv",), (), ["a.csv", "d/a.csv", "d/e/b.csv"]),
        ((), ("*.env",), ["a.csv", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        (("d/*",), (), ["d/.env", "d/a.csv"]),
        (("d/**",), (), ["d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        (("d/**",), ("a.*", "**/e/*.txt"), ["d/.env", "d/e/b.csv"]),
        (("**/*.csv",), ("d/**",), ["a.csv"]),
        (("d",), (), ["d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        (("d/",), (), ["d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        (("e",), (), ["d/e/b.csv", "d/e/c.txt"]),
        (("e/",), (), ["d/e/b.csv", "d/e/c.txt"]),
        ((), ("e",), [".env", "a.csv", "d/.env", "d/a.csv"]),
        ((), ("[e]*",), [".env", "a.csv", "d/.env", "d/a.csv"]),
        ((), (".env/", "a.csv/"), [".env", "a.csv", "d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        ((), ("d/e",), [".env", "a.csv", "d/.env", "d/a.csv"]),
        ((), ("d/e/",), [".env", "a.csv", "d/.env", "d/a.csv"]),
        ((), ("*/e/",), [".env", "a.csv", "d/.env", "d/a.csv"]),
        ((), ("**/e",), [".env", "a.csv", "d/.env", "d/a.csv"]),
        ((), ("./d/**",), [".env", "a.csv"]),
        ((), ("./d/e/b.csv", "/d/a.csv"), [".env", "a.csv", "d/.env", "d/e/c.txt"]),
        (("./*.csv",), (), ["a.csv"]),
        (("/*.csv", "/e/"), (), ["a.csv"]),
        ((), ("", "/", "./", "."), [".env", "a.csv", "d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]),
        ((), ("*",), []),
        ((), ("**",), []),
    ],
)
def test_include_and_exclude_name_files_and_folders_as_gitignore_does(
    include: tuple[str, ...], exclude: tuple[str, ...], taken: list[str]
) -> None:
    choice = Choice(include, exclude)
    paths = [".env", "a.csv", "d/.env", "d/a.csv", "d/e/b.csv", "d/e/c.txt"]
    assert [path for path in paths if choice.takes(path)] == taken


def test_patterns_that_match_nothing_are_told_and_those_that_others_forestall_are_not() -> None:
    choice = Choice(("*.csv", "a.*", "*.tsv"), ("node_modules", "d/", "x"))
    assert [path for path in ("a.csv", "d/b.txt", "x/b.txt") if choice.takes(path)] == ["a.csv"]
    assert choice.unmatched == ["include '*.tsv'", "exclude 'node_modules'"]


@pytest.mark.parametrize(
    ("pattern", "folder", "below"),
    [
        ("*.csv", "", "*.csv"),
        ("d/*.csv", "d/", "*.csv"),
        ("/d e/f[1]/*/x", "/d e/", "f[1]/*/x"),
        ("d/ef?", "d/", "ef?"),
        ("d/**/x/y", "d/", "**/x/y"),
    ],
)
def test_a_pattern_is_looked_for_in_the_folder_before_its_first_wildcard(
    pattern: str, folder: str, below: str
) -> None:
    assert split_glob(pattern) == (folder, below)
    assert has_wildcard(pattern)
    assert not has_wildcard(folder)


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("s3://b/d/*.csv", "d/*.csv"),
        ("s3://b/sp%20ace/*.csv", "sp ace/*.csv"),
        ("s3://b/year=202?/month=1/#1/?", "year=202?/month=1/#1/?"),
        ("s3://b/a%2Ab%3fc%5B1]/*", "a[*]b[?]c[[]1]/*"),
        ("file:///d/%C3%A9?/%2a*", "/d/é?/[*]*"),
    ],
)
def test_what_is_percent_encoded_in_a_url_is_no_wildcard(url: str, pattern: str) -> None:
    assert parse_glob_url(url).path == pattern
