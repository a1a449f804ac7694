"""The view's one HTML file, put together of the modules beside it.

The modules are ES modules that name what they import, so that a reader and a test may take each by itself. In the page each is a
function that is called once and gives what it exports, in the order of ``MODULES``: after those that it imports. So there is no
build, and what an installation serves is what stands in its folder.
"""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from functools import cache
from importlib import resources
from typing import Final

MODULES: Final = (
    "text",
    "elements/dom",
    "place",
    "hosts/page_host",
    "hosts/chat_host",
    "calls",
    "elements/window",
    "elements/json_tree",
    "elements/code",
    "elements/markdown",
    "elements/picture",
    "elements/table",
    "elements/notebook",
    "taking/checksum",
    "taking/snippets",
    "taking/actions",
    "faces/content",
    "faces/summary",
    "elements/tree",
    "faces/packages",
    "faces/browse",
    "faces/file",
    "faces/history",
    "comparing/text_diff",
    "comparing/table_diff",
    "faces/diff",
    "main",
)
MOST_BYTES: Final = 150_000
_IMPORT: Final = re.compile(r'^import (\{[^}]*\}) from "([a-z_./]+)\.js";$', re.MULTILINE)
_INDENT: Final = re.compile(r"^ +", re.MULTILINE)
"""It means nothing there: no text of the modules goes over lines."""
_PLAIN: Final = r"\1"
_EXPORT: Final = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


@cache
def page() -> str:
    """The whole document: styles and script inline, nothing that it fetches by itself."""
    return _part("shell.html").replace("/*STYLE*/", style()).replace("/*SCRIPT*/", script())


@cache
def policy() -> str:
    """The Content-Security-Policy under which a server sends ``page()``: that script and that style, and calls to the server
    that sent it. Pictures are drawn, so there is no source of images."""
    return (
        f"default-src 'none'; script-src '{_hash(script())}'; style-src '{_hash(style())}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def style() -> str:
    return _INDENT.sub("", _part("style.css").strip())


@cache
def script() -> str:
    return _INDENT.sub("", "\n".join(_called(name) for name in MODULES))


def _called(name: str) -> str:
    text = _IMPORT.sub(
        lambda found: f"const {found[1]} = {_variable(_meant(name, found[2]))};", module(name).strip()
    )
    exported = ", ".join(found[2] for found in _EXPORT.finditer(text))
    return (
        f"const {_variable(name)} = (() => {{\n{_EXPORT.sub(_PLAIN, text)}\nreturn {{ {exported} }};\n}})();"
    )


def _variable(name: str) -> str:
    return f"from_{name.replace('/', '_')}"


def _meant(name: str, imported: str) -> str:
    """The module that ``name`` calls ``imported``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), imported))


def module(name: str) -> str:
    """As it stands in its file."""
    return _part(f"{name}.js")


def imports(name: str) -> list[str]:
    """The modules that it names."""
    return [_meant(name, found[2]) for found in _IMPORT.finditer(module(name))]


def _part(name: str) -> str:
    return resources.files("quilt_mcp.view").joinpath("parts", *name.split("/")).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
