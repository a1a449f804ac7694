"""Common: what the backends of a server's users have in common, none of it anybody's."""

from __future__ import annotations

from dataclasses import dataclass, field

from quilt_mcp.catalog.site import Site
from quilt_mcp.registry.manifests.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Common:
    """``site``: the stack of all of them."""

    site: Site
    shelf: Shelf = field(default_factory=Shelf)
