"""``cat`` and ``head``: the bytes of a file as they are to a pipe, text and pictures to a terminal."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import anyio.to_thread

from quilt_mcp.auth.identity import Asker
from quilt_mcp.cli import exits
from quilt_mcp.cli.render import show_block
from quilt_mcp.cli.screen import is_terminal, paged
from quilt_mcp.cli.verbs.errand import Errand
from quilt_mcp.cli.verbs.words import tell
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.checksums import Hasher, checksum_for
from quilt_mcp.domain.listing import Content
from quilt_mcp.domain.printable import printable
from quilt_mcp.errors import HashMismatch, QuiltError
from quilt_mcp.server.watching.log import say
from quilt_mcp.tools.results.envelope import error_reply

PIECE: Final = 8 << 20
FIRST: Final = 64 << 10
"""Bytes of the first piece that ``head`` looks for its lines in."""


async def show_file(errand: Errand) -> int:
    """The tool finds the file, with its own checks and errors; the bytes then come from where it says they are, at the revision
    that it found."""
    found = await errand.call(mode="bytes", length=1)
    if found.is_error:
        return errand.failed(found)
    uri = found.structured["uri"]
    try:
        if is_terminal() and errand.verb.how == "cat":
            return await _on_terminal(errand)
        if errand.verb.how == "head":
            return await _head(errand, uri)
        await _raw(errand, uri)
        return exits.OK
    except QuiltError as error:
        return tell(error_reply(error, 1 << 20).structured["error"], errand.typed, errand.verb)


async def _raw(errand: Errand, uri: str) -> None:
    """Raises HashMismatch at the end when what was written is not what the manifest says."""
    out, hasher, first = sys.stdout.buffer, None, None
    async for content in _pieces(errand, uri, PIECE):
        if first is None:
            first = content
            if content.hash is not None and content.size > len(content.data):
                hasher = Hasher(checksum_for(content.hash.type), content.size)
        if hasher is not None:
            hasher.update(content.data)
        out.write(content.data)
    out.flush()
    if hasher is not None and first is not None and hasher.value() != first.hash:
        raise HashMismatch(
            f"What {uri} holds is not what its manifest says; it has been written out.",
            next_step="Do not use it; call package_verify for all such files.",
        )


async def _head(errand: Errand, uri: str) -> int:
    left, part = errand.options.lines, b""
    on_terminal = is_terminal()
    async for content in _pieces(errand, uri, FIRST):
        lines = content.data.splitlines(keepends=True)[:left]
        part = b"".join(lines)
        if on_terminal:
            sys.stdout.write(printable(part.decode("utf-8", "replace")))
        else:
            sys.stdout.buffer.write(part)
        left -= sum(line.endswith((b"\n", b"\r")) for line in lines)
        if left <= 0:
            break
    if on_terminal and part and not part.endswith(b"\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()
    return exits.OK


async def _on_terminal(errand: Errand) -> int:
    """What the tool shows of it, part after part."""
    offset: int | None = 0
    text = ""
    with paged(wanted=not errand.is_quiet) as screen:
        while offset is not None:
            more: dict[str, Any] = {"offset": offset} if offset else {}
            reply = await errand.call(watched=not offset, **more)
            if reply.is_error:
                return errand.failed(reply)
            data = reply.structured["data"]
            pictures = [block for block in reply.blocks[1:] if block.kind == "image"]
            if "text" not in data and not pictures:
                say(
                    f"{data.get('type', 'It')} is not text: write it to a file (> FILE), or open it with quilt-mcp link --open.\n"
                )
                return exits.FIX_INPUT
            for block in pictures:
                await anyio.to_thread.run_sync(show_block, block, screen)
            text = data.get("text", "")
            screen.out.write(text)
            offset = data.get("next_offset")
        if text and not text.endswith("\n"):
            screen.line("")
    return exits.OK


async def _pieces(errand: Errand, uri: str, size: int) -> AsyncIterator[Content]:
    ops = (await errand.session.open_call(asker=Asker("command"))).ops
    offset = 0
    while True:
        if uri.startswith("quilt+"):
            content = await ops.read(PackageUri.parse(uri), offset=offset, length=size)
        else:
            content = await ops.read_object(uri, offset=offset, length=size)
        yield content
        offset += len(content.data)
        if offset >= content.size or not content.data:
            return
        size = PIECE
