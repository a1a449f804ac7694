"""Damage: what to call when the latest revision of a package cannot be read."""

from __future__ import annotations

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.errors import CorruptManifest, QuiltError, RevisionNotFound
from quilt_mcp.registry.layout import TIMESTAMP
from quilt_mcp.registry.manifests.cache import ManifestCache
from quilt_mcp.registry.pointers import Pointers
from quilt_mcp.storage.store import Store

UNREADABLE = (CorruptManifest, RevisionNotFound)
_LOOKED_AT = 16
"""Lines of the log, newest first, among which a whole revision is looked for."""


async def way_past_damage(store: Store, manifests: ManifestCache, name: str) -> str:
    """The next step for a package whose latest revision is damaged: to make the newest whole one the latest. Lists the package's
    pointers, reads some and opens their manifests, one after the other, until one is whole. Lets no QuiltError out."""
    pointers = Pointers(store)
    url = store.url
    try:
        stamps = [tag for tag in await pointers.tags(name) if TIMESTAMP.fullmatch(tag)][:_LOOKED_AT]
        found = await pointers.read_many(name, stamps)
        for top_hash in dict.fromkeys(one.top_hash for one in found if one is not None and one.top_hash):
            try:
                await manifests.open(store, top_hash)
            except UNREADABLE:
                continue
            whole = PackageUri(url, name, top_hash=top_hash)
            return (
                f"Call package_copy with package={str(whole)!r} and nothing else: the newest revision that is whole becomes the "
                "latest again. Or restore the damaged manifest from a copy."
            )
    except QuiltError as error:
        return (
            f"Call package_log of {name} for a revision that is whole (looking for one failed: {error.code})."
        )
    return (
        f"None of its {len(stamps)} newest revisions is whole. Call package_create with overwrite=true to put files in their "
        f"place, package_delete of {str(PackageUri(url, name))!r}, or restore a manifest from a copy."
    )
