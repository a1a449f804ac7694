"""Addresses: of packages and what is in them, of objects, of registries. One grammar for every tool (decision 025):

    ns/name[@HASH|@latest|:TAG][/PATH]                                         in the registry that is asked for
    quilt+s3://BUCKET#package=ns/name[@HASH|:TAG][&path=PATH][&catalog=HOST]   quilt+file:///FOLDER#package=...
    https://CATALOG/b/BUCKET/packages/ns/name/tree/HASH/PATH                   a page of a catalog; never fetched
    s3://BUCKET/KEY[?versionId=V]   file:///ABSOLUTE/PATH                      https://CATALOG/b/BUCKET/tree/KEY
    /absolute  ~/below/home  ./below/the/first/root                            paths of this machine

The percent rules of URIs are quilt's: the fragment is a query string of percent-encoded UTF-8. As in Quilt's catalog, '+' in a
value means a space and a '%' that no two hex digits follow means itself; what is written here escapes both, and leaves '/'
readable. In ``ns/name/PATH`` nothing is encoded.
"""

from quilt_mcp.domain.address.catalog_link import CatalogLink, is_link
from quilt_mcp.domain.address.package import (
    PackageUri,
    browse_call,
    names_hash,
    names_package,
    names_packages,
    names_revision,
    parse_package,
)
from quilt_mcp.domain.address.path import below_root, is_path, parse_folder
from quilt_mcp.domain.address.physical_key import PhysicalKey, parse_object
from quilt_mcp.domain.address.registry import is_bucket, parse_registry
from quilt_mcp.domain.address.url import has_scheme, lower_scheme

__all__ = [
    "CatalogLink",
    "PackageUri",
    "PhysicalKey",
    "below_root",
    "browse_call",
    "has_scheme",
    "is_bucket",
    "is_link",
    "is_path",
    "lower_scheme",
    "names_hash",
    "names_package",
    "names_packages",
    "names_revision",
    "parse_folder",
    "parse_object",
    "parse_package",
    "parse_registry",
]
