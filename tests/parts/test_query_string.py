"""Query strings of the tests' stack: which are refused, and what fits one. Lucene itself is the judge where it is installed."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from parts.stack.search import query_string
from parts.stack.search.matching import check, score
from parts.stack.search.query_string import QuerySyntaxError, parse

_JUDGE = Path(query_string.__file__).with_name("Judge.java")
_LUCENE = sorted(
    str(jar)
    for name in ("core", "queryparser", "analyzers-common")
    for jar in Path("/usr/share/java").glob(f"lucene-{name}-8.*.jar")
)

QUERIES = [
    "a b",
    "ext:.csv AND size:>100",
    r"key:results\/*",
    "key:results/a/b",
    "_exists_:content",
    "size:[1 TO 2}",
    '"a b"~3',
    "x:(a OR b)^2",
    "NOT a",
    "*:*",
    "a-b+c",
    "+ a",
    "/re.*/",
    "&&a",
    "a^2 ~",
]
REFUSED = [
    "key:results/*",
    "ext:.csv AND (",
    "foo:bar:baz",
    '"open',
    "a)",
    "()",
    "AND b",
    "a AND",
    "x:",
    "x: OR",
    "a^",
    "[1 TO",
    "\\",
    "-",
    "(a)~",
]
DOCUMENT: dict[str, Any] = {
    "key": "results/cell-7.csv",
    "key_text": "results/cell-7.csv",
    "ext": ".csv",
    "size": 120,
    "last_modified": 1_770_000_000.0,
    "content": "Saccharomyces cerevisiae grew",
}


def is_query(text: str) -> bool:
    try:
        parse(text)
    except QuerySyntaxError:
        return False
    return True


@pytest.mark.parametrize("text", QUERIES)
def test_these_are_queries(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("text", REFUSED)
def test_these_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(QuerySyntaxError) as error:
        parse(text)
    assert error.value.position is not None
    assert 0 <= error.value.position <= len(text)


@pytest.mark.parametrize("text", ["size:abc", "size:[a TO 3]", "last_modified:>soon"])
def test_a_value_of_another_kind_is_refused_whatever_there_is_to_search(text: str) -> None:
    with pytest.raises(QuerySyntaxError):
        check(parse(text))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("saccharomyces", True),
        ("saccharo*", True),
        ('"cerevisiae grew"', True),
        ('"grew cerevisiae"', False),
        ("yeast OR grew", True),
        ("yeast AND grew", False),
        ("grew AND NOT yeast", True),
        ("NOT grew", False),
        ("NOT yeast", True),
        (r"key:results\/*", True),
        ("key:results", False),
        ("results", True),
        ("ext:.csv AND size:>100", True),
        ("size:[1 TO 120}", False),
        ("size:[1 TO 120]", True),
        ("size:<=120", True),
        ("ext:/\\.cs./", True),
        ("_exists_:size", True),
        ("_exists_:mnfst_message", False),
        ("last_modified:[2026-02-01 TO 2026-02-03]", True),
        ("unknown:x", False),
        ("(yeast OR cell) AND -ext:.txt", True),
    ],
)
def test_a_document_fits_a_query(text: str, fits: bool) -> None:
    query = parse(text)
    check(query)
    assert (score(query, DOCUMENT) > 0) is fits


@pytest.mark.skipif(
    len(_LUCENE) < 3 or shutil.which("java") is None, reason="needs a JDK and Debian's liblucene8-java"
)
def test_lucene_takes_and_refuses_the_same() -> None:
    chosen = random.Random(20261126)
    signs = ("AND", "OR", "NOT", "&&", "||", "!", "-a", "+b", "(", ")", "~", "[", "*", "a?b", ":")
    words = [*QUERIES, *REFUSED, *signs]
    texts = [*QUERIES, *REFUSED]
    for _ in range(4000):
        texts.append(chosen.choice([" ", ""]).join(chosen.choices(words, k=chosen.randint(1, 4))))
    verdicts = subprocess.run(
        ["java", "-cp", ":".join(_LUCENE), str(_JUDGE)],
        input="\n".join(texts) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.split()
    judged = [(text, verdict == "query") for text, verdict in zip(texts, verdicts, strict=True)]
    assert [(text, verdict) for text, verdict in judged if is_query(text) is not verdict] == []
