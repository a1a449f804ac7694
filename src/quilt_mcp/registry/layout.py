"""Where a registry keeps what: quilt3's layout V1, and our objects and locks beside it.

.quilt/named_packages/<ns>/<pkg>/<unix seconds>   64 hex digits: a revision
.quilt/named_packages/<ns>/<pkg>/latest           64 hex digits: the latest revision
.quilt/packages/<top hash>                        manifest
.quilt/workflows/config.yml                       workflow configuration
.quilt/objects/<2 hex>/<hex>                      bytes of files, named by their sha2-256-chunked digest (local registries)
"""

from __future__ import annotations

import base64
import re

from quilt_mcp.domain.checksums import SHA256_CHUNKED
from quilt_mcp.domain.entry import Hash

QUILT = ".quilt/"
POINTERS = ".quilt/named_packages/"
MANIFESTS = ".quilt/packages/"
WORKFLOW_CONFIG = ".quilt/workflows/config.yml"
OBJECTS = ".quilt/objects/"
LATEST = "latest"

_TOP_HASH = re.compile(r"[0-9a-f]{64}")
TIMESTAMP = re.compile(r"[0-9]{10,11}")


def is_registrys_own(path: str) -> bool:
    """Whether a '/'-separated path leads through a folder .quilt, in whatever case: on some file systems it is the same."""
    return ".quilt" in path.casefold().split("/")


def pointer_key(name: str, tag: str) -> str:
    """``tag`` is 'latest' or a timestamp."""
    return f"{POINTERS}{name}/{tag}"


def manifest_key(top_hash: str) -> str:
    return f"{MANIFESTS}{top_hash}"


def object_key(content: Hash) -> str:
    """Where bytes with this sha2-256-chunked hash lie."""
    digest = base64.b64decode(content.value).hex()
    return f"{OBJECTS}{digest[:2]}/{digest}"


def is_named_by(content: Hash | None, key: str) -> bool:
    """Whether ``key`` is where bytes with this hash lie, so that nothing else comes to lie there."""
    if content is None or content.type != SHA256_CHUNKED or not key.startswith(OBJECTS):
        return False
    try:
        return key == object_key(content)
    except ValueError:  # a manifest may record what is no digest
        return False


def is_top_hash(text: str) -> bool:
    return _TOP_HASH.fullmatch(text) is not None
