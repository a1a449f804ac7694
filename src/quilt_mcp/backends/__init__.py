"""Backends: from an identity to the QuiltOps that serves it. The only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from weakref import ref

from quilt_mcp.auth.identity import Identity, QuiltAccess, S3Access, TokenAccess
from quilt_mcp.auth.registry_http import NoKeys
from quilt_mcp.config import Settings
from quilt_mcp.errors import Misconfigured, NotSupported, QuiltError
from quilt_mcp.option import BackendName

if TYPE_CHECKING:
    from quilt_mcp.backends.common import Common
    from quilt_mcp.backends.direct import DirectOps
    from quilt_mcp.backends.options import Options
    from quilt_mcp.catalog.keys import StackKeys
    from quilt_mcp.catalog.stack import Stack
    from quilt_mcp.storage.s3.clients import AwsKeys, KeySource

WITH_ABILITIES: Final[frozenset[BackendName]] = frozenset({"iam", "quilt3", "platform"})
"""The backends that may have abilities which others lack; a listing need not open any other."""


def open(
    identity: Identity, settings: Settings, common: Common | None = None, *, stat_seconds: float = 0.0
) -> DirectOps:
    """Opens the backend that the decision chose. Imports it first now: what is not used costs nothing at start. ``common``: of a
    server's users, who all are of one stack. ``stat_seconds``: see ``Options``.

    Asks a stack where the identity is one of its users and no registry is named. Raises as ``Stack`` does.
    """
    from quilt_mcp.backends.options import Options

    owner = f"{identity.kind}\n{identity.principal}\n{identity.scope}"
    options = Options.of(settings, common.shelf if common else None)
    options = replace(options, owner=owner, stat_seconds=stat_seconds)
    match identity.kind:
        case "local":
            from quilt_mcp.backends.local import LocalOps

            return LocalOps(_named(identity), options)
        case "iam":
            from quilt_mcp.backends.iam import IamOps

            _require_no_stack(options)
            return IamOps(identity.credentials, _named(identity), options)
        case "quilt3":
            return _of_session(identity, identity.credentials, options)
        case "platform":
            stack = _stack_of_token(identity.credentials, common)
            return _of_token(identity, identity.credentials, stack, options)


def stack_of(identity: Identity) -> tuple[Stack, KeySource] | None:
    """The stack of an identity that is a stack's user, and what asks it for AWS keys. Nothing is asked yet."""
    match identity.credentials:
        case QuiltAccess() as access:
            assert access.s3.keys is not None, "a session has keys"
            return _stack_of_session(access), access.s3.keys
        case TokenAccess() as access:
            stack = _stack_of_token(access, None)
            return stack, _keys_of(stack).keys
        case _:
            return None


def _stack_of_session(access: QuiltAccess) -> Stack:
    from quilt_mcp.catalog.site import Site
    from quilt_mcp.catalog.stack import Stack

    return Stack(access.bearer, Site(access.catalog_url, access.registry_url))


def _stack_of_token(access: TokenAccess, common: Common | None) -> Stack:
    from quilt_mcp.catalog.site import Site
    from quilt_mcp.catalog.stack import Stack

    return Stack(access.bearer, common.site if common else Site(access.catalog_url))


def _keys_of(stack: Stack) -> StackKeys:
    from quilt_mcp.catalog.keys import StackKeys

    return StackKeys(stack)


def _of_session(identity: Identity, access: QuiltAccess, options: Options) -> DirectOps:
    stack = _stack_of_session(access)
    return _of_stack(stack, access.s3, _named(identity), options, "quilt3", access.renew_keys)


def _of_token(identity: Identity, access: TokenAccess, stack: Stack, options: Options) -> DirectOps:
    keys = _keys_of(stack)
    region = stack.config().region or access.s3.region
    s3 = replace(access.s3, keys=keys.keys, region=region)
    registry = identity.registry or _first_bucket(stack, options)
    return _of_stack(stack, s3, registry, options, "platform", keys.forget)


