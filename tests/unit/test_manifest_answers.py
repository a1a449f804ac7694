"""What a manifest answers, against a plain model of it: its records in a sorted list. Ours, no outside source."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.manifests import opened, records
from quilt_mcp.domain.entry import DirectoryMeta, Entry
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import decode_header, decode_record
from quilt_mcp.domain.names import walk_key
from quilt_mcp.registry.manifests.manifest import Manifest


class Model:
    """The slow and plain way."""

    def __init__(self, body: bytes) -> None:
        header, *lines = body.split(b"\n")[:-1]
        self.header = decode_header(header)
        found = [decode_record(line, 2) for line in lines]
        self.entries = sorted(
            (record for record in found if isinstance(record, Entry)), key=lambda e: walk_key(e.logical_key)
        )
        metas = {record.logical_key: record for record in found if isinstance(record, DirectoryMeta)}
        self.metas = [metas[key] for key in sorted(metas, key=lambda key: walk_key(key[:-1]))]

    def below(self, folder: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.logical_key.startswith(folder)]

    def is_folder(self, folder: str) -> bool:
        return (
            not folder
            or bool(self.below(folder))
            or any(m.logical_key.startswith(folder) for m in self.metas)
        )

    def totals(self, folder: str) -> Totals | None:
        inside = self.below(folder)
        return Totals(len(inside), sum(e.size or 0 for e in inside)) if self.is_folder(folder) else None

    def meta(self, folder: str) -> Any:
        return next((meta.meta for meta in self.metas if meta.logical_key == folder), None)

    def children(self, folder: str) -> list[tuple[Any, ...]]:
        names: dict[str, Entry | None] = {}
        for key in [e.logical_key for e in self.below(folder)] + [m.logical_key for m in self.metas]:
            if key.startswith(folder) and key != folder:
                name, slash, _ = key[len(folder) :].partition("/")
                names[name + slash] = None if slash else next(e for e in self.entries if e.logical_key == key)
        rows = sorted(names.items(), key=lambda item: item[0].removesuffix("/"))
        return [
            (folder + name, entry, Totals(1, entry.size or 0), None)
            if entry
            else (folder + name, None, self.totals(folder + name), self.meta(folder + name))
            for name, entry in rows
        ]


def rows_of(manifest: Manifest, folder: str, after: str = "") -> list[tuple[Any, ...]]:
    return [(row.path, row.entry, row.totals, row.metadata) for row in manifest.rows(folder, after=after)]


NAMES = st.sampled_from(
    [
        "a",
        "b",
        "a-b",
        "a.b",
        "A",
        "é",
        "文",
        "\U0001f600",
        " ",
        '"',
        "\\",
        "x'y",
        "\n",
        "\x7f",
        "0",
        "true",
        "...",
    ]
)
KEYS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["nan", ",}", ", ]", "Infinity", '{"logical_key": "x"}', '"', "\\"]),
)
META = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=4), META, max_size=3)


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[bytes], list[str], list[str]]:
    """A manifest's lines (the spelling of each its own), its folders and its keys."""
    wanted = draw(st.lists(KEYS, max_size=12, unique=True))
    folders = {key[:at] for key in wanted for at, char in enumerate(key) if char == "/"}
    keys = [key for key in wanted if key not in folders]
    records: list[dict[str, Any]] = [
        {"logical_key": f"{folder}/", "meta": draw(OBJECTS)}
        for folder in sorted(folders | {"only/metadata", "z"})
        if folder not in keys and draw(st.booleans())
    ]
    for key in sorted(keys, key=lambda key: key.split("/")):
        records.append(
            {
                "logical_key": key,
                "physical_keys": [
                    draw(st.sampled_from(["s3://b/k?versionId=1", "file:///a%20b", "s3://b/é", "x"]))
                ],
                "size": draw(st.one_of(st.integers(0, 2**59), st.sampled_from([0, 6.0]))),
                "hash": {"type": draw(st.sampled_from(["SHA256", "?"])), "value": draw(st.text(max_size=4))},
                "meta": draw(st.one_of(st.just({}), OBJECTS.map(lambda meta: {"user_meta": meta}), OBJECTS)),
            }
        )
    encoded: list[bytes] = [b'{"version": "v0", "message": null}']
    if draw(st.integers(0, 3)) == 0:
        records = draw(st.permutations(records))
    for record in records:
        spelling = draw(st.integers(0, 9))
        text = json.dumps(
            record,
            ensure_ascii=spelling == 0
            or any("\ud800" <= char <= "\udfff" for char in json.dumps(record, ensure_ascii=False)),
            separators=(",", ":") if spelling == 1 else None,
        )
        encoded.append(text.encode())
    return encoded, sorted({"", "nope", *folders, "only", "only/metadata", "z"}), [*keys, "nope"]


