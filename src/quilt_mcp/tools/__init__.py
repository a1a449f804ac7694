"""The tools. One literal tuple registers them all, in the order they are listed."""

from __future__ import annotations

from collections.abc import Collection

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.admin.buckets import ADMIN_BUCKETS
from quilt_mcp.tools.admin.keys import ADMIN_KEYS
from quilt_mcp.tools.admin.roles import ADMIN_POLICIES, ADMIN_ROLES
from quilt_mcp.tools.admin.settings import ADMIN_PACKAGER, ADMIN_SSO
from quilt_mcp.tools.admin.tabulator import ADMIN_TABULATOR
from quilt_mcp.tools.admin.users import ADMIN_USERS
from quilt_mcp.tools.changes import (
    PACKAGE_COPY,
    PACKAGE_CREATE,
    PACKAGE_DELETE,
    PACKAGE_PATCH,
)
from quilt_mcp.tools.installing import PACKAGE_INSTALL
from quilt_mcp.tools.objects import OBJECT_LINK, OBJECT_LIST, OBJECT_PUT, OBJECT_RESTORE
from quilt_mcp.tools.packages import PACKAGE_BROWSE, PACKAGE_DIFF, PACKAGE_LOG, PACKAGE_VERIFY, PACKAGES_LIST
from quilt_mcp.tools.querying import SQL_QUERY, SQL_TABLES
from quilt_mcp.tools.reading import OBJECT_READ
from quilt_mcp.tools.searching import SEARCH
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.status import REGISTRY_LIST, ROLE_SWITCH, STATUS, WORKFLOW_LIST

TOOLS: tuple[ToolSpec, ...] = (
    STATUS,
    REGISTRY_LIST,
    PACKAGES_LIST,
    PACKAGE_BROWSE,
    PACKAGE_LOG,
    PACKAGE_DIFF,
    PACKAGE_VERIFY,
    OBJECT_LIST,
    OBJECT_READ,
    OBJECT_LINK,
    WORKFLOW_LIST,
    SEARCH,
    SQL_QUERY,
    SQL_TABLES,
    PACKAGE_CREATE,
    PACKAGE_PATCH,
    PACKAGE_COPY,
    PACKAGE_DELETE,
    PACKAGE_INSTALL,
    OBJECT_PUT,
    OBJECT_RESTORE,
    ROLE_SWITCH,
    ADMIN_TABULATOR,
    ADMIN_KEYS,
    ADMIN_USERS,
    ADMIN_ROLES,
    ADMIN_POLICIES,
    ADMIN_BUCKETS,
    ADMIN_SSO,
    ADMIN_PACKAGER,
)

FORMER_NAMES = {"bucket_list": "registry_list"}
"""Names that tools had, which are understood and not listed."""


def available(
    *, writes: bool, abilities: Collection[str] = (), is_shared: bool = False
) -> tuple[ToolSpec, ...]:
    """The tools that are listed; ``is_shared``: to many users."""
    return tuple(
        one
        for one in TOOLS
        if (writes or not one.writes)
        and set(one.needs) <= set(abilities)
        and not (is_shared and one.is_local)
    )


def find(name: str) -> ToolSpec:
    """Raises InvalidArgument with the names that come close."""
    for one in TOOLS:
        if one.name == FORMER_NAMES.get(name, name):
            return one
    near = suggest(name[:100], [one.name for one in TOOLS])
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise InvalidArgument(
        f"There is no tool named {name[:100]!r}.",
        next_step=f"{meant}The tools are: {', '.join(one.name for one in TOOLS)}.",
    )
