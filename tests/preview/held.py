"""A file held in memory, as the parent's Source and as the child's File, with what was read of it; and answers to questions."""

from __future__ import annotations

from typing import Any

from quilt_mcp.domain.search.where import as_json, parse_where
from quilt_mcp.preview.decode.file import File
from quilt_mcp.preview.decode.process import answer_to
from quilt_mcp.preview.kinds import kind_of
from quilt_mcp.preview.source import Source


class Held:
    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content
        self.reads: list[tuple[int, int]] = []

    def _read(self, offset: int, length: int) -> bytes:
        assert 0 <= offset < offset + length <= len(self.content)
        self.reads.append((offset, length))
        return self.content[offset : offset + length]

    @property
    def bytes_read(self) -> int:
        return sum(length for _, length in self.reads)

    def file(self) -> File:
        return File(self.name, len(self.content), self._read)

    def source(self) -> Source:
        async def fetch(offset: int, length: int) -> bytes:
            return self._read(offset, length)

        return Source(self.name, len(self.content), fetch)

    def ask(self, question: str, **given: Any) -> dict[str, Any]:
        """The answer, in this process; a fault raises AssertionError."""
        found = answer_to(self.file(), {"question": question, "kind": kind_of(self.name), **given})
        assert "answer" in found, found
        return found["answer"]

    def fault(self, question: str, **given: Any) -> tuple[str, str]:
        """Kind and message of the fault."""
        found = answer_to(self.file(), {"question": question, "kind": kind_of(self.name), **given})
        assert "fault" in found, found
        return found["fault"]["kind"], found["fault"]["message"]

    def inside(self) -> dict[str, Any]:
        return self.ask("inside", first=5)

    def rows(self, **given: Any) -> dict[str, Any]:
        return self.ask("rows", **rows_asked(**given))


def rows_asked(
    columns: list[str] | None = None,
    start: int = 0,
    stop: int = 100,
    where: str | None = None,
    room: int = 100_000,
) -> dict[str, Any]:
    conditions = as_json(parse_where(where)) if where else []
    return {"columns": columns, "start": start, "stop": stop, "where": conditions, "room": room}
