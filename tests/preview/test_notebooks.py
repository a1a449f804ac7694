"""Notebooks as text: cells in order, outputs cut, pictures named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from held import Held

CELLS: list[dict[str, Any]] = [
    {"cell_type": "markdown", "source": ["# Growth\n", "of plants"]},
    {
        "cell_type": "code",
        "execution_count": 3,
        "source": "print(1)",
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["1\n"] * 3_000},
            {
                "output_type": "display_data",
                "data": {"image/png": "aGVsbG8=" * 100, "text/plain": "<Figure>"},
            },
            {"output_type": "execute_result", "data": {"text/html": "<b>x</b>"}},
            {"output_type": "error", "ename": "ValueError", "evalue": "odd"},
        ],
    },
    {"cell_type": "raw", "source": "as it is"},
    {"cell_type": "code", "source": None, "outputs": None},
]
NOTEBOOK = {"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": CELLS}


def text(content: bytes, offset: int = 0, length: int = 100_000) -> dict[str, Any]:
    return Held("n.ipynb", content).ask("notebook", offset=offset, length=length)


def test_cells_stand_in_order_and_outputs_are_cut() -> None:
    found = text(json.dumps(NOTEBOOK).encode())["text"]
    places = [
        found.index(one)
        for one in (
            "# Growth",
            "In [3]",
            "print(1)",
            "Out (stdout)",
            "<Figure>",
            "[HTML]",
            "ValueError",
            "as it is",
        )
    ]
    assert places == sorted(places)
    assert "[picture: image/png, about 600 bytes]" in found
    assert "characters left out]" in found and len(found) < 3_000


def test_it_comes_in_parts() -> None:
    whole = text(json.dumps(NOTEBOOK).encode())["text"]
    first = text(json.dumps(NOTEBOOK).encode(), 0, 100)
    assert first["next_offset"] == 100
    assert first["text"] + text(json.dumps(NOTEBOOK).encode(), 100)["text"] == whole


def test_it_is_described_by_its_cells() -> None:
    found = Held("n.ipynb", json.dumps(NOTEBOOK).encode()).inside()
    assert (found["cells"], found["language"]) == ({"markdown": 1, "code": 2, "raw": 1}, "python")


def test_older_and_empty_notebooks_are_read() -> None:
    old = {
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "input": "1+1",
                        "prompt_number": 1,
                        "outputs": [{"output_type": "pyout", "text": "2"}],
                    }
                ]
            }
        ],
    }
    assert "1+1" in text(json.dumps(old).encode())["text"]
    assert "Out:\n2" in text(json.dumps(old).encode())["text"]
    assert text(b"{}")["text"] == "[no cells]\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"null",
        b"hello",
        b"[" * 100_000,
        b'{"cells": ' + b"[" * 100_000,
        b"\0\1",
        b'{"cells": [}',
    ],
)
def test_what_is_no_notebook_is_said_to_be_none(content: bytes) -> None:
    assert Held("n.ipynb", content).fault("notebook", offset=0, length=99)[0] in ("undecodable", "not_text")
    assert Held("n.ipynb", content).fault("inside", first=5)[0] in ("undecodable", "not_text")


@pytest.mark.parametrize(
    "cells",
    [
        5,
        None,
        "x",
        {},
        [None],
        [5],
        ["x"],
        [{}],
        [{"cell_type": 5, "source": 7}],
        [{"cell_type": "code", "outputs": [{}, 5, {"data": 5}]}],
    ],
)
def test_cells_of_any_shape_are_shown_somehow(cells: Any) -> None:
    assert text(json.dumps({"cells": cells}).encode())["text"]
