"""A verb with all that was typed, and the session that serves it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from quilt_mcp.auth.identity import Asker
from quilt_mcp.cli.progress import terminal_progress
from quilt_mcp.cli.verbs.table import Verb
from quilt_mcp.cli.verbs.words import for_people, tell
from quilt_mcp.server.watching.log import safe, say
from quilt_mcp.session import Session
from quilt_mcp.tools.results.envelope import Reply
from quilt_mcp.tools.spec import ToolSpec

ROOM: Final = 16_000_000
"""Tokens of a reply: at a shell nothing is cut to what a model reads."""


@dataclass(frozen=True, slots=True)
class Errand:
    """``arguments`` are the tool's, ``options`` those of the shell alone; ``typed``: the words as they stood."""

    verb: Verb
    tool: ToolSpec
    arguments: Mapping[str, Any]
    options: argparse.Namespace
    typed: Sequence[str]
    session: Session

    @property
    def is_quiet(self) -> bool:
        return self.options.quiet

    async def call(self, *, watched: bool = True, **more: Any) -> Reply:
        """``watched``: False where a pager has the screen by now."""
        async with terminal_progress(wanted=watched and not self.is_quiet) as progress:
            return await self.session.call(
                self.verb.tool, {**self.arguments, **more}, progress, asker=Asker("command")
            )

    def tell_warnings(self, structured: Mapping[str, Any]) -> None:
        """On standard error, so that what is piped is what was asked for."""
        for warning in () if self.is_quiet else structured.get("warnings", ()):
            say(safe(f"warning: {for_people(warning, self.verb)}") + "\n")

    def failed(self, reply: Reply) -> int:
        """Tells the error, and answers its exit code."""
        return tell(reply.structured["error"], self.typed, self.verb)
