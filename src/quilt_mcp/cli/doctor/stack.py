"""What ``doctor`` asks a Quilt stack: what it is, who is signed in, whether it gives AWS keys and answers a search."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from quilt_mcp.auth.registry_http import NoKeys
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.cli.doctor.check import Check, failed
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.domain.printable import counted
from quilt_mcp.domain.search.request import SearchRequest
from quilt_mcp.errors import NotSupported, QuiltError
from quilt_mcp.ops import SupportsSearch
from quilt_mcp.storage.s3.clients import KeySource


@dataclass(frozen=True, slots=True)
class StackChecks:
    """``answers``: the stack can be asked more. ``is_served``: packages are in reach, by S3 or through the stack. What either
    would say again is not asked."""

    checks: tuple[Check, ...]
    answers: bool = False
    is_served: bool = False


async def examine_stack(stack: Stack, keys: KeySource) -> StackChecks:
    checks = [await asyncio.to_thread(_catalog, stack)]
    if checks[0].ok is False:
        return StackChecks(tuple(checks))
    try:
        who = await asyncio.to_thread(stack.signed_in)
    except QuiltError as error:
        return StackChecks((*checks, failed("user", error)))
    checks.append(Check("user", True, _told(who)))
    try:
        await asyncio.to_thread(keys)
    except NoKeys as error:
        said = "none are given to this user: packages are read and written through the stack"
        checks.append(Check("aws keys", None, said, error.next_step))
        return StackChecks(tuple(checks), answers=True, is_served=True)
    except QuiltError as error:
        return StackChecks((*checks, failed("aws keys", error)), answers=True)
    checks.append(Check("aws keys", True, f"given{f' to the role {who.role}' if who.role else ''}"))
    return StackChecks(tuple(checks), answers=True, is_served=True)


async def examine_search(search: SupportsSearch) -> Check:
    try:
        page = await search.search(SearchRequest(""), limit=1)
    except NotSupported as error:
        return Check("search", None, f"switched off: {error.message}", error.next_step)
    except QuiltError as error:
        return failed("search", error)
    found = "answers" if page.total is None else f"finds {counted(page.total, 'package')}"
    is_older = any(one.startswith("older_search") for one in page.warnings)
    return Check("search", True, f"{found} by its older search, without facets" if is_older else found)


def _catalog(stack: Stack) -> Check:
    try:
        config = stack.config()
    except QuiltError as error:
        # A session without a catalog still knows its registry.
        return failed("stack", error, ok=None if stack.catalog_url is None else False)
    off = ", with downloads switched off" if config.no_download else ""
    return Check("stack", True, f"{config.catalog_url}, release {config.version or 'not told'}{off}")


def _told(who: SignedIn) -> str:
    others = [role for role in who.roles if role != who.role]
    parts = (
        f"{who.name} ({who.email})" if who.email else who.name,
        f"role {who.role or 'none'}",
        f"may take {', '.join(others)} (quilt-mcp role)" if others else "",
        "an administrator" if who.is_admin else "",
    )
    return ", ".join(part for part in parts if part)