@given(lines(), st.sampled_from([1, 60, 400, 1 << 20]))
def test_every_question_is_answered_as_a_plain_list_would(
    made: tuple[list[bytes], list[str], list[str]], block: int
) -> None:
    """repr tells 1 from 1.0 and True."""
    encoded, folders, keys = made
    body = b"\n".join(encoded) + b"\n"
    manifest, model = opened(body, block=block), Model(body)
    assert repr(manifest.header) == repr(model.header)
    assert repr(records(manifest)) == repr([*model.metas, *model.entries])
    assert manifest.totals == model.totals("")
    for path in folders:
        folder = f"{path}/" if path else ""
        rows = model.children(folder)
        assert repr(rows_of(manifest, path)) == repr(rows), path
        assert manifest.row_count(path) == len(rows)
        assert manifest.folder_totals(path) == manifest.folder_totals(folder) == model.totals(folder)
        assert repr(manifest.directory_meta(folder)) == repr(model.meta(folder) if path else None)
        inside = model.below(folder)
        if model.is_folder(folder) and path not in keys:
            assert repr(list(manifest.entries(path))) == repr(inside)
        for at in {0, len(rows) // 2, len(rows) - 1} & set(range(len(rows))):
            assert repr(rows_of(manifest, path, rows[at][0])) == repr(rows[at + 1 :])
        for at in {0, len(inside) // 2, len(inside) - 1} & set(range(len(inside))):
            assert list(manifest.entries(folder, inside[at].logical_key)) == inside[at + 1 :]
    for key in keys:
        expected = next((entry for entry in model.entries if entry.logical_key == key), None)
        assert repr(manifest.entry(key)) == repr(expected)
        assert list(manifest.entries(key)) == ([expected] if expected else model.below(f"{key}/"))


@pytest.mark.parametrize("key", ["a/", "/a", "a//b", "", "/", "a\0b", "a\ud800", "\ud800", "?", ".", "a/b/"])
def test_what_no_manifest_can_hold_is_not_found(key: str) -> None:
    lines = [
        f'{{"logical_key": "{name}", "physical_keys": ["x"], "size": 1, "hash": {{"type": "", "value": ""}}, "meta": {{}}}}\n'
        for name in ("?", "a/b", "a?")
    ]
    manifest = opened(("{}\n" + "".join(lines)).encode())
    assert manifest.entry(key) == (next(manifest.entries()) if key == "?" else None)


def test_few_lines_are_read_of_a_long_manifest() -> None:
    lines = [
        f'{{"logical_key": "{number // 1000:03}/{number:06}", "physical_keys": ["s3://b/{"k" * (number % 900)}"], "size": 1, '
        f'"hash": {{"type": "SHA256", "value": "{number:064x}"}}, "meta": {{}}}}\n'
        for number in range(20_000)
    ]
    manifest = opened(("{}\n" + "".join(lines)).encode())
    read = 0
    whole = manifest.lines.read

    def counting(offset: int, length: int) -> bytes:
        nonlocal read
        chunk = whole(offset, length)
        read += len(chunk)
        return chunk

    manifest.lines.read = counting  # type: ignore[method-assign]
    assert manifest.entry("007/007123") is not None
    assert [row.path for row in islice(manifest.rows(""), 10)] == [f"{n:03}/" for n in range(10)]
    assert manifest.folder_totals("007") == Totals(1000, 1000)
    assert next(manifest.entries("", "019/019998")).logical_key == "019/019999"
    assert read < 500_000
