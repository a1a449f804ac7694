"""The page: the one HTML document of the view, which needs nothing beside itself."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache

_STYLE = "body{font:16px/1.5 system-ui;margin:1rem}"


@cache
def page() -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Quilt</title><style>{_STYLE}</style>'
        "<main><h1>Quilt</h1></main></html>"
    )


@cache
def policy() -> str:
    digest = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
