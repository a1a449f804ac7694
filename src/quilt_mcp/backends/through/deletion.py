"""Deletion through a stack: it takes one revision at a time out of the log, and sees to latest itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from quilt_mcp.backends.through.told_registry import ToldRegistry
from quilt_mcp.catalog.packages import StackPackages
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import DeleteOutcome
from quilt_mcp.errors import OutcomeUnknown, QuiltError, StackFailed, StorageUnavailable
from quilt_mcp.registry.deletion import plan_deletion
from quilt_mcp.storage.workers import in_thread


async def delete_told(
    packages: StackPackages, registry: ToldRegistry, package: PackageUri, *, whole: bool, dry_run: bool
) -> DeleteOutcome:
    """As ``registry.deletion.delete``, but under no condition: a push that comes in between is not refused. A whole package goes
    revision by revision, the oldest first: cut short, what is left is a package still, and the same call goes on.

    Raises as ``plan_deletion``; PermissionDenied, StackRefused; OutcomeUnknown where the stack falls silent."""
    planned = await plan_deletion(registry, package, whole=whole)
    if dry_run:
        return planned.outcome
    bucket, name = registry.url.removeprefix("s3://"), planned.name
    in_time = sorted(planned.doomed, key=lambda one: (one is planned.latest, one.modified))
    hashes = [*dict.fromkeys(one.top_hash for one in in_time[::-1] if one.top_hash)][::-1]
    for gone, top_hash in enumerate(hashes):
        try:
            await in_thread(partial(packages.delete, bucket, name, top_hash), patience=10.0)
        except (StackFailed, StorageUnavailable) as error:
            raise OutcomeUnknown(
                f"{gone} of {len(hashes)} revisions of {name} are deleted; whether {top_hash} is, is not known: {error.message}",
                next_step=f"Call package_log of {name}: it shows what is left. The same call again goes on.",
                details={"package": name, "top_hash": top_hash, "deleted": gone},
            ) from error
        except QuiltError as error:
            error.details["deleted"] = gone
            if gone:
                error.next_step = f"{gone} of {len(hashes)} revisions are deleted already. {error.next_step}"
            raise
    registry.forget_pointers()
    try:
        found = await registry.pointers.latest(name)
    except QuiltError as error:
        warning = f"not_read_back: the revisions are deleted, reading back failed ({error.code})."
        return replace(planned.outcome, done=True, warnings=(*planned.outcome.warnings, warning))
    return replace(planned.outcome, done=True, latest=found and found.top_hash)
