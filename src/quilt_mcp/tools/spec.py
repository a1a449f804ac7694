"""ToolSpec: a tool as a literal value. What is listed, what is checked and what runs stand side by side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quilt_mcp.errors import NotSupported, PermissionDenied, ReadOnly
from quilt_mcp.ops import LEARNED
from quilt_mcp.tools.arguments.coercion import coerce
from quilt_mcp.tools.arguments.schema import check
from quilt_mcp.tools.call import Call
from quilt_mcp.tools.results.envelope import Answer, Reply, reply
from quilt_mcp.tools.vocabulary import PAGE, Schema

Run = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """``run`` is called with the Call and the arguments as keywords; a test holds its signature equal to ``arguments``.

    ``title`` is for people at the command line; it is not listed, where every byte is read by a model.
    ``data`` is the schema of the result's ``data``. ``writes``: listed and allowed only when writes are on.
    """

    name: str
    title: str
    description: str
    arguments: Mapping[str, Schema]
    required: tuple[str, ...]
    data: Schema
    run: Run
    writes: bool = False
    destructive: bool = False
    idempotent: bool = True
    open_world: bool = False
    definitions: Mapping[str, Schema] = field(default_factory=dict[str, Schema])
    former: Mapping[str, str] = field(default_factory=dict[str, str])
    """Former names of arguments, which are not listed and go on working."""
    needs: tuple[str, ...] = ()
    """Abilities of the ops (``ops.ABILITIES``) without which it is neither listed nor called."""
    writing: tuple[str, ...] = ()
    """Values of the argument ``action`` that write, in a tool that also reads: where writes are off, they are not listed, and
    allowed as dry runs only."""
    for_writing: tuple[str, ...] = ()
    """Arguments that those alone take. Where no action writes: arguments with which a call does."""
    view: str | None = None
    """The resource that shows its results to a person (``_meta.ui``), in clients that can."""
    is_local: bool = False
    """It is about folders of the machine that the server runs on, so a server of many users has no such tool."""

    @property
    def paged(self) -> bool:
        return "cursor" in self.arguments

    def input_schema(self, *, writes: bool = True) -> dict[str, Any]:
        """``writes`` False: as it is listed where they are off."""
        arguments = dict(self.arguments)
        if not writes:
            arguments = {name: one for name, one in arguments.items() if name not in self.for_writing}
        if self.writing and not writes:
            action = arguments["action"]
            read = [one for one in action["enum"] if one not in self.writing]
            arguments["action"] = {**action, "enum": read}
        schema: dict[str, Any] = {"type": "object", "properties": arguments}
        if self.required:
            schema["required"] = list(self.required)
        return schema

    def output_schema(self) -> dict[str, Any]:
        """Of results and failures alike: a failure has ``error`` in place of ``data``, so nothing is required and more
        may be there. ``warnings`` and ``uri``, the same in every tool, are told once, in the server's
        instructions."""
        parts: dict[str, Any] = {"data": {"type": "object", **self.data}}
        if self.paged:
            parts["page"] = PAGE
        schema: dict[str, Any] = {"type": "object", "properties": parts}
        if self.definitions:
            schema["$defs"] = dict(self.definitions)
        return schema

    def hints(self, *, writes: bool = True) -> dict[str, bool]:
        """Annotations, by their names on the wire. The last two mean nothing for a tool that only reads."""
        may_write = self.writes or (writes and bool(self.writing or self.for_writing))
        hints = {"readOnlyHint": not may_write, "openWorldHint": self.open_world}
        if may_write:
            hints |= {"destructiveHint": self.destructive, "idempotentHint": self.idempotent}
        return hints

    def understand(
        self, arguments: Mapping[str, Any], *, writes: bool = True
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The arguments of a client with defaults, and what to warn of. Raises InvalidArgument, which tells of those that are
        listed: where ``writes`` are off, not of ``for_writing``."""
        schema = self.input_schema()
        coerced, warnings = coerce(schema, arguments, self.former)
        return check(schema, coerced, unlisted=() if writes else self.for_writing), warnings

    def does_write(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments, as they were understood, writes."""
        is_writing_action = arguments.get("action") in self.writing and not arguments.get("dry_run")
        return self.writes or is_writing_action or bool(self._asked_to_write(arguments))

    def _asked_to_write(self, arguments: Mapping[str, Any]) -> list[str]:
        return [] if self.writing else [name for name in self.for_writing if arguments.get(name)]

    def check_writes(self, allowed: bool, arguments: Mapping[str, Any]) -> None:
        """Raises ReadOnly."""
        if allowed or not self.does_write(arguments):
            return
        doing, asked = self.name, self._asked_to_write(arguments)
        if self.writing or asked:
            doing += f" with action={arguments.get('action')}" if self.writing else f" with {asked[0]}"
        dry = ", or set dry_run=true to see what it would change" if self.writing else ""
        raise ReadOnly(
            f"{doing} writes, and this server reads only.",
            next_step=f"Ask the person who runs it to start it with --allow-write or QUILT_ALLOW_WRITE=1{dry}.",
        )

    def check_place(self, *, is_shared: bool) -> None:
        """Raises NotSupported."""
        if self.is_local and is_shared:
            raise NotSupported(
                f"{self.name} works on folders of the machine that this server runs on, and many users share it.",
                next_step="object_link with the package, the path of a folder and download=true gives a link for each file.",
            )

    async def check_needs(self, call: Call) -> None:
        """Raises NotSupported where the backend has no such thing, PermissionDenied where this user of a stack may not, and as
        ``QuiltOps.learn``."""
        if not {*self.needs}.isdisjoint(LEARNED):
            await call.ops.learn()
        missing = [one for one in self.needs if getattr(call.ops, one) is None]
        if missing and call.ops.roles is None:
            raise NotSupported(
                f"{self.name} takes a Quilt stack, and the {call.ops.backend} backend has none.",
                next_step="Sign in to a stack: `quilt-mcp login`, or QUILT_API_KEY with QUILT_CATALOG_URL.",
                details={"backend": call.ops.backend, "needs": list(self.needs)},
            )
        if missing:
            raise administrators_only(self.name)

    async def answer(self, call: Call, arguments: dict[str, Any], warnings: tuple[str, ...] = ()) -> Reply:
        """Runs, and when the page does not fit the budget, runs again for a page that does. Only reading tools page.
        ``warnings`` are told beside the tool's own."""

        async def run(**chosen: Any) -> Answer:
            found = await self.run(call, **{**arguments, **chosen})
            return replace(found, warnings=(*warnings, *found.warnings))

        budget = call.settings.response_bytes()
        found = await run()
        made = reply(found, budget)
        while isinstance(made, int):
            count = found.count()
            if self.paged:
                found = await run(limit=made)
                said = f"shortened: {made} of {count} records fit into this answer; go on with cursor=page.next_cursor."
                found = replace(found, warnings=(*found.warnings, said))
            if not self.paged or found.count() >= count:
                # No pages to ask for; or the page grew between the two readings.
                found = shortened(found, made)
            made = reply(found, budget)
        return made


def administrators_only(what: str) -> PermissionDenied:
    return PermissionDenied(
        f"{what} is for administrators of the Quilt stack, and this user is none.",
        next_step="Ask an administrator of the stack. One who was made so just now calls status first, which looks again.",
    )


def shortened(answer: Answer, most: int) -> Answer:
    """With only the first ``most`` records, saying so."""
    data = dict(answer.data)
    left = most
    for name in answer.records:
        data[name] = answer.data[name][:left]
        left -= len(data[name])
    said = f"cut: {answer.count() - most} more of {' and '.join(answer.records)} are left out to keep the answer short."
    return replace(answer, data=data, warnings=(*answer.warnings, said))
