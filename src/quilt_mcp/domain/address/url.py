"""What all addresses share: schemes, percent-encoding, local paths in URLs, and how a text is shown in a refusal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final, NoReturn
from urllib.parse import SplitResult, quote, unquote, urlsplit

from quilt_mcp.domain.names import encodable

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_KNOWN: Final = re.compile(r"(?:quilt\+s3|quilt\+file|s3|file|https?):", re.IGNORECASE)
_UNFOLDED: Final = re.compile(r"//|/\.?(?:/|\Z)|\A(?!/)")
Refusal = Callable[[str, str], NoReturn]


def has_scheme(text: str) -> bool:
    """Whether it begins as a URL does, whatever the scheme."""
    return _SCHEME.match(text) is not None or _KNOWN.match(text) is not None


def lower_scheme(text: str) -> str:
    """A scheme that is known in lower case (``S3://`` means ``s3://``); the rest as it is."""
    found = _KNOWN.match(text)
    return text if found is None else found[0].lower() + text[found.end() :]


def split_url(text: str, url: str, refuse: Refusal) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        refuse(text, f"it is not a URL ({error})")


def local_path(text: str, parts: SplitResult, refuse: Refusal) -> str:
    if parts.netloc not in ("", "localhost"):
        host = parts.netloc[:100]
        refuse(text, f"it names the host {host!r}; local URLs have three slashes, file:///folder")
    if not parts.path.startswith("/"):
        refuse(text, "its path is not absolute; local URLs have three slashes, file:///folder")
    return folded(text, unquote(parts.path), refuse)


def folded(text: str, path: str, refuse: Refusal) -> str:
    """An absolute path without empty and '.' components; a trailing '/' stays."""
    if "\0" in path:
        refuse(text, "it holds a NUL character")
    if not encodable(path, "surrogateescape"):
        refuse(text, "it holds half of a surrogate pair")
    components = path.split("/")
    if ".." in components:
        refuse(text, "its path has a '..' part")
    plain = "/" + "/".join(part for part in components if part not in ("", "."))
    return plain + "/" if path.endswith("/") and plain != "/" else plain


def file_url(path: str) -> str:
    if _UNFOLDED.search(path):
        path = str(PurePosixPath(path))
    return "file://" + quote(os.fsencode(path))


def shown(text: str) -> str:
    """A text as a refusal may quote it."""
    cut = text if len(text) <= 300 else text[:300] + "..."
    return cut.encode("utf-8", "backslashreplace").decode()
