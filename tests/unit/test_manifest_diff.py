"""The difference of two manifests, over every pairing of representations. The oracle is ``domain.diff.diff_entries``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from manifest_forms import as_table, in_memory

from quilt_mcp.domain.diff import diff_entries
from quilt_mcp.domain.entry import Entry
from quilt_mcp.registry.manifests.diff import diff
from quilt_mcp.registry.manifests.lines import diff_lines
from quilt_mcp.registry.manifests.manifest import Manifest

KEYS = [f"{folder}{name}" for folder in ("", "d/", "d/e/", "d-/", "é'/") for name in ("a", "b", "c.d")]
ENTRY = st.tuples(
    st.sampled_from(["h1", "h2", "h3"]),
    st.sampled_from([1, 1, 2, 6.0, 6]),
    st.sampled_from(
        [
            "{}",
            "{}",
            '{"user_meta": {"x": 1e-7}}',
            '{"user_meta": {"x": 1e-07}}',
            '{"y": "é"}',
            '{"y": "\\u00e9"}',
        ]
    ),
)
SIDE = st.dictionaries(st.sampled_from(KEYS), ENTRY, max_size=12)


def manifest_bytes(side: dict[str, Any]) -> bytes:
    lines = ['{"version": "v0"}']
    for key in sorted(side, key=lambda key: key.split("/")):
        value, size, meta = side[key]
        lines.append(
            f'{{"logical_key": {json.dumps(key, ensure_ascii=False)}, "physical_keys": ["s3://b/{value}"], "size": {size}, '
            f'"hash": {{"type": "SHA256", "value": "{value}"}}, "meta": {meta}}}'
        )
    return "".join(f"{line}\n" for line in lines).encode()


def entries(manifest: Manifest, prefix: str) -> list[Entry]:
    folder = f"{prefix.strip('/')}/" if prefix else ""
    found = [record for record in manifest.records() if isinstance(record, Entry)]
    return [entry for entry in found if entry.logical_key == prefix or entry.logical_key.startswith(folder)]


@given(SIDE, SIDE, st.sampled_from(["", "", "d", "d/", "d/a", "é'", "none"]), st.integers(0, 3))
def test_a_diff_is_the_same_however_each_side_is_held(
    before: dict[str, Any], after: dict[str, Any], prefix: str, held: int
) -> None:
    with tempfile.TemporaryDirectory() as left, tempfile.TemporaryDirectory() as right:
        old = as_table(manifest_bytes(before), Path(left)) if held & 1 else in_memory(manifest_bytes(before))
        new = as_table(manifest_bytes(after), Path(right)) if held & 2 else in_memory(manifest_bytes(after))
        expected = diff_entries(entries(old, prefix), entries(new, prefix))
        found = diff(old, new, prefix)
        assert repr((found.totals, found.page(0, 1000))) == repr(expected)
        assert found.page(1, 2) == expected[1][1:3]
        headers_and_changes = diff_lines(manifest_bytes(before), manifest_bytes(after), prefix)
        assert repr(headers_and_changes[2:]) == repr(expected)
