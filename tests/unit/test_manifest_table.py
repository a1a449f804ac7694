"""Manifests as Python objects and as a Parquet table: two representations, one behaviour. Ours, no outside source."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from manifest_forms import as_table, in_memory

from quilt_mcp.domain.entry import Entry
from quilt_mcp.registry.manifest import Manifest


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
def test_both_representations_answer_every_question_alike(
    made: tuple[list[bytes], list[str], list[str]], offset: int, wide: bool | None
) -> None:
    encoded, folders, keys = made
    body = b"\n".join(encoded) + b"\n"
    with tempfile.TemporaryDirectory() as folder:
        table = as_table(body, Path(folder), wide=wide)
        memory = in_memory(body)
        assert answers(table, folders, keys, offset) == answers(memory, folders, keys, offset)
        assert {e.logical_key for e in memory.records() if isinstance(e, Entry)} == set(keys) - {"nope"}
