"""The media type of a file by its name's ending."""

from __future__ import annotations

import mimetypes
import os
from typing import Final

_OURS: Final = {
    ".parquet": "application/vnd.apache.parquet",
    ".ipynb": "application/x-ipynb+json",
    ".md": "text/markdown",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
    ".jsonl": "application/jsonl",
    ".tsv": "text/tab-separated-values",
}
"""What the standard library does not know, or not in every version and on every machine."""


def media_type(name: str) -> str:
    ending = os.path.splitext(name)[1].lower()
    return _OURS.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