def _of_stack(
    stack: Stack,
    s3: S3Access,
    registry: str,
    options: Options,
    backend: BackendName,
    renew_keys: Callable[[], object],
) -> DirectOps:
    """Straight to S3 where the stack gives AWS keys, through the stack where it says that it gives none, or where that is asked
    for. A call stays on its way; what was found is looked at again where it changes, or was not proven."""
    assert s3.keys is not None, "a stack gives keys, or says that it does not"
    source = s3.keys
    gives, is_proven = (False, True) if options.through_stack else _gives_keys(source)
    if gives:
        from quilt_mcp.backends.stack import StackOps
        from quilt_mcp.catalog.keys import asked_before_each_use

        def keys() -> AwsKeys:
            try:
                return source()
            except NoKeys:
                if (opened := opened_by()) is not None:
                    opened.is_outdated = True  # another role has none: the next call goes through the stack
                raise

        direct = replace(s3, keys=asked_before_each_use(keys), **_way(stack, options))
        ops = StackOps(stack, direct, registry, options, backend=backend, renew_keys=renew_keys)
        opened_by = ref(ops)  # clients of S3 are kept beside it, and must not keep it
        ops.is_outdated = not is_proven
        return ops
    from quilt_mcp.backends.through.ops import ThroughOps

    return ThroughOps(
        stack,
        registry,
        options,
        backend=backend,
        renew_keys=renew_keys,
        gives_keys=None if options.through_stack else lambda: _gives_keys(source)[0],
        s3_host=urlsplit(s3.endpoint_url).hostname if s3.endpoint_url else None,
    )


def _gives_keys(source: KeySource) -> tuple[bool, bool]:
    """Whether a stack gives this user keys, and whether that is proven: what else goes wrong is no reason to go another way, and
    the call tells it."""
    try:
        source()
    except NoKeys:
        return False, True
    except QuiltError:
        return True, False
    return True, True


def _require_no_stack(options: Options) -> None:
    """Raises Misconfigured where AWS credentials are in use and a stack was meant."""
    if options.s3_proxy:
        raise _no_proxy("there is no stack here: AWS credentials are in use.")
    if options.through_stack:
        raise Misconfigured(
            "Packages are to be had through a Quilt stack, and there is none here: AWS credentials are in use.",
            next_step="Leave out --through-stack (QUILT_THROUGH_STACK), or sign in to a stack (`quilt-mcp login CATALOG`).",
        )


def _way(stack: Stack, options: Options) -> dict[str, str | None]:
    """How S3 is reached where that is not as the environment says. Asks the stack, where its proxy is wanted."""
    if not options.s3_proxy:
        return {}
    proxy = stack.config().s3_proxy
    if proxy is None:
        raise _no_proxy(f"the stack at {stack.host} names none in its config.json.")
    return {"s3_proxy": proxy, "endpoint_url": None}


def _no_proxy(why: str) -> Misconfigured:
    return Misconfigured(
        f"S3 is to be reached through the proxy of a Quilt stack, and {why}",
        next_step="Leave out --s3-proxy (QUILT_S3_PROXY), or sign in to a stack that has one (`quilt-mcp login CATALOG`).",
    )


def _first_bucket(stack: Stack, options: Options) -> str:
    buckets = [one for one in stack.buckets() if options.allowed is None or one.name in options.allowed]
    if not buckets and options.local_registry is not None:
        return (
            options.local_registry
        )  # so that status tells of the user's other roles, and role_switch leads to one
    if not buckets:
        raise NotSupported(
            f"The stack at {stack.host} shows this user no buckets, and no registry is named.",
            next_step="Name one with --registry or QUILT_DEFAULT_REGISTRY, or ask an administrator for a role with buckets.",
        )
    return f"s3://{buckets[0].name}"


def _named(identity: Identity) -> str:
    assert identity.registry is not None, f"{identity.kind} has a registry from the decision"
    return identity.registry
