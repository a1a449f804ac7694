"""Installing packages: package_install."""

from __future__ import annotations

from quilt_mcp.tools.arguments.addresses import package_address
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer
from quilt_mcp.tools.results.shapes import planned_json
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import DRY_RUN, NUMBER, PACKAGE, REGISTRY, SWITCH, TEXT, fields, listed


async def package_install(
    call: Call,
    *,
    package: str,
    dest: str,
    registry: str | None = None,
    path: str = "",
    overwrite: bool = False,
    dry_run: bool = False,
) -> Answer:
    address = await package_address(call, package, registry, path)
    outcome = await call.ops.install(
        address, dest, overwrite=overwrite, dry_run=dry_run, progress=call.progress
    )
    return Answer(
        {
            "dest": outcome.dest,
            "done": outcome.done,
            "installed": outcome.installed,
            "unchanged": outcome.unchanged,
            "bytes_copied": outcome.bytes_copied,
        }
        | ({} if outcome.done else {"changes": [planned_json(one) for one in outcome.changes]}),
        uri=outcome.uri,
        records=() if outcome.done else ("changes",),
        paged=False,
        warnings=outcome.warnings,
    )


PACKAGE_INSTALL = ToolSpec(
    name="package_install",
    title="Install a package",
    description="Downloads a revision, or a folder or file of it, and verifies every byte. Run again to resume.",
    arguments={
        "package": PACKAGE,
        "registry": REGISTRY,
        "dest": {"type": "string", "description": "Local folder"},
        "path": {"type": "string", "description": "Only this folder or file"},
        "overwrite": {"type": "boolean", "default": False, "description": "Replace files that differ"},
        "dry_run": DRY_RUN,
    },
    required=("package", "dest"),
    data=fields(
        dest=TEXT,
        done=SWITCH,
        installed=NUMBER,
        unchanged=NUMBER,
        bytes_copied=NUMBER,
        changes=listed(fields(path=TEXT, action=TEXT, size=NUMBER)),
    ),
    run=package_install,
    writes=True,
    destructive=True,
    is_local=True,
)
