"""A state that says what is not so, as another program or a hand may have left it: what is published next is right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from publishing_lab import by_pandas, comparable, local_ops, publish, told_by_quilt3, write

pytestmark = pytest.mark.anyio


def _part(state: dict[str, Any], kind: str, **more: Any) -> None:
    state["parts"][0][kind] |= more


LIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a form without end": lambda state: state.update(format=float("inf")),
    "a sequence without end": lambda state: state.update(sequence=float("inf")),
    "a sequence below zero": lambda state: state.update(sequence=-7),
    "a sequence of many digits": lambda state: state.update(sequence=10**300),
    "a sequence that is no number": lambda state: state.update(sequence=True),
    "a table that there is not": lambda state: state["whole"].update(more=state["whole"]["package_tag"]),
    "another table's file": lambda state: _part(
        state, "manifests", **{one: state["parts"][0]["entries"][one] for one in ("key", "bytes")}
    ),
    "another table's whole file": lambda state: state["whole"].update(
        package_tag=state["whole"]["package_revision"]
    ),
    "entries that are not there": lambda state: state["parts"][0].update(entries=None),
    "entries that nothing tells of": lambda state: (
        state["parts"][0].update(entries=None),
        state["tables"].update(package_entry=[]),
    ),
    "fewer rows than there are": lambda state: _part(state, "entries", rows=1),
    "the same part twice": lambda state: state["parts"].append(state["parts"][0]),
    "rows as text": lambda state: _part(state, "entries", rows="3"),
    "rows below zero": lambda state: _part(state, "manifests", rows=-3),
    "a key as a number": lambda state: _part(state, "manifests", key=3),
    "a key out of the folder": lambda state: _part(state, "manifests", key="../../../secret.parquet"),
    "an absolute key": lambda state: _part(state, "manifests", key="/etc/passwd"),
    "a hash that is none": lambda state: _part(state, "hashes", sha256=None),
    "digests as text": lambda state: state.update(digests="abc"),
    "parts as text": lambda state: state.update(parts="abc"),
    "a run that is no text": lambda state: state.update(run=["x"]),
}


@pytest.fixture(scope="module")
def lied_to(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (registry := tmp_path_factory.mktemp("lied-to") / "registry").mkdir()
    for number in range(2):
        write(registry, f"lab/p{number}", {"a.txt": str(number), "b.txt": "b"}, message=str(number))
    return registry


@pytest.mark.parametrize("lie", LIES)
async def test_a_state_that_lies_is_made_good(lied_to: Path, tmp_path: Path, lie: str) -> None:
    registry = tmp_path / "registry"
    shutil.copytree(lied_to, registry)
    ops = local_ops(registry, tmp_path / "cache")
    await publish(ops)
    place = registry / ".quilt" / "tables" / "_publication.json"
    state = json.loads(place.read_text())
    LIES[lie](state)
    place.write_text(json.dumps(state))
    await publish(ops)
    assert comparable(by_pandas(registry / ".quilt" / "tables")) == comparable(
        told_by_quilt3(registry.as_uri())
    )
    again = json.loads(place.read_text())
    named = [key for keys in again["tables"].values() for key in keys]
    assert len(named) == len(set(named)) and all(
        key.startswith(f"{table}/") for table, keys in again["tables"].items() for key in keys
    )
    assert 0 < again["sequence"] < 10**12
    assert (await publish(ops)).is_current
