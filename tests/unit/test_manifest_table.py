"""Manifests as Python objects, as a Parquet table and as scanned lines: one behaviour. Ours, no outside source."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from manifest_forms import as_scanned, as_table, in_memory

from quilt_mcp.domain.entry import Entry
from quilt_mcp.registry.manifests.line_file import LineFile
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.manifests.table import TableManifest


def answers(manifest: Manifest, folders: list[str], keys: list[str], offset: int) -> dict[str, str]:
    """Everything a manifest can be asked, over the whole and a small page. repr tells 1 from 1.0 and True."""
    found: dict[str, Any] = {
        "header": manifest.header,
        "totals": manifest.totals,
        "records": list(manifest.records()),
        "metas": manifest.directory_metas(),
    }
    for folder in folders:
        found[f"folder {folder}"] = manifest.folder(folder, offset, 1000 if offset == 0 else 2)
        found[f"below {folder}"] = manifest.below(folder, offset, 1000 if offset == 0 else 2)
        found[f"totals {folder}"] = manifest.folder_totals(folder)
        found[f"meta {folder}"] = manifest.directory_meta(folder)
    for key in keys:
        found[f"entry {key}"] = manifest.entry(key)
    return {name: repr(value) for name, value in found.items()}


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
                "size": draw(st.one_of(st.integers(0, 2**63 - 1), st.sampled_from([0, 6.0]))),
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


@given(lines(), st.integers(0, 3), st.sampled_from([None, None, True]))
def test_every_representation_answers_every_question_alike(
    made: tuple[list[bytes], list[str], list[str]], offset: int, wide: bool | None
) -> None:
    encoded, folders, keys = made
    body = b"\n".join(encoded) + b"\n"
    with tempfile.TemporaryDirectory() as folder:
        table = as_table(body, Path(folder), wide=wide)
        memory = in_memory(body)
        expected = answers(memory, folders, keys, offset)
        assert answers(table, folders, keys, offset) == expected
        written: Future[TableManifest] = Future()
        written.set_result(table)
        scanned = as_scanned(body, Path(folder), written)
        assert scanned is None or answers(scanned, folders, keys, offset) == expected
        assert {e.logical_key for e in memory.records() if isinstance(e, Entry)} == set(keys) - {"nope"}


PLAIN_KEYS = st.lists(
    st.sampled_from(["a", "b", "a-b", "a.b", "A", "é", " ", "x'y", "0"]), min_size=1, max_size=4
)


@given(st.lists(PLAIN_KEYS.map("/".join), max_size=12, unique=True), st.integers(0, 3))
def test_pages_and_sums_of_a_scanned_manifest_need_no_table(wanted: list[str], offset: int) -> None:
    folders = {key[:at] for key in wanted for at, char in enumerate(key) if char == "/"}
    keys = sorted((key for key in wanted if key not in folders), key=lambda key: key.split("/"))
    body = b'{"version": "v0"}\n' + b"".join(
        f'{{"logical_key": "{key}", "physical_keys": ["s3://b/k"], "size": {number}, "hash": '
        f'{{"type": "SHA256", "value": "{number:064x}"}}, "meta": {{"user_meta": {{"é": [{number}, "}}"]}}}}}}\n'.encode()
        for number, key in enumerate(keys)
    )
    memory = in_memory(body)
    with tempfile.TemporaryDirectory() as folder:
        scanned = as_scanned(body, Path(folder))
        assert scanned is not None
        assert (scanned.header, scanned.totals) == (memory.header, memory.totals)
        for path in ["", "nope", *folders]:
            assert scanned.below(path, offset, 2) == memory.below(path, offset, 2)
            assert scanned.folder_totals(path) == memory.folder_totals(path)
            rows = memory.folder(path, 0, 100)[0]
            if len({row.is_folder for row in rows}) < 2:
                assert scanned.folder(path, offset, 2) == memory.folder(path, offset, 2)


def test_lines_are_found_across_the_blocks_they_are_counted_by() -> None:
    lines = [str(number).encode() + b"x" * (number * 7919 % 300_000) for number in range(60)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines"
        for end in (b"", b"\n"):
            path.write_bytes(b"\n".join(lines) + end)
            for start in (59, 0, 30, 1, 58, 60, 7):
                file = LineFile(str(path))
                for at in (start, abs(59 - start), start):
                    assert file.lines(at, 3) == lines[at : at + 3]
